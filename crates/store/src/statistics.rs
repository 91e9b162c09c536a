//! Statistics from the rows that are kept for them, wherever that is; items are read only where a
//! boundary cuts a slot.

use std::collections::BTreeMap;
use std::rc::Rc;

use daybook_core::limits::SERIES_POINTS_MAX;
use daybook_core::stats::{
    Bucket, Busiest, DayPlan, GroupBy, Interval, Item, SLOT_US, Series, SeriesTally, Span,
    Statistics, Sums, Tally, Zone, decode_counts, plan_day, slot_start, takes_whole_month,
};
use daybook_core::time::{Day, Month};
use daybook_core::{Currency, Timestamp, Transaction};

use crate::{Error, Result};

/// UTC days, the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub first: Day,
    pub last: Day,
}

impl Days {
    pub fn of(span: &Span) -> Self {
        let (first, last) = span.days();
        Self { first, last }
    }

    /// Those that lie in a month too.
    fn within(self, month: Month) -> Self {
        Self {
            first: self.first.max(month.first_day()),
            last: self.last.min(Day(Month(month.0 + 1).first_day().0 - 1)),
        }
    }

    pub fn contain(self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// The bytes that are kept of a month or of a day; a month has no slots.
pub trait Kept {
    fn sums(&self) -> Result<&[u8]>;
    fn counts(&self) -> Result<&[u8]>;
    fn slots(&self) -> Result<&[u8]>;
}

/// A row of statistics.
pub struct Row<'a> {
    pub currency: Currency,
    /// The day, or the first day of the month.
    pub day: Day,
    pub updated_at: Timestamp,
    pub kept: &'a dyn Kept,
}

/// The rows of one user.
pub trait Rows {
    /// Visits the months by currency and then by month.
    fn months(&self, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()>;

    /// Visits the days of one currency or of all, by currency and then by day.
    fn days(
        &self,
        days: Days,
        only: Option<Currency>,
        visit: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()>;

    /// Visits the items of a currency from a moment on and before another.
    fn items(
        &self,
        span: (Timestamp, Timestamp),
        currency: Currency,
        visit: &mut dyn FnMut(&Transaction),
    ) -> Result<()>;
}

/// How many items a month has, of any status.
pub fn items_of(month: &dyn Kept) -> Result<u64> {
    let kept = Busiest::split(month.sums()?);
    let sums = kept.and_then(|(_, sums)| Sums::decode(sums)).ok_or_else(|| damaged("months"))?;
    Ok(sums.items())
}

pub fn totals(rows: &impl Rows, span: &Span, currencies: &[String]) -> Result<Vec<Statistics>> {
    if span.is_empty() {
        return Ok(Vec::new());
    }
    let zone = Rc::new(Zone::new(span.tz.clone()));
    let mut tallies: BTreeMap<Currency, Tally> = BTreeMap::new();
    let days = Days::of(span);
    let wanted = days.first.month()..=days.last.month();
    rows.months(&mut |row| {
        let (currency, month) = (row.currency, row.day.month());
        if !wanted.contains(&month) || !is_asked_for(currency, currencies) {
            return Ok(());
        }
        let tally =
            tallies.entry(currency).or_insert_with(|| Tally::new(currency, Rc::clone(&zone)));
        let added = takes_whole_month(month, span, &zone)
            && tally
                .add_month(month, row.kept.sums()?, || row.kept.counts().ok(), row.updated_at)
                .ok_or_else(|| damaged("months"))?;
        if added {
            return Ok(());
        }
        rows.days(days.within(month), Some(currency), &mut |row| {
            add_day(rows, row, span, &zone, tally)
        })
    })?;
    Ok(tallies.into_values().filter_map(Tally::finish).collect())
}

pub fn is_asked_for(currency: Currency, currencies: &[String]) -> bool {
    currencies.is_empty() || currencies.iter().any(|code| code == currency.code())
}

/// Adds a day, as far as it lies in the span.
fn add_day(rows: &impl Rows, row: &Row, span: &Span, zone: &Zone, tally: &mut Tally) -> Result<()> {
    let day = row.day;
    let unsure = match plan_day(day, span, zone) {
        DayPlan::Whole => {
            let counts = decode_counts(row.kept.counts()?).ok_or_else(|| damaged("counts"))?;
            tally.add_day(day, &sums(row)?, &counts, row.updated_at)
        }
        DayPlan::Parts { slots, cut } => {
            let unsure = tally.add_slots(day, read_slots(row)?, &slots, row.updated_at);
            cut_items(rows, row, &cut, span, &mut |item| tally.add_item(&Item::from(item)))?;
            unsure
        }
    };
    if unsure {
        // An extreme that left its slot is only a bound; the day's items say what is left.
        rows.items(inside(day, span), row.currency, &mut |item| {
            tally.add_extremes(&Item::from(item));
        })?;
    }
    Ok(())
}

/// The part of a day that lies in the span.
fn inside(day: Day, span: &Span) -> (Timestamp, Timestamp) {
    (day.start().max(span.from), day.end().min(span.to))
}

/// The items of slots that a boundary cuts, as far as they lie in the span.
fn cut_items(
    rows: &impl Rows,
    row: &Row,
    cut: &[u8],
    span: &Span,
    visit: &mut dyn FnMut(&Transaction),
) -> Result<()> {
    for slot in cut {
        let from = slot_start(row.day, *slot);
        let to = Timestamp::from_micros(from.micros() + SLOT_US);
        rows.items((from.max(span.from), to.min(span.to)), row.currency, visit)?;
    }
    Ok(())
}

pub fn series(
    rows: &impl Rows,
    span: &Span,
    currencies: &[String],
    interval: Interval,
    group_by: &GroupBy,
) -> Result<Vec<Series>> {
    let mut tallies = Tallies::new(span, interval, group_by);
    if span.is_empty() {
        return tallies.finish();
    }
    rows.days(Days::of(span), None, &mut |row| {
        if !is_asked_for(row.currency, currencies) {
            return Ok(());
        }
        let (tally, zone) = tallies.of(row.currency);
        if let GroupBy::Metadata(_) = group_by {
            return rows.items(inside(row.day, span), row.currency, &mut |item| {
                tally.add_item(&Item::from(item), &item.metadata, zone);
            });
        }
        let day = row.day;
        match plan_day(day, span, zone) {
            DayPlan::Whole if tally.takes_whole(day, zone) => {
                tally.add_day(day, &sums(row)?, zone);
            }
            DayPlan::Whole => tally.add_slots(day, &read_slots(row)?, |_| true, zone),
            DayPlan::Parts { slots, cut } => {
                let is_asked = |slot| slots.contains(&slot);
                tally.add_slots(day, &read_slots(row)?, is_asked, zone);
                cut_items(rows, row, &cut, span, &mut |item| {
                    tally.add_item(&Item::from(item), &item.metadata, zone);
                })?;
            }
        }
        Ok(())
    })?;
    tallies.finish()
}

/// The lines of a chart, one set for each currency.
pub struct Tallies<'a> {
    zone: Zone,
    interval: Interval,
    group_by: &'a GroupBy,
    tallies: BTreeMap<Currency, SeriesTally>,
}

impl<'a> Tallies<'a> {
    pub fn new(span: &Span, interval: Interval, group_by: &'a GroupBy) -> Self {
        let zone = Zone::new(span.tz.clone());
        Self { zone, interval, group_by, tallies: BTreeMap::new() }
    }

    /// The lines of a currency, and the zone of their days.
    pub fn of(&mut self, currency: Currency) -> (&mut SeriesTally, &Zone) {
        let new = || SeriesTally::new(currency, self.interval, self.group_by.clone());
        (self.tallies.entry(currency).or_insert_with(new), &self.zone)
    }

    /// The currencies in which something counts.
    pub fn finish(self) -> Result<Vec<Series>> {
        let too_many = |points| Error::TooManyPoints { points, max: SERIES_POINTS_MAX };
        let finished = self.tallies.into_values().map(|tally| tally.finish().map_err(too_many));
        finished.filter_map(Result::transpose).collect()
    }
}

fn damaged(what: &str) -> Error {
    Error::Corrupt { what: format!("the {what} of a statistics bucket are unreadable") }
}

fn sums(row: &Row) -> Result<Sums> {
    Sums::decode(row.kept.sums()?).ok_or_else(|| damaged("totals"))
}

fn read_slots(row: &Row) -> Result<BTreeMap<u8, Sums>> {
    Bucket::decode_slots(row.kept.slots()?).ok_or_else(|| damaged("slots"))
}
