//! Statistics from buckets; items are read only where a boundary cuts a slot.

use std::collections::BTreeMap;
use std::rc::Rc;

use daybook_core::limits::SERIES_POINTS_MAX;
use daybook_core::stats::{
    Bucket, Busiest, DayPlan, GroupBy, Interval, Item, SLOT_US, Series, SeriesTally, Span,
    Statistics, Sums, Tally, Zone, decode_counts, plan_day, slot_start, takes_whole_month,
};
use daybook_core::time::{Day, Month};
use daybook_core::{Currency, Timestamp, Transaction, UserId};
use rusqlite::{Connection, Row};

use super::read::user_number;
use crate::codec::{self, ITEM};
use crate::{Error, Result};

/// How many items a user has, of any status.
pub fn items(conn: &Connection, user: i64) -> Result<u64> {
    let mut items = 0;
    months(conn, user, &mut |row| {
        let kept = row.get_ref(SUMS)?.as_blob().ok().and_then(Busiest::split);
        let sums =
            kept.and_then(|(_, sums)| Sums::decode(sums)).ok_or_else(|| damaged("months"))?;
        items += sums.items();
        Ok(())
    })?;
    Ok(items)
}

/// Walks a user's months, jumping over their days.
fn months(conn: &Connection, user: i64, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
    let mut next = conn.prepare_cached(
        "select currency, digits, month, day, updated_at, sums, counts from statistics \
         where user = ?1 and (currency, digits, month) > (?2, ?3, ?4) \
         order by currency, digits, month, day limit 1",
    )?;
    let mut last = (String::new(), 0_i64, 0_i64);
    loop {
        let mut rows = next.query((user, &last.0, last.1, last.2))?;
        let Some(row) = rows.next()? else {
            return Ok(());
        };
        last = (row.get(0)?, row.get(1)?, row.get(2)?);
        visit(row)?;
    }
}

/// One row of the buckets: its currency, its day, when it changed, and the row for the rest.
type Visit<'a> = &'a mut dyn FnMut(Currency, Day, Timestamp, &Row) -> Result<()>;

/// Columns of a row of statistics, behind its currency, digits, month, day and last change.
const SUMS: usize = 5;
const COUNTS: usize = 6;
const SLOTS: usize = 7;

#[derive(Clone, Copy)]
struct Days {
    first: Day,
    last: Day,
}

/// Walks a user's days, of one currency or of all, by currency and then by day.
fn buckets(
    conn: &Connection,
    user: i64,
    days: Days,
    only: Option<Currency>,
    visit: Visit,
) -> Result<()> {
    let (first, last) = (days.first.month().0, days.last.month().0);
    let mut sql = String::from(
        "select currency, digits, month, day, updated_at, sums, counts, slots \
         from statistics where user = ?1 and month >= ?2 and month <= ?3 and day > 0",
    );
    if only.is_some() {
        sql.push_str(" and currency = ?4 and digits = ?5");
    }
    sql.push_str(" order by currency, digits, month, day");
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = match only {
        Some(only) => select.query((user, first, last, only.code(), only.digits()))?,
        None => select.query((user, first, last))?,
    };
    while let Some(row) = rows.next()? {
        let day = codec::day(row, 2)?;
        if (days.first..=days.last).contains(&day) {
            let updated_at = Timestamp::from_micros(row.get(4)?);
            visit(codec::currency(row, 0)?, day, updated_at, row)?;
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
    let zone = Rc::new(Zone::new(span.tz.clone()));
    let mut tallies: BTreeMap<Currency, Tally> = BTreeMap::new();
    let (first, last) = span.days();
    let wanted = first.month()..=last.month();
    months(conn, number, &mut |row| {
        let (currency, month) = (codec::currency(row, 0)?, Month(row.get(2)?));
        let named = |code: &String| code == currency.code();
        if !wanted.contains(&month) || !(currencies.is_empty() || currencies.iter().any(named)) {
            return Ok(());
        }
        let tally =
            tallies.entry(currency).or_insert_with(|| Tally::new(currency, Rc::clone(&zone)));
        let at = Timestamp::from_micros(row.get(4)?);
        let blob = |at: usize| row.get_ref(at).ok().and_then(|value| value.as_blob().ok());
        let added = takes_whole_month(month, span)
            && blob(SUMS)
                .and_then(|sums| tally.add_month(month, sums, || blob(COUNTS), at))
                .ok_or_else(|| damaged("months"))?;
        if added { Ok(()) } else { look.days(month, span, currency, tally) }
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
    let (first, last) = span.days();
    buckets(conn, number, Days { first, last }, None, &mut |currency, day, _, row| {
        if !currencies.is_empty() && !currencies.iter().any(|code| code == currency.code()) {
            return Ok(());
        }
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
                tally.add_day(day, &sums(row, SUMS)?);
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

fn sums(row: &Row, at: usize) -> Result<Sums> {
    let bytes = row.get_ref(at)?.as_blob().ok();
    bytes.and_then(Sums::decode).ok_or_else(|| damaged("totals"))
}

fn read_slots(row: &Row) -> Result<BTreeMap<u8, Sums>> {
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
    /// Adds the days of a month one by one, as far as they lie in the span.
    fn days(&self, month: Month, span: &Span, currency: Currency, tally: &mut Tally) -> Result<()> {
        let (first, last) = span.days();
        let days = Days {
            first: first.max(month.first_day()),
            last: last.min(Day(Month(month.0 + 1).first_day().0 - 1)),
        };
        buckets(self.conn, self.number, days, Some(currency), &mut |_, day, at, row| {
            let unsure = match plan_day(day, span) {
                DayPlan::Whole => {
                    let counts = row.get_ref(COUNTS)?.as_blob().ok().and_then(decode_counts);
                    let counts = counts.ok_or_else(|| damaged("counts"))?;
                    tally.add_day(day, &sums(row, SUMS)?, &counts, at)
                }
                DayPlan::Parts { slots, cut } => {
                    let unsure = tally.add_slots(day, read_slots(row)?, &slots, at);
                    self.cut_items(day, &cut, span, currency, &mut |item| {
                        tally.add_item(&Item::from(item));
                    })?;
                    unsure
                }
            };
            if unsure {
                // An extreme that left its slot is only a bound; the day's items say what is left.
                let (from, to) = (day.start().max(span.from), day.end().min(span.to));
                self.items(from, to, currency, &mut |item| {
                    tally.add_extremes(&Item::from(item));
                })?;
            }
            Ok(())
        })
    }

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
