//! Questions about items and about what happened to them.

use daybook_core::cursor::Position;
use daybook_core::query::Query;
use daybook_core::{Event, EventSeq, Subject, Transaction, TransactionId, UserId};
use tokio_postgres::Row;

use super::ask::Ask;
use super::connect::Conn;
use super::param::Atto;
use super::search::Search;
use super::{sift, statistics};
use crate::codec::postgres::EVENT;
use crate::codec::{self, Columns, EVENT_COLUMNS, ITEM, ITEM_COLUMNS};
use crate::page::{self, START, cut, window};
use crate::{Changes, Page, Result};

/// The number of a user, when there is one.
pub async fn user_number(conn: &Conn, user: &UserId) -> Result<Option<i64>> {
    let find = r#"select "user" from users where name = $1"#;
    let row = conn.query_opt(find, &[&user.as_str()]).await?;
    row.map(|row| row.number(0, "user")).transpose()
}

pub async fn transaction(conn: &Conn, id: TransactionId) -> Result<Option<Transaction>> {
    let sql = format!(
        "select {ITEM}, u.name from transactions t join users u on u.user = t.user where t.id = $1"
    );
    let row = conn.query_opt(&sql, &[&id.0]).await?;
    row.map(|row| codec::item(&row, &codec::user(&row, ITEM_COLUMNS)?)).transpose()
}

/// One page of a user's items.
pub async fn page(conn: &Conn, query: &Query) -> Result<Page> {
    let Some(user) = user_number(conn, &query.user_id).await? else {
        return Ok(page::empty(query));
    };
    if !query.compare.is_empty() {
        return sift::page(conn, query, user).await;
    }
    let look = Look::new(conn, query, user);
    if query.needs_index() {
        return Search::new(look).await?.page().await;
    }
    let (offset, limit) = window(&query.paging);
    let rows = look.feed(page::after(&query.paging), offset, limit as i64 + 1);
    let (items, total) = futures_util::try_join!(rows, look.total())?;
    Ok(Page { total, ..cut(items, limit) })
}

/// A question about one user's items, and what the rows themselves must fulfil.
pub struct Look<'a> {
    pub conn: &'a Conn,
    pub query: &'a Query,
    pub user: i64,
    from: i64,
    to: i64,
    min: Option<Atto>,
    max: Option<Atto>,
}

impl<'a> Look<'a> {
    pub fn new(conn: &'a Conn, query: &'a Query, user: i64) -> Self {
        let atto = |amount: daybook_core::Amount| Atto::of(amount.atto());
        Self {
            conn,
            query,
            user,
            from: query.from.micros(),
            to: query.to.micros(),
            min: query.amount_min.map(atto),
            max: query.amount_max.map(atto),
        }
    }

    /// Adds the conditions on time.
    pub fn in_time<'b>(&'b self, ask: &mut Ask<'b>) {
        ask.push(" and t.created_at >= ").bind(&self.from);
        ask.push(" and t.created_at < ").bind(&self.to);
    }

    /// Adds the conditions on amounts.
    pub fn in_amount<'b>(&'b self, ask: &mut Ask<'b>) {
        if let Some(min) = &self.min {
            ask.push(" and t.amount >= ").bind(min);
        }
        if let Some(max) = &self.max {
            ask.push(" and t.amount <= ").bind(max);
        }
    }

    pub async fn rows(&self, ask: Ask<'_>) -> Result<Vec<Row>> {
        self.conn.query(&ask.sql, &ask.params).await
    }

    pub fn item(&self, row: &Row) -> Result<Transaction> {
        codec::item(row, &self.query.user_id)
    }

    /// Items newest first, straight from the feed index.
    pub async fn feed(
        &self,
        start: Option<Position>,
        offset: u64,
        limit: i64,
    ) -> Result<Vec<(u8, Transaction)>> {
        let start = start.unwrap_or(START);
        let (time, id) = (start.created_at.micros(), start.id.0);
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let mut ask = Ask::default();
        // What is passed over is passed over in the index, without a look at the items.
        let far = offset > 0;
        ask.push("select ").push(if far { "t.id as found" } else { ITEM });
        ask.push(" from transactions t where t.user = ").bind(&self.user);
        ask.push(" and (t.created_at, t.id) < (").bind(&time).push(", ").bind(&id).push(")");
        self.in_time(&mut ask);
        self.in_amount(&mut ask);
        ask.push(" order by t.created_at desc, t.id desc limit ").bind(&limit);
        if far {
            ask.push(" offset ").bind(&offset);
            ask.around(
                &format!("select {ITEM} from ("),
                ") f cross join lateral \
                 (select * from transactions t where t.id = f.found offset 0) t \
                 order by t.created_at desc, t.id desc",
            );
        }
        let rows = self.rows(ask).await?;
        rows.iter().map(|row| Ok((0, self.item(row)?))).collect()
    }

    async fn total(&self) -> Result<Option<u64>> {
        if !page::is_numbered(self.query) {
            return Ok(None);
        }
        if page::counts_all(self.query) {
            return statistics::items(self.conn, self.user).await.map(Some);
        }
        let mut ask = Ask::default();
        ask.push("select count(*) from transactions t where t.user = ").bind(&self.user);
        self.in_time(&mut ask);
        self.in_amount(&mut ask);
        Ok(Some(self.count(ask).await?))
    }

    pub async fn count(&self, ask: Ask<'_>) -> Result<u64> {
        let rows = self.rows(ask).await?;
        rows.first().map_or(Ok(0), |row| row.small(0, "count"))
    }
}

/// Every version of an item, oldest first.
pub async fn history(conn: &Conn, id: TransactionId) -> Result<Vec<Event>> {
    // `offset` keeps each step back a look of its own into the index.
    let sql = format!(
        "with recursive newest as (\
             (select seq from transactions where id = $1 \
              union all select seq from events \
              where subject = $2 and event_type = 'transaction.deleted') limit 1), \
         chain as (\
             select e.* from events e where e.seq = (select seq from newest) \
             union all \
             select e.* from chain c cross join lateral \
                 (select * from events e where e.seq = c.previous offset 0) e) \
         select {EVENT}, u.name from chain e join users u on u.user = e.user order by e.seq"
    );
    let subject = codec::subject_bytes(Subject::Item(id));
    let rows = conn.query(&sql, &[&id.0, &subject]).await?;
    rows.iter().map(|row| codec::event(row, Some(codec::user(row, EVENT_COLUMNS)?))).collect()
}

/// The events of a user's items after a position, oldest first.
pub async fn changes(conn: &Conn, user: &UserId, after: EventSeq, limit: u32) -> Result<Changes> {
    let Some(number) = user_number(conn, user).await? else {
        return Ok(Changes { next: after, ..Changes::default() });
    };
    // The types are written out, so that the index of the events of items is known to answer.
    let sql = format!(
        "select {EVENT} from events e where e.user = $1 and e.seq > $2 and e.event_type in \
         ('transaction.created', 'transaction.updated', 'transaction.deleted') \
         order by e.seq limit $3"
    );
    let rows = conn.query(&sql, &[&number, &after.0, &(i64::from(limit) + 1)]).await?;
    let limit = limit as usize;
    let shown = rows.iter().take(limit);
    let events: Vec<Event> =
        shown.map(|row| codec::event(row, Some(user.clone()))).collect::<Result<_>>()?;
    let next = events.last().map_or(after, |event| event.seq);
    Ok(Changes { events, next, has_more: rows.len() > limit })
}

/// The events of everybody after a position. Commits take turns, so an event that is seen has all
/// of its predecessors before it.
pub async fn events(conn: &Conn, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
    let sql = format!(
        "select {EVENT}, u.name from events e left join users u on u.user = e.user \
         where e.seq > $1 order by e.seq limit $2"
    );
    let rows = conn.query(&sql, &[&after.0, &i64::from(limit)]).await?;
    rows.iter().map(|row| codec::event(row, codec::maybe_user(row, EVENT_COLUMNS)?)).collect()
}

pub async fn users(conn: &Conn, after: Option<&UserId>, limit: u32) -> Result<Vec<UserId>> {
    let after = after.map_or("", UserId::as_str);
    let sql = "select name from users where name > $1 order by name limit $2";
    let rows = conn.query(sql, &[&after, &i64::from(limit)]).await?;
    rows.iter().map(|row| codec::user(row, 0)).collect()
}
