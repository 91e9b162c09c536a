//! The rows of statistics, and the items behind them.

use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::{Currency, Timestamp, Transaction, UserId};
use rusqlite::Connection;

use super::read::user_number;
use crate::Result;
use crate::codec::{self, Columns, ITEM};
use crate::statistics::{self, Days, Kept, Row, Rows};

/// Columns of a row of statistics, behind its currency, digits, month and day.
const UPDATED_AT: usize = 4;
const SUMS: usize = 5;
const COUNTS: usize = 6;
const SLOTS: usize = 7;

pub fn totals(
    conn: &Connection,
    user: &UserId,
    span: &Span,
    currencies: &[String],
) -> Result<Vec<Statistics>> {
    match user_number(conn, user)? {
        Some(number) => statistics::totals(&Look { conn, user, number }, span, currencies),
        None => Ok(Vec::new()),
    }
}

pub fn series(
    conn: &Connection,
    user: &UserId,
    span: &Span,
    currencies: &[String],
    interval: Interval,
    group_by: &GroupBy,
) -> Result<Vec<Series>> {
    match user_number(conn, user)? {
        Some(number) => {
            let look = Look { conn, user, number };
            statistics::series(&look, span, currencies, interval, group_by)
        }
        None => Ok(Vec::new()),
    }
}

/// How many items a user has, of any status.
pub fn items(conn: &Connection, user: &UserId, number: i64) -> Result<u64> {
    let mut items = 0;
    Look { conn, user, number }.months(&mut |month| {
        items += statistics::items_of(month.kept)?;
        Ok(())
    })?;
    Ok(items)
}

/// Looks at the rows of one user.
struct Look<'a> {
    conn: &'a Connection,
    user: &'a UserId,
    number: i64,
}

impl Kept for rusqlite::Row<'_> {
    fn sums(&self) -> Result<&[u8]> {
        self.bytes(SUMS, "totals")
    }

    fn counts(&self) -> Result<&[u8]> {
        self.bytes(COUNTS, "counts")
    }

    fn slots(&self) -> Result<&[u8]> {
        self.bytes(SLOTS, "slots")
    }
}

impl Rows for Look<'_> {
    /// Jumps over the days of the months.
    fn months(&self, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let mut next = self.conn.prepare_cached(
            "select currency, digits, month, 1, updated_at, sums, counts from statistics \
             where user = ?1 and (currency, digits, month) > (?2, ?3, ?4) \
             order by currency, digits, month, day limit 1",
        )?;
        let mut last = (String::new(), 0_i64, 0_i64);
        loop {
            let mut rows = next.query((self.number, &last.0, last.1, last.2))?;
            let Some(row) = rows.next()? else {
                return Ok(());
            };
            last = (row.get(0)?, row.get(1)?, row.get(2)?);
            visit(&read(row)?)?;
        }
    }

    fn days(
        &self,
        days: Days,
        only: Option<Currency>,
        visit: &mut dyn FnMut(&Row) -> Result<()>,
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
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = match only {
            Some(only) => select.query((self.number, first, last, only.code(), only.digits()))?,
            None => select.query((self.number, first, last))?,
        };
        while let Some(row) = rows.next()? {
            let row = read(row)?;
            if days.contain(row.day) {
                visit(&row)?;
            }
        }
        Ok(())
    }

    fn items(
        &self,
        (from, to): (Timestamp, Timestamp),
        currency: Currency,
        visit: &mut dyn FnMut(&Transaction),
    ) -> Result<()> {
        let sql = format!(
            "select {ITEM} from transactions t where t.user = ?1 and t.created_at >= ?2 \
             and t.created_at < ?3 and t.currency = ?4 and t.digits = ?5"
        );
        let mut select = self.conn.prepare_cached(&sql)?;
        let (code, digits) = (currency.code(), currency.digits());
        let mut rows = select.query((self.number, from.micros(), to.micros(), code, digits))?;
        while let Some(row) = rows.next()? {
            visit(&codec::item(row, self.user)?);
        }
        Ok(())
    }
}

fn read<'a>(row: &'a rusqlite::Row) -> Result<Row<'a>> {
    Ok(Row {
        currency: codec::currency(row, 0)?,
        day: codec::day(row, 2)?,
        updated_at: row.time(UPDATED_AT, "time")?,
        kept: row,
    })
}
