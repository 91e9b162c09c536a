//! The rows of statistics, and the items behind them.
//!
//! What an answer needs turns out while it is made: which months must be read day by day, which
//! days by their slots, and which items. So it is made of what is there, what is missing is
//! noted and fetched all at once, and then it is made again, until nothing is missing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use daybook_core::cursor::Position;
use daybook_core::query::{Paging, Query};
use daybook_core::stats::{GroupBy, Interval, Item, Series, Span, Statistics};
use daybook_core::time::{Day, Month};
use daybook_core::{Currency, Timestamp, Transaction, UserId};
use tokio_postgres::Row;

use super::connect::Conn;
use super::read::{Look, user_number};
use super::sift::LOOKED_AT;
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::statistics::{self as answers, Days, Kept, Rows, Tallies};
use crate::{Error, Result};

/// Columns of a row of statistics, behind its currency, digits, month and day.
const UPDATED_AT: usize = 4;
const SUMS: usize = 5;
const COUNTS: usize = 6;

/// How many items a user has, of any status.
pub async fn items(conn: &Conn, user: i64) -> Result<u64> {
    let sql = r#"select currency, digits, month, 1, updated_at, sums from statistics
        where "user" = $1 and day = 0"#;
    let months = conn.query(sql, &[&user]).await?;
    months.iter().map(|row| answers::items_of(&Plain(row))).sum()
}

pub async fn totals(
    conn: &Conn,
    user: &UserId,
    span: &Span,
    currencies: &[String],
) -> Result<Vec<Statistics>> {
    let Some(number) = user_number(conn, user).await? else { return Ok(Vec::new()) };
    let days = Days::of(span);
    // Days are the server's where the zone is UTC; then it is of no interest when items were.
    let (is_zoned, first, last) =
        (span.tz != Span::all().tz, days.first.month().0, days.last.month().0);
    let sql = r#"select currency, digits, month, 1, updated_at, sums,
        case when $4 then counts else '' end from statistics
        where "user" = $1 and day = 0 and month between $2 and $3
        order by currency, digits, month"#;
    let months = conn.query(sql, &[&number, &first, &last, &is_zoned]).await?;
    let mut fetched = Fetched::new(user, number);
    fetched.months = months;
    loop {
        let answer = answers::totals(&fetched, span, currencies);
        if !fetched.lacks() {
            return answer;
        }
        fetched.fetch(conn).await?;
    }
}

pub async fn series(
    conn: &Conn,
    user: &UserId,
    span: &Span,
    currencies: &[String],
    interval: Interval,
    group_by: &GroupBy,
) -> Result<Vec<Series>> {
    let Some(number) = user_number(conn, user).await? else { return Ok(Vec::new()) };
    if let GroupBy::Metadata(_) = group_by {
        let tallies = Tallies::new(span, interval, group_by);
        return by_metadata(conn, user, number, span, currencies, tallies).await;
    }
    let days = Days::of(span);
    let (first, last) = (days.first.month().0, days.last.month().0);
    let sql = r#"select currency, digits, month, day, updated_at, sums, counts from statistics
        where "user" = $1 and month between $2 and $3 and day > 0
        order by currency, digits, month, day"#;
    let mut fetched = Fetched::new(user, number);
    fetched.all = conn.query(sql, &[&number, &first, &last]).await?;
    loop {
        let answer = answers::series(&fetched, span, currencies, interval, group_by);
        if !fetched.lacks() {
            return answer;
        }
        fetched.fetch(conn).await?;
    }
}

/// Goes through all items of the span, some at a time.
async fn by_metadata(
    conn: &Conn,
    user: &UserId,
    number: i64,
    span: &Span,
    currencies: &[String],
    mut tallies: Tallies<'_>,
) -> Result<Vec<Series>> {
    let started = Instant::now();
    let all = Query::all_of(user.clone(), Paging::Cursor { after: None, limit: 1 });
    let query = Query { from: span.from, to: span.to, ..all };
    let look = Look::new(conn, &query, number);
    let mut start = None;
    loop {
        let items = look.feed(start, 0, LOOKED_AT).await?;
        for (_, item) in &items {
            if answers::is_asked_for(item.currency, currencies) {
                let (tally, zone) = tallies.of(item.currency);
                tally.add_item(&Item::from(item), &item.metadata, zone);
            }
        }
        match items.last() {
            Some((tier, last)) if items.len() >= LOOKED_AT as usize => {
                start = Some(Position { tier: *tier, created_at: last.created_at, id: last.id });
            }
            Some(_) | None => return tallies.finish(),
        }
        if started.elapsed() > conn.limit() {
            return Err(Error::TooBroad { limit: conn.limit() });
        }
    }
}

/// The items of a currency from a moment on and before another.
type Stretch = (Currency, Timestamp, Timestamp);

/// What an answer lacked.
#[derive(Default)]
struct Lacking {
    days: BTreeSet<(Currency, Month)>,
    slots: BTreeSet<(Currency, Day)>,
    items: BTreeSet<Stretch>,
}

/// What is fetched so far.
struct Fetched<'a> {
    user: &'a UserId,
    number: i64,
    months: Vec<Row>,
    /// The days of all currencies, where they were asked for.
    all: Vec<Row>,
    days: BTreeMap<(Currency, Month), Vec<Row>>,
    slots: BTreeMap<(Currency, Day), Vec<u8>>,
    items: BTreeMap<Stretch, Vec<Transaction>>,
    lacking: RefCell<Lacking>,
}

impl<'a> Fetched<'a> {
    fn new(user: &'a UserId, number: i64) -> Self {
        Self {
            user,
            number,
            months: Vec::new(),
            all: Vec::new(),
            days: BTreeMap::new(),
            slots: BTreeMap::new(),
            items: BTreeMap::new(),
            lacking: RefCell::default(),
        }
    }

    /// Whether the answer lacked something, and has to be made again.
    fn lacks(&self) -> bool {
        let lacking = self.lacking.borrow();
        !(lacking.days.is_empty() && lacking.slots.is_empty() && lacking.items.is_empty())
    }

    async fn fetch(&mut self, conn: &Conn) -> Result<()> {
        let lacking = self.lacking.take();
        let number = self.number;
        let (days, slots, items) = futures_util::try_join!(
            fetch_days(conn, number, &lacking.days),
            fetch_slots(conn, number, &lacking.slots),
            fetch_items(conn, number, self.user, &lacking.items),
        )?;
        self.days.extend(lacking.days.into_iter().map(|month| (month, Vec::new())));
        for row in days {
            let month = Month(row.small(2, "month")?);
            self.days.entry((codec::currency(&row, 0)?, month)).or_default().push(row);
        }
        self.slots.extend(lacking.slots.into_iter().map(|day| (day, Vec::new())));
        for row in slots {
            let day = (codec::currency(&row, 0)?, codec::day(&row, 2)?);
            self.slots.insert(day, row.bytes(4, "slots")?.to_vec());
        }
        self.items.extend(lacking.items.into_iter().zip(items));
        Ok(())
    }

    fn visit(
        &self,
        rows: &[Row],
        days: Days,
        visit: &mut dyn FnMut(&answers::Row) -> Result<()>,
    ) -> Result<()> {
        for row in rows {
            let (currency, day) = (codec::currency(row, 0)?, codec::day(row, 2)?);
            if days.contain(day) {
                let kept = &OfDay { fetched: self, row, currency, day };
                let updated_at = row.time(UPDATED_AT, "time")?;
                visit(&answers::Row { currency, day, updated_at, kept })?;
            }
        }
        Ok(())
    }
}

// In the statements below `offset` keeps each place that is asked for a look of its own into the
// index: joined, all rows of a user might be read.

/// Currencies as two arrays, their codes and their digits.
fn currencies<'a>(all: impl Iterator<Item = &'a Currency>) -> (Vec<String>, Vec<i16>) {
    all.map(|currency| (currency.code().to_owned(), i16::from(currency.digits()))).unzip()
}

async fn fetch_days(
    conn: &Conn,
    user: i64,
    wanted: &BTreeSet<(Currency, Month)>,
) -> Result<Vec<Row>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "select d.currency, d.digits, d.month, d.day, d.updated_at, d.sums, d.counts \
        from unnest($2, $3, $4) as n(currency, digits, month) \
        cross join lateral (select * from statistics d where d.user = $1 \
        and d.currency = n.currency and d.digits = n.digits and d.month = n.month \
        and d.day > 0 offset 0) d order by d.currency, d.digits, d.month, d.day";
    let (codes, digits) = currencies(wanted.iter().map(|(currency, _)| currency));
    let months: Vec<i32> = wanted.iter().map(|(_, month)| month.0).collect();
    conn.query(sql, &[&user, &codes, &digits, &months]).await
}

async fn fetch_slots(
    conn: &Conn,
    user: i64,
    wanted: &BTreeSet<(Currency, Day)>,
) -> Result<Vec<Row>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "select d.currency, d.digits, d.month, d.day, d.slots \
        from unnest($2, $3, $4, $5) as n(currency, digits, month, day) \
        cross join lateral (select * from statistics d where d.user = $1 \
        and d.currency = n.currency and d.digits = n.digits and d.month = n.month \
        and d.day = n.day offset 0) d";
    let (codes, digits) = currencies(wanted.iter().map(|(currency, _)| currency));
    let place = |day: Day| day.0 - day.month().first_day().0 + 1;
    let (months, days): (Vec<i32>, Vec<i32>) =
        wanted.iter().map(|(_, day)| (day.month().0, place(*day))).unzip();
    conn.query(sql, &[&user, &codes, &digits, &months, &days]).await
}

/// The items of each stretch, in their order.
async fn fetch_items(
    conn: &Conn,
    number: i64,
    user: &UserId,
    wanted: &BTreeSet<Stretch>,
) -> Result<Vec<Vec<Transaction>>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // Nobody asks for their metadata, which is the largest part of most.
    let columns = ITEM.replace("t.metadata", "'{}'::json");
    let sql = format!(
        "select {columns}, n.place from unnest($2, $3, $4, $5) with ordinality \
         as n(currency, digits, low, high, place) \
         cross join lateral (select * from transactions t where t.user = $1 \
         and t.created_at >= n.low and t.created_at < n.high \
         and t.currency = n.currency and t.digits = n.digits offset 0) t"
    );
    let (codes, digits) = currencies(wanted.iter().map(|(currency, _, _)| currency));
    let (low, high): (Vec<i64>, Vec<i64>) =
        wanted.iter().map(|(_, from, to)| (from.micros(), to.micros())).unzip();
    let rows = conn.query(&sql, &[&number, &codes, &digits, &low, &high]).await?;
    let mut found: Vec<Vec<Transaction>> = Vec::new();
    found.resize_with(wanted.len(), Vec::new);
    for row in &rows {
        let place: usize = row.small(ITEM_COLUMNS, "place")?;
        if let Some(items) = place.checked_sub(1).and_then(|place| found.get_mut(place)) {
            items.push(codec::item(row, user)?);
        }
    }
    Ok(found)
}

/// A row that brings all that is asked of it.
struct Plain<'a>(&'a Row);

impl Kept for Plain<'_> {
    fn sums(&self) -> Result<&[u8]> {
        self.0.bytes(SUMS, "totals")
    }

    fn counts(&self) -> Result<&[u8]> {
        self.0.bytes(COUNTS, "counts")
    }

    fn slots(&self) -> Result<&[u8]> {
        Ok(&[])
    }
}

/// A day, whose slots are fetched when they are needed.
struct OfDay<'a> {
    fetched: &'a Fetched<'a>,
    row: &'a Row,
    currency: Currency,
    day: Day,
}

impl Kept for OfDay<'_> {
    fn sums(&self) -> Result<&[u8]> {
        self.row.bytes(SUMS, "totals")
    }

    fn counts(&self) -> Result<&[u8]> {
        self.row.bytes(COUNTS, "counts")
    }

    fn slots(&self) -> Result<&[u8]> {
        let key = (self.currency, self.day);
        if let Some(slots) = self.fetched.slots.get(&key) {
            return Ok(slots);
        }
        self.fetched.lacking.borrow_mut().slots.insert(key);
        Ok(&[])
    }
}

impl Rows for Fetched<'_> {
    fn months(&self, visit: &mut dyn FnMut(&answers::Row) -> Result<()>) -> Result<()> {
        for row in &self.months {
            visit(&answers::Row {
                currency: codec::currency(row, 0)?,
                day: codec::day(row, 2)?,
                updated_at: row.time(UPDATED_AT, "time")?,
                kept: &Plain(row),
            })?;
        }
        Ok(())
    }

    fn days(
        &self,
        days: Days,
        only: Option<Currency>,
        visit: &mut dyn FnMut(&answers::Row) -> Result<()>,
    ) -> Result<()> {
        let Some(currency) = only else { return self.visit(&self.all, days, visit) };
        let key = (currency, days.first.month());
        match self.days.get(&key) {
            Some(rows) => self.visit(rows, days, visit),
            None => {
                self.lacking.borrow_mut().days.insert(key);
                Ok(())
            }
        }
    }

    fn items(
        &self,
        (from, to): (Timestamp, Timestamp),
        currency: Currency,
        visit: &mut dyn FnMut(&Transaction),
    ) -> Result<()> {
        let key = (currency, from, to);
        match self.items.get(&key) {
            Some(items) => items.iter().for_each(visit),
            None => {
                self.lacking.borrow_mut().items.insert(key);
            }
        }
        Ok(())
    }
}
