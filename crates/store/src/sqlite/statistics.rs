//! Statistics from buckets; items are read only where a boundary cuts a slot.

use std::collections::BTreeMap;

use daybook_core::limits::SERIES_POINTS_MAX;
use daybook_core::stats::{
    Bucket, DayPlan, GroupBy, Interval, Item, SLOT_US, Series, SeriesTally, Slot, Span, Statistics,
    Summary, Tally, bucket::decode_counts, plan_day, slot_start,
};
use daybook_core::time::Day;
use daybook_core::{Currency, Timestamp, Transaction, UserId};
use rusqlite::{Connection, Row, named_params};

use super::read::user_number;
use crate::codec::{self, ITEM};
use crate::{Error, Result};

/// How many items a user has, of any status.
pub fn items(conn: &Connection, user: i64) -> Result<u64> {
    let mut select = conn.prepare_cached("select summary from buckets where user = ?1")?;
    let mut rows = select.query([user])?;
    let mut items = 0;
    while let Some(row) = rows.next()? {
        items += summary(row, 0)?.items();
    }
    Ok(items)
}

/// One row of the buckets: its currency, its day, when it changed, and the row for the rest.
type Visit<'a> = &'a mut dyn FnMut(Currency, Day, Timestamp, &Row) -> Result<()>;

const SUMMARY: usize = 4;
const COUNTS: usize = 5;
const SLOTS: usize = 6;

/// Walks a user's buckets that a span touches, by currency and then by day.
fn buckets(
    conn: &Connection,
    user: i64,
    span: &Span,
    currencies: &[String],
    visit: Visit,
) -> Result<()> {
    let mut select = conn.prepare_cached(
        "select currency, digits, day, updated_at, summary, counts, slots from buckets \
         where user = :user and day >= :first and day <= :last order by currency, digits, day",
    )?;
    let (first, last) = span.days();
    let params = named_params! { ":user": user, ":first": first.0, ":last": last.0 };
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        let currency = codec::currency(row, 0)?;
        if currencies.is_empty() || currencies.iter().any(|code| code == currency.code()) {
            let updated_at = Timestamp::from_micros(row.get(3)?);
            visit(currency, Day(row.get(2)?), updated_at, row)?;
        }
    }
    Ok(())
}

pub fn totals(
    conn: &Connection,
    user: &UserId,
    span: &Span,
    currencies: &[String],
) -> Result<Vec<Statistics>> {
    let Some(number) = user_number(conn, user)? else {
        return Ok(Vec::new());
    };
    let look = Look { conn, user, number };
    let mut tallies: BTreeMap<Currency, Tally> = BTreeMap::new();
    buckets(conn, number, span, currencies, &mut |currency, day, at, row| {
        let tally = tallies
            .entry(currency)
            .or_insert_with(|| Tally::new(currency, span.tz.clone()));
        let plan = plan_day(day, span);
        let unsure = match &plan {
            DayPlan::Whole => {
                let counts = row.get_ref(COUNTS)?.as_blob().ok().and_then(decode_counts);
                let counts = counts.ok_or_else(|| damaged("counts"))?;
                tally.add_day(day, &summary(row, SUMMARY)?, &counts, at)
            }
            DayPlan::Parts { slots, cut } => {
                let unsure = tally.add_slots(day, &read_slots(row)?, slots, at);
                look.cut_items(day, cut, span, currency, &mut |item| {
                    tally.add_item(&Item::from(item));
                })?;
                unsure
            }
        };
        if unsure {
            // An extreme that left its slot is only a bound; the day's items say what is left.
            let (from, to) = (day.start().max(span.from), day.end().min(span.to));
            look.items(from, to, currency, &mut |item| tally.add_extremes(&Item::from(item)))?;
        }
        Ok(())
    })?;
    Ok(tallies.into_values().filter_map(Tally::finish).collect())
}

pub fn series(
    conn: &Connection,
    user: &UserId,
    span: &Span,
    currencies: &[String],
    interval: Interval,
    group_by: &GroupBy,
) -> Result<Vec<Series>> {
    let Some(number) = user_number(conn, user)? else {
        return Ok(Vec::new());
    };
    let look = Look { conn, user, number };
    let mut tallies: BTreeMap<Currency, SeriesTally> = BTreeMap::new();
    buckets(conn, number, span, currencies, &mut |currency, day, _, row| {
        let tally = tallies.entry(currency).or_insert_with(|| {
            SeriesTally::new(currency, span.tz.clone(), interval, group_by.clone())
        });
        if let GroupBy::Metadata(_) = group_by {
            let (from, to) = (day.start().max(span.from), day.end().min(span.to));
            return look.items(from, to, currency, &mut |item| {
                tally.add_item(&Item::from(item), &item.metadata);
            });
        }
        match plan_day(day, span) {
            DayPlan::Whole if tally.takes_whole(day) => {
                tally.add_day(day, &summary(row, SUMMARY)?);
            }
            DayPlan::Whole => tally.add_slots(day, &read_slots(row)?, |_| true),
            DayPlan::Parts { slots, cut } => {
                tally.add_slots(day, &read_slots(row)?, |slot| slots.contains(&slot));
                look.cut_items(day, &cut, span, currency, &mut |item| {
                    tally.add_item(&Item::from(item), &item.metadata);
                })?;
            }
        }
        Ok(())
    })?;
    let too_many = |points| Error::TooManyPoints { points, max: SERIES_POINTS_MAX };
    tallies.into_values().map(|tally| tally.finish().map_err(too_many)).collect()
}

fn damaged(what: &str) -> Error {
    Error::Corrupt { what: format!("the {what} of a statistics bucket are unreadable") }
}

fn summary(row: &Row, at: usize) -> Result<Summary> {
    let bytes = row.get_ref(at)?.as_blob().ok();
    bytes.and_then(Summary::decode).ok_or_else(|| damaged("totals"))
}

fn read_slots(row: &Row) -> Result<BTreeMap<u8, Slot>> {
    let bytes = row.get_ref(SLOTS)?.as_blob().ok();
    bytes.and_then(Bucket::decode_slots).ok_or_else(|| damaged("slots"))
}

/// Reads the items themselves.
struct Look<'a> {
    conn: &'a Connection,
    user: &'a UserId,
    number: i64,
}

impl Look<'_> {
    /// The items of slots that a boundary cuts, as far as they lie in the span.
    fn cut_items(
        &self,
        day: Day,
        cut: &[u8],
        span: &Span,
        currency: Currency,
        visit: &mut dyn FnMut(&Transaction),
    ) -> Result<()> {
        for slot in cut {
            let from = slot_start(day, *slot);
            let to = Timestamp::from_micros(from.micros() + SLOT_US);
            self.items(from.max(span.from), to.min(span.to), currency, visit)?;
        }
        Ok(())
    }

    fn items(
        &self,
        from: Timestamp,
        to: Timestamp,
        currency: Currency,
        visit: &mut dyn FnMut(&Transaction),
    ) -> Result<()> {
        let sql = format!(
            "select {ITEM} from transactions t \
             where t.user = ?1 and t.created_at >= ?2 and t.created_at < ?3 and t.currency = ?4"
        );
        let mut select = self.conn.prepare_cached(&sql)?;
        let params = (self.number, from.micros(), to.micros(), currency.code());
        let mut rows = select.query(params)?;
        while let Some(row) = rows.next()? {
            visit(&codec::item(row, self.user)?);
        }
        Ok(())
    }
}
