//! Questions about accounts and transfers.
//!
//! An account's transfers are linked from the newest back, so a page costs as many rows as it
//! shows; marks say where to begin in the middle.

use std::collections::BinaryHeap;

use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery, Whose};
use daybook_core::transfer::Entry;
use daybook_core::write_set::Order;
use daybook_core::{
    AccountId, Balance, EventSeq, Holding, Timestamp, Transfer, TransferId, TransferStatus,
};
use rusqlite::{Connection, OptionalExtension, named_params};

use super::sequence;
use crate::codec::ledger::{HOLDING, HOLDINGS, TRANSFER, holding, transfer as read};
use crate::sqlite::read::user_number;
use crate::{Due, List, Result};

pub fn account(conn: &Connection, id: AccountId) -> Result<Option<Holding>> {
    let sql = format!("select {HOLDING} from {HOLDINGS} where a.account = ?1");
    let mut find = conn.prepare_cached(&sql)?;
    let mut rows = find.query([id.0])?;
    rows.next()?.map(holding).transpose()
}

pub fn accounts(conn: &Connection, query: &AccountsQuery) -> Result<List<Holding>> {
    let mut sql = format!(
        "select {HOLDING} from {HOLDINGS} where a.account > :after and :currency in ('', a.currency) \
         and :status in ('', a.status)"
    );
    let user = match &query.user_id {
        Some(user) => match user_number(conn, user)? {
            Some(number) => number,
            None => return Ok(List::default()),
        },
        None => 0,
    };
    sql.push_str(if query.user_id.is_some() { " and a.user = :user" } else { " and :user = 0" });
    sql.push_str(" order by a.account limit :limit");
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(named_params! {
        ":after": query.after.map_or(i64::MIN, |id| id.0),
        ":currency": query.currency.as_deref().unwrap_or(""),
        ":status": query.status.map_or("", |status| status.name()),
        ":user": user,
        ":limit": i64::from(query.limit) + 1,
    })?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(holding(row)?);
    }
    Ok(List::cut(items, query.limit))
}

pub fn transfer(conn: &Connection, id: TransferId) -> Result<Option<Transfer>> {
    let sql = format!("select {TRANSFER} from transfers where id = ?1");
    let mut find = conn.prepare_cached(&sql)?;
    let mut rows = find.query([id.0.as_bytes().as_slice()])?;
    rows.next()?.map(read).transpose()
}

/// The transfer of a number that a link names.
pub fn numbered(conn: &Connection, number: EventSeq) -> Result<Option<Transfer>> {
    let sql = format!("select {TRANSFER} from transfers where number = ?1");
    let mut find = conn.prepare_cached(&sql)?;
    let mut rows = find.query([number.0])?;
    rows.next()?.map(read).transpose()
}

/// The first mark of an account whose key is at least this.
fn mark(conn: &Connection, account: AccountId, order: Order, key: i64) -> Result<Option<EventSeq>> {
    let mut find = conn.prepare_cached(
        "select number from marks where account = ?1 and sequence = ?2 and key >= ?3 \
         order by key, number limit 1",
    )?;
    let found: Option<i64> =
        find.query_row((account.0, sequence(order), key), |row| row.get(0)).optional()?;
    Ok(found.map(EventSeq))
}

/// The newest entry of an account that was posted before a moment.
fn posted_before(conn: &Connection, holding: &Holding, end: Timestamp) -> Result<Option<Transfer>> {
    let account = holding.account.id;
    let start = mark(conn, account, Order::Posted, end.micros())?;
    let mut next = start.or(holding.funds.posted.last);
    while let Some(number) = next {
        let Some(found) = numbered(conn, number)? else { break };
        if found.posting.is_some_and(|posting| posting.at < end) {
            return Ok(Some(found));
        }
        next = found.leg_of(account).and_then(|leg| leg.previous);
    }
    Ok(None)
}

/// What an account held at a moment; `None` when there is no such account.
pub fn balance_at(conn: &Connection, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
    let Some(mut holding) = account(conn, id)? else { return Ok(None) };
    let end = Timestamp::from_micros(at.micros().saturating_add(1));
    let entry = posted_before(conn, &holding, end)?;
    let leg = entry.and_then(|entry| entry.leg_of(id));
    holding.funds.balance = leg.map_or(Balance::ZERO, |leg| leg.balance);
    Ok(Some(holding))
}

/// A page of a statement; `None` when there is no such account.
pub fn entries(conn: &Connection, query: &EntriesQuery) -> Result<Option<List<Entry>>> {
    let Some(holding) = account(conn, query.account)? else { return Ok(None) };
    let mut next = match query.before {
        Some(before) => {
            let last = numbered(conn, before)?.and_then(|last| last.leg_of(query.account));
            match last.and_then(|leg| leg.previous) {
                Some(number) => numbered(conn, number)?,
                None => None,
            }
        }
        None if query.to < Timestamp::END => posted_before(conn, &holding, query.to)?,
        None => match holding.funds.posted.last {
            Some(number) => numbered(conn, number)?,
            None => None,
        },
    };
    let mut items = Vec::new();
    while let Some(found) = next {
        let Some(entry) = found.entry(query.account) else { break };
        if entry.posted_at < query.from || items.len() > query.limit as usize {
            break;
        }
        items.push(entry);
        next = match found.leg_of(query.account).and_then(|leg| leg.previous) {
            Some(number) => numbered(conn, number)?,
            None => None,
        };
    }
    Ok(Some(List::cut(items, query.limit)))
}

pub fn transfers(conn: &Connection, query: &TransfersQuery) -> Result<List<Transfer>> {
    let rare = |status| status != TransferStatus::Complete;
    let indexed = query.reference.is_some() || query.status.is_some_and(rare);
    match &query.whose {
        Whose::Account(id) if !indexed => walk(conn, query, &[*id]),
        Whose::User(user) if !indexed => {
            let Some(user) = user_number(conn, user)? else { return Ok(List::default()) };
            let mut own = conn
                .prepare_cached("select account from accounts where user = ?1 order by account")?;
            let own = own.query_map([user], |row| row.get(0).map(AccountId))?;
            walk(conn, query, &own.collect::<rusqlite::Result<Vec<_>>>()?)
        }
        Whose::All | Whose::Account(_) | Whose::User(_) => select(conn, query),
    }
}

/// Finds transfers by an index: all of them, those of a rare status, or those of a reference.
fn select(conn: &Connection, query: &TransfersQuery) -> Result<List<Transfer>> {
    let mut sql = format!("select {TRANSFER} from transfers where number < :before");
    let own = match &query.whose {
        Whose::All => 0,
        Whose::Account(id) => {
            sql.push_str(" and :own in (source, destination)");
            id.0
        }
        Whose::User(user) => {
            sql.push_str(
                " and exists (select 1 from accounts where user = :own \
                 and account in (source, destination))",
            );
            match user_number(conn, user)? {
                Some(number) => number,
                None => return Ok(List::default()),
            }
        }
    };
    match query.status {
        // Written out, so that the index of what is rare is known to answer.
        Some(TransferStatus::Complete) => sql.push_str(" and status = 'complete'"),
        Some(status) => sql.push_str(&format!(" and status <> 'complete' and status = '{status}'")),
        None => {}
    }
    if query.reference.is_some() {
        sql.push_str(" and reference = :reference");
    }
    sql.push_str(" order by number desc limit :limit");
    let mut select = conn.prepare_cached(&sql)?;
    let limit = i64::from(query.limit) + 1;
    let before = query.before.map_or(i64::MAX, |before| before.0);
    let mut params: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":before", &before), (":limit", &limit)];
    if query.whose != Whose::All {
        params.push((":own", &own));
    }
    if let Some(reference) = &query.reference {
        params.push((":reference", reference));
    }
    let mut rows = select.query(params.as_slice())?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read(row)?);
    }
    Ok(List::cut(items, query.limit))
}

/// Follows the links of one account or of several, the newest transfer of all first.
fn walk(conn: &Connection, query: &TransfersQuery, own: &[AccountId]) -> Result<List<Transfer>> {
    let mut heads: BinaryHeap<(EventSeq, AccountId)> = BinaryHeap::new();
    for id in own {
        let Some(holding) = account(conn, *id)? else { continue };
        let start = match query.before {
            Some(before) => mark(conn, *id, Order::Listed, before.0)?,
            None => None,
        };
        heads.extend(start.or(holding.funds.listed.last).map(|head| (head, *id)));
    }
    let mut items: Vec<Transfer> = Vec::new();
    let mut seen: Option<EventSeq> = None;
    while let Some((number, id)) = heads.pop() {
        let Some(found) = numbered(conn, number)? else { continue };
        heads.extend(found.earlier_of(id).map(|next| (next, id)));
        let early = query.before.is_none_or(|before| number < before);
        let right = query.status.is_none_or(|status| status == found.status);
        // A transfer between two accounts of one user is met twice, one time after the other.
        if early && right && seen != Some(number) {
            seen = Some(number);
            items.push(found);
            if items.len() > query.limit as usize {
                break;
            }
        }
    }
    Ok(List::cut(items, query.limit))
}

/// The transfers that somebody must look at by now, and when the next one is due.
pub fn due(conn: &Connection, at: Timestamp, limit: u32) -> Result<Due> {
    let mut select = conn.prepare_cached(
        "select id, next_attempt is not null from transfers \
         where due is not null and due <= ?1 order by due, number limit ?2",
    )?;
    let mut due = Due::default();
    let mut rows = select.query((at.micros(), limit))?;
    while let Some(row) = rows.next()? {
        let id = TransferId(uuid::Uuid::from_bytes(row.get(0)?));
        if row.get(1)? { due.waiting.push(id) } else { due.expired.push(id) }
    }
    let mut next =
        conn.prepare_cached("select min(due) from transfers where due is not null and due > ?1")?;
    let next: Option<i64> = next.query_row([at.micros()], |row| row.get(0))?;
    due.next = next.map(Timestamp::from_micros);
    Ok(due)
}
