//! Questions about items and about what happened to them.

use std::cmp::Reverse;

use daybook_core::cursor::Position;
use daybook_core::query::{Order, Paging, Query};
use daybook_core::search::{Clause, Typo};
use daybook_core::{Event, EventSeq, Transaction, TransactionId, UserId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};

use super::{pool, statistics};
use crate::codec::sqlite::{EVENT, amount_bytes};
use crate::codec::{self, EVENT_COLUMNS, ITEM, ITEM_COLUMNS};
use crate::dictionary::{self, BEGINNINGS_READ, Walk};
use crate::page::{self, START, after, counts_all, cut, is_all_time, window};
use crate::sql::{self, Dialect, Matcher, Reach, Tier};
use crate::{Changes, Page, Result};

/// The number of a user, when there is one.
pub fn user_number(conn: &Connection, user: &UserId) -> Result<Option<i64>> {
    let mut find = conn.prepare_cached("select user from users where name = ?1")?;
    Ok(find.query_row([user.as_str()], |row| row.get(0)).optional()?)
}

pub fn transaction(conn: &Connection, id: TransactionId) -> Result<Option<Transaction>> {
    let sql = format!(
        "select {ITEM}, u.name from transactions t join users u on u.user = t.user where t.id = ?1"
    );
    let mut find = conn.prepare_cached(&sql)?;
    let mut rows = find.query([id.0.as_bytes().as_slice()])?;
    match rows.next()? {
        Some(row) => Ok(Some(codec::item(row, &codec::user(row, ITEM_COLUMNS)?)?)),
        None => Ok(None),
    }
}

/// Items that may be passed over without a change of threads: some microseconds.
const QUICK_OFFSET_MAX: u64 = 200;

/// One page of a user's items.
///
/// `known` is how many items the user has, when somebody remembers.
pub fn page(conn: &Connection, query: &Query, known: Option<u64>) -> Result<Page> {
    let Some(user) = user_number(conn, &query.user_id)? else {
        return Ok(page::empty(query));
    };
    if query.needs_index() {
        Search::new(conn, query, user)?.page()
    } else {
        feed(conn, query, user, known)
    }
}

/// The parameters of [`sql::Matcher`]'s and the feed's conditions.
struct Conditions {
    from: i64,
    to: i64,
    min: Option<[u8; 16]>,
    max: Option<[u8; 16]>,
    compare: Option<String>,
}

impl Conditions {
    fn of(query: &Query) -> Self {
        let compares = &query.compare;
        Self {
            from: query.from.micros(),
            to: query.to.micros(),
            min: query.amount_min.map(amount_bytes),
            max: query.amount_max.map(amount_bytes),
            compare: (!compares.is_empty()).then(|| pool::write_compares(compares)),
        }
    }

    fn bind<'a>(&'a self, params: &mut Vec<(&'static str, &'a dyn ToSql)>) {
        params.push((":from", &self.from));
        params.push((":to", &self.to));
        if let Some(min) = &self.min {
            params.push((":min", min));
        }
        if let Some(max) = &self.max {
            params.push((":max", max));
        }
        if let Some(compare) = &self.compare {
            params.push((":compare", compare));
        }
    }
}

fn feed(conn: &Connection, query: &Query, user: i64, known: Option<u64>) -> Result<Page> {
    let (offset, limit) = window(&query.paging);
    let conditions = Conditions::of(query);
    let start = after(&query.paging).unwrap_or(START);
    let (time, id) = (start.created_at.micros(), start.id.0.as_bytes().as_slice());
    let (offset, more) = (i64::try_from(offset).unwrap_or(i64::MAX), limit as i64 + 1);
    let mut params: Vec<(&str, &dyn ToSql)> = vec![
        (":user", &user),
        (":time", &time),
        (":id", &id),
        (":limit", &more),
        (":offset", &offset),
    ];
    conditions.bind(&mut params);
    let mut select = conn.prepare_cached(&sql::feed(query))?;
    let mut rows = select.query(params.as_slice())?;
    let mut items = Vec::with_capacity(limit + 1);
    while let Some(row) = rows.next()? {
        items.push((0, codec::item(row, &query.user_id)?));
    }
    let mut page = cut(items, limit);
    if page::is_numbered(query) {
        page.total = Some(feed_total(conn, query, user, known, &conditions)?);
    }
    Ok(page)
}

fn feed_total(
    conn: &Connection,
    query: &Query,
    user: i64,
    known: Option<u64>,
    conditions: &Conditions,
) -> Result<u64> {
    if counts_all(query) {
        return known.map_or_else(|| statistics::items(conn, &query.user_id, user), Ok);
    }
    let mut params: Vec<(&str, &dyn ToSql)> = vec![(":user", &user)];
    conditions.bind(&mut params);
    let mut count = conn.prepare_cached(&sql::feed_count(query))?;
    Ok(count.query_row(params.as_slice(), |row| row.get(0))?)
}

/// Whether a page costs no more than its items: it begins near a place that the feed index finds,
/// and nothing has to be counted.
pub fn is_quick(query: &Query, known: Option<u64>) -> bool {
    let begins_near = window(&query.paging).0 <= QUICK_OFFSET_MAX;
    let counted = known.is_some() || matches!(query.paging, Paging::Cursor { .. });
    begins_near && counted && !query.needs_items() && !query.needs_index()
}

/// A question that needs the index of words and terms.
struct Search<'a> {
    conn: &'a Connection,
    query: &'a Query,
    user: i64,
    conditions: Conditions,
    reach: Vec<Reach>,
}

impl<'a> Search<'a> {
    fn new(conn: &'a Connection, query: &'a Query, user: i64) -> Result<Self> {
        let reach = query.search.iter().map(|clause| reach(conn, user, clause));
        let reach = reach.collect::<Result<_>>()?;
        Ok(Self { conn, query, user, conditions: Conditions::of(query), reach })
    }

    fn page(&self) -> Result<Page> {
        let matcher = Matcher::new(Dialect::Fts5, self.query, self.user, &self.reach);
        let (offset, limit) = window(&self.query.paging);
        let mut take = Take { skip: offset, wanted: limit + 1, items: Vec::new() };
        let start = after(&self.query.paging);
        match self.query.order {
            Order::Newest => self.collect(&matcher.up_to(Tier::Typo), start, 0, &mut take)?,
            Order::Best => {
                let first = start.map_or(Tier::Exact, |p| Tier::of(p.tier).unwrap_or(Tier::Exact));
                for tier in Tier::ALL.into_iter().filter(|tier| *tier >= first) {
                    if take.full() || !matcher.reaches(tier) {
                        continue;
                    }
                    let start = start.filter(|_| tier == first);
                    self.collect(&matcher.at(tier), start, tier.number(), &mut take)?;
                }
            }
        }
        let mut page = cut(take.items, limit);
        page.is_cut = self.reach.iter().any(|reach| reach.is_cut);
        if page::is_numbered(self.query) {
            page.total = Some(self.count(&matcher.up_to(Tier::Typo))?);
        }
        Ok(page)
    }

    /// The row numbers that a question about a time can concern, and up to a position.
    fn rows(&self, start: Option<Position>) -> (i64, i64) {
        let low = codec::pos_from(self.query.from);
        let high = codec::pos_to(self.query.to);
        (low, start.map_or(high, |start| high.min(codec::pos_to(start.created_at))))
    }

    /// Takes items in the feed's order. Row numbers order them by second; within a second they
    /// are sorted here.
    fn collect(
        &self,
        matching: &str,
        start: Option<Position>,
        tier: u8,
        take: &mut Take,
    ) -> Result<()> {
        let (low, high) = self.rows(start);
        let mut params: Vec<(&str, &dyn ToSql)> =
            vec![(":match", &matching), (":low", &low), (":high", &high)];
        self.conditions.bind(&mut params);
        let mut select = self.conn.prepare_cached(&sql::found(self.query))?;
        let mut rows = select.query(params.as_slice())?;
        let mut second: Vec<Transaction> = Vec::new();
        let mut current = i64::MAX;
        while let Some(row) = rows.next()? {
            let of_row = codec::pos_second(row.get(ITEM_COLUMNS)?);
            if of_row != current {
                take.second(&mut second, tier);
                current = of_row;
                if take.full() {
                    return Ok(());
                }
            }
            if let Some(item) = self.read(row, start)? {
                second.push(item);
            }
        }
        take.second(&mut second, tier);
        Ok(())
    }

    fn read(&self, row: &Row, start: Option<Position>) -> Result<Option<Transaction>> {
        let item = codec::item(row, &self.query.user_id)?;
        let before = |start: Position| (item.created_at, item.id) < (start.created_at, start.id);
        Ok(start.is_none_or(before).then_some(item))
    }

    fn count(&self, matching: &str) -> Result<u64> {
        let all_time = is_all_time(self.query);
        let mut count = self.conn.prepare_cached(&sql::found_count(self.query, all_time))?;
        let (low, high) = self.rows(None);
        let mut params: Vec<(&str, &dyn ToSql)> = vec![(":match", &matching)];
        if !all_time || self.query.needs_items() {
            params.extend([(":low", &low as &dyn ToSql), (":high", &high)]);
            self.conditions.bind(&mut params);
        }
        Ok(count.query_row(params.as_slice(), |row| row.get(0))?)
    }
}

/// Collects a page.
struct Take {
    skip: u64,
    wanted: usize,
    items: Vec<(u8, Transaction)>,
}

impl Take {
    fn full(&self) -> bool {
        self.items.len() >= self.wanted
    }

    /// Takes the items of one second, newest first.
    fn second(&mut self, second: &mut Vec<Transaction>, tier: u8) {
        second.sort_unstable_by_key(|item| Reverse((item.created_at, item.id)));
        for item in second.drain(..) {
            if self.skip > 0 {
                self.skip -= 1;
            } else if !self.full() {
                self.items.push((tier, item));
            }
        }
    }
}

/// Looks up which words of a user's dictionary a searched word stands for.
fn reach(conn: &Connection, user: i64, clause: &Clause) -> Result<Reach> {
    let (mut reach, look_up) = dictionary::reach_of(clause);
    if let Some(word) = look_up.beginnings_of {
        let mut from = conn.prepare_cached(
            "select word from words where user = ?1 and word >= ?2 order by word limit ?3",
        )?;
        let entries = from.query_map((user, word, BEGINNINGS_READ), |row| row.get(0))?;
        reach.beginnings = dictionary::beginnings(word, entries)?;
    }
    if let Some(typo) = look_up.typo {
        typos(conn, user, typo)?.finish(&mut reach);
    }
    Ok(reach)
}

/// Walks the dictionary, jumping over every beginning that no near word can have.
fn typos(conn: &Connection, user: i64, typo: Typo) -> Result<Walk> {
    // So many words are stepped over before a jump pays.
    const STEPS_BEFORE_JUMP: u32 = 8;
    let mut from =
        conn.prepare_cached("select word from words where user = ?1 and word >= ?2 order by word")?;
    let mut walk = Walk::new(typo);
    let mut next = Some(String::new());
    while let Some(start) = next.take() {
        let mut rows = from.query((user, &start))?;
        let mut steps = 0;
        while let Some(row) = rows.next()? {
            let word = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            steps = if walk.visit(word) { 0 } else { steps + 1 };
            if steps == STEPS_BEFORE_JUMP {
                next = walk.behind();
                break;
            }
        }
    }
    Ok(walk)
}

/// Every version of an item, oldest first.
pub fn history(conn: &Connection, id: TransactionId) -> Result<Vec<Event>> {
    let id = id.0.as_bytes().as_slice();
    let mut newest = conn.prepare_cached(
        "select seq from transactions where id = ?1 \
         union all select seq from events \
         where transaction_id = ?1 and event_type = 'transaction.deleted' limit 1",
    )?;
    let mut at: Option<i64> = newest.query_row([id], |row| row.get(0)).optional()?;
    let sql = format!(
        "select {EVENT}, u.name from events e join users u on u.user = e.user where e.seq = ?1"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let mut events = Vec::new();
    while let Some(seq) = at {
        let mut rows = select.query([seq])?;
        let Some(row) = rows.next()? else { break };
        let event = codec::event(row, Some(codec::user(row, EVENT_COLUMNS)?))?;
        at = event.previous.map(|previous| previous.0);
        events.push(event);
    }
    events.reverse();
    Ok(events)
}

/// The events of a user's items after a position, oldest first.
pub fn changes(conn: &Connection, user: &UserId, after: EventSeq, limit: u32) -> Result<Changes> {
    let Some(number) = user_number(conn, user)? else {
        return Ok(Changes { next: after, ..Changes::default() });
    };
    let sql = format!(
        "select {EVENT} from events_user u cross join events e on e.seq = u.rowid \
         where u.events_user match :user and u.rowid > :after order by u.rowid limit :limit"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let limit = limit as usize;
    let mut rows = select.query(named_params! {
        ":user": format!("\"{}\"", codec::prefix(number)), ":after": after.0, ":limit": limit as i64 + 1,
    })?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(codec::event(row, Some(user.clone()))?);
    }
    let has_more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().map_or(after, |event| event.seq);
    Ok(Changes { events, next, has_more })
}

/// The events of everybody after a position.
pub fn events(conn: &Connection, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
    let sql = format!(
        "select {EVENT}, u.name from events e left join users u on u.user = e.user \
         where e.seq > ?1 order by e.seq limit ?2"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query((after.0, limit))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(codec::event(row, codec::maybe_user(row, EVENT_COLUMNS)?)?);
    }
    Ok(events)
}

pub fn users(conn: &Connection, after: Option<&UserId>, limit: u32) -> Result<Vec<UserId>> {
    let after = after.map_or("", UserId::as_str);
    let mut select =
        conn.prepare_cached("select name from users where name > ?1 order by name limit ?2")?;
    let mut rows = select.query((after, limit))?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(codec::user(row, 0)?);
    }
    Ok(users)
}
