//! Questions about accounts and transfers.
//!
//! An account's transfers are linked from the newest back. One statement follows the links of a
//! page, so that it costs as many rows as it shows; marks say where to begin in the middle.

use std::time::Instant;

use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery, Whose};
use daybook_core::transfer::Entry;
use daybook_core::{
    AccountId, AccountStatus, Balance, Holding, Timestamp, Transfer, TransferId, TransferStatus,
    UserId,
};
use tokio_postgres::Row;

use super::ask::Ask;
use super::connect::Conn;
use super::read::user_number;
use crate::codec::Columns;
use crate::codec::corrupt;
use crate::codec::ledger::{
    HOLDING, HOLDINGS, TRANSFER, TRANSFER_COLUMNS, holding, transfer as read,
};
use crate::{Due, Error, List, Result};

/// How many links one statement follows when it looks for transfers of a status.
const FOLLOWED: i64 = 2_000;

pub async fn account(conn: &Conn, id: AccountId) -> Result<Option<Holding>> {
    let sql = format!("select {HOLDING} from {HOLDINGS} where a.account = $1");
    conn.query_opt(&sql, &[&id.0]).await?.as_ref().map(holding).transpose()
}

pub async fn accounts(conn: &Conn, query: &AccountsQuery) -> Result<List<Holding>> {
    let user = match &query.user_id {
        Some(user) => match user_number(conn, user).await? {
            Some(number) => Some(number),
            None => return Ok(List::default()),
        },
        None => None,
    };
    let after = query.after.map_or(i64::MIN, |id| id.0);
    let currency = query.currency.as_deref().filter(|code| !code.is_empty());
    let status = query.status.map(AccountStatus::name);
    let limit = i64::from(query.limit) + 1;
    let mut ask = Ask::default();
    ask.push(&format!("select {HOLDING} from {HOLDINGS} where a.account > ")).bind(&after);
    if let Some(currency) = &currency {
        if !is_text(currency) {
            return Ok(List::default());
        }
        ask.push(" and a.currency = ").bind(currency);
    }
    if let Some(status) = &status {
        ask.push(" and a.status = ").bind(status);
    }
    if let Some(user) = &user {
        ask.push(" and a.user = ").bind(user);
    }
    ask.push(" order by a.account limit ").bind(&limit);
    let rows = conn.query(&ask.sql, &ask.params).await?;
    let items = rows.iter().map(holding).collect::<Result<_>>()?;
    Ok(List::cut(items, query.limit))
}

/// Whether the server takes it as a text: it knows no NUL, so nothing there has one.
fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

pub async fn transfer(conn: &Conn, id: TransferId) -> Result<Option<Transfer>> {
    let sql = format!("select {TRANSFER} from transfers where id = $1");
    conn.query_opt(&sql, &[&id.0]).await?.as_ref().map(read).transpose()
}

/// Follows an account's entries back from `$start`, as far as $2 shown ones, which were posted
/// before $3 and, the last one excepted, from $4 on. The account is $1. `offset` keeps each step a
/// look of its own into the index.
fn chain(start: &str) -> String {
    format!(
        "with recursive chain as (\
             select t.*, (t.posted_at < $3)::int as shown, 1 as depth \
             from transfers t where t.number = ({start}) and t.posted_at is not null \
             union all \
             select t.*, c.shown + (t.posted_at < $3)::int, c.depth + 1 \
             from chain c cross join lateral (select * from transfers t where t.number = \
                 case when c.source = $1 then c.source_previous else c.destination_previous end \
                 offset 0) t \
             where c.shown < $2 and c.posted_at >= $4) \
         select {TRANSFER} from chain where posted_at < $3 and posted_at >= $4 order by depth"
    )
}

/// Where the entries that were posted before $3 are to be looked for.
const BEFORE_TIME: &str = "select coalesce(\
    (select m.number from marks m where m.account = $1 and m.sequence = 0 and m.key >= $3 \
     order by m.key, m.number limit 1), \
    (select f.posted_last from funds f where f.account = $1))";

/// The entry before the one of the transfer $5.
const BEFORE_TRANSFER: &str = "select \
    case when b.source = $1 then b.source_previous else b.destination_previous end \
    from transfers b where b.number = $5 and $1 in (b.source, b.destination)";

/// What an account held at a moment; `None` when there is no such account.
pub async fn balance_at(conn: &Conn, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
    let end = at.micros().saturating_add(1);
    let rows = async { conn.query(&chain(BEFORE_TIME), &[&id.0, &1_i32, &end, &i64::MIN]).await };
    let (found, rows) = futures_util::try_join!(account(conn, id), rows)?;
    let Some(mut holding) = found else { return Ok(None) };
    let entry = rows.first().map(read).transpose()?;
    let leg = entry.and_then(|entry| entry.leg_of(id));
    holding.funds.balance = leg.map_or(Balance::ZERO, |leg| leg.balance);
    Ok(Some(holding))
}

/// A page of a statement; `None` when there is no such account.
pub async fn entries(conn: &Conn, query: &EntriesQuery) -> Result<Option<List<Entry>>> {
    let id = query.account;
    let limit = i32::try_from(query.limit).unwrap_or(i32::MAX).saturating_add(1);
    let (from, to) = (query.from.micros(), query.to.micros());
    let rows = async {
        match query.before {
            Some(before) => {
                let sql = chain(BEFORE_TRANSFER);
                conn.query(&sql, &[&id.0, &limit, &i64::MAX, &from, &before.0]).await
            }
            None => conn.query(&chain(BEFORE_TIME), &[&id.0, &limit, &to, &from]).await,
        }
    };
    let (found, rows) = futures_util::try_join!(account(conn, id), rows)?;
    if found.is_none() {
        return Ok(None);
    }
    let entry = |row: &Row| read(row)?.entry(id).ok_or_else(|| corrupt("entry"));
    let items = rows.iter().map(entry).collect::<Result<_>>()?;
    Ok(Some(List::cut(items, query.limit)))
}

pub async fn transfers(conn: &Conn, query: &TransfersQuery) -> Result<List<Transfer>> {
    let rare = |status| status != TransferStatus::Complete;
    let indexed = query.reference.is_some() || query.status.is_some_and(rare);
    match &query.whose {
        Whose::Account(id) if !indexed => walk(conn, query, Own::Account(*id)).await,
        Whose::User(user) if !indexed => walk(conn, query, Own::User(user)).await,
        Whose::All | Whose::Account(_) | Whose::User(_) => select(conn, query).await,
    }
}

/// Finds transfers by an index: all of them, those of a rare status, or those of a reference.
async fn select(conn: &Conn, query: &TransfersQuery) -> Result<List<Transfer>> {
    if query.reference.as_deref().is_some_and(|reference| !is_text(reference)) {
        return Ok(List::default());
    }
    let before = query.before.map_or(i64::MAX, |before| before.0);
    let limit = i64::from(query.limit) + 1;
    let own = match &query.whose {
        Whose::All => 0,
        Whose::Account(id) => id.0,
        Whose::User(user) => match user_number(conn, user).await? {
            Some(number) => number,
            None => return Ok(List::default()),
        },
    };
    let mut ask = Ask::default();
    ask.push(&format!("select {TRANSFER} from transfers t where number < ")).bind(&before);
    match &query.whose {
        Whose::All => {}
        Whose::Account(_) => {
            ask.push(" and ").bind(&own).push(" in (source, destination)");
        }
        Whose::User(_) => {
            ask.push(" and exists (select 1 from accounts a where a.user = ").bind(&own);
            ask.push(" and a.account in (t.source, t.destination))");
        }
    }
    match query.status {
        // Written out, so that the index of what is rare is known to answer.
        Some(TransferStatus::Complete) => {
            ask.push(" and status = 'complete'");
        }
        Some(status) => {
            ask.push(&format!(" and status <> 'complete' and status = '{status}'"));
        }
        None => {}
    }
    if let Some(reference) = &query.reference {
        ask.push(" and reference = ").bind(reference);
    }
    ask.push(" order by number desc limit ").bind(&limit);
    let rows = conn.query(&ask.sql, &ask.params).await?;
    let items = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(List::cut(items, query.limit))
}

/// Whose links are followed.
enum Own<'a> {
    Account(AccountId),
    User(&'a UserId),
}

/// Follows the links of several accounts at once. The head of each is its newest transfer before
/// the number $2; what is newer is passed over, from the mark behind it on. Each step takes the
/// newest of all heads, and moves every head that stands on it. The walk ends after $4 transfers
/// of the status $3, or of any where that is empty, or after $5 steps, where it is to be gone on.
/// `offset` keeps each step back a look of its own into the index.
fn steps(whose: &str) -> String {
    format!(
        "with recursive own as (\
             select a.account, coalesce(\
                 (select m.number from marks m where m.account = a.account and m.sequence = 1 \
                  and m.key >= $2 order by m.key, m.number limit 1), f.listed_last) as head \
             from accounts a join funds f on f.account = a.account where {whose}), \
         back as (\
             select o.account, o.head from own o where o.head is not null \
             union all \
             select b.account, case when b.account = t.source then t.source_earlier \
                 else t.destination_earlier end \
             from back b cross join lateral \
                 (select * from transfers t where t.number = b.head offset 0) t \
             where b.head >= $2), \
         heads as (\
             select array_agg(b.account order by b.account) as accounts, \
                 array_agg(b.head order by b.account) as heads \
             from back b where b.head < $2), \
         walk as (\
             select h.heads, null::bigint as at, false as is_right, 0 as shown, \
                 0::bigint as step \
             from heads h \
             union all \
             select array(select case when h.head is distinct from t.number then h.head \
                     when h.account = t.source then t.source_earlier \
                     else t.destination_earlier end \
                     from unnest(w.heads, (select accounts from heads)) \
                     with ordinality as h(head, account, place) order by h.place), \
                 t.number, $3 in ('', t.status), w.shown + ($3 in ('', t.status))::int, \
                 w.step + 1 \
             from walk w cross join lateral \
                 (select * from transfers t \
                  where t.number = (select max(h) from unnest(w.heads) h) offset 0) t \
             where w.shown < $4 and w.step < $5) \
         select {TRANSFER}, w.is_right, w.step from walk w cross join lateral \
             (select * from transfers t where t.number = w.at offset 0) t \
         where w.is_right or w.step = $5 order by w.step"
    )
}

/// Follows the links of one account or of several, the newest transfer of all first.
async fn walk(conn: &Conn, query: &TransfersQuery, own: Own<'_>) -> Result<List<Transfer>> {
    let started = Instant::now();
    let (sql, number) = match own {
        Own::Account(id) => (steps("a.account = $1"), id.0),
        Own::User(user) => match user_number(conn, user).await? {
            Some(number) => (steps("a.user = $1"), number),
            None => return Ok(List::default()),
        },
    };
    let status = query.status.map_or("", |status| status.name());
    let wanted = query.limit as usize + 1;
    let mut before = query.before.map_or(i64::MAX, |before| before.0);
    let mut items: Vec<Transfer> = Vec::new();
    loop {
        let missing = i32::try_from(wanted - items.len()).unwrap_or(i32::MAX);
        let rows = conn.query(&sql, &[&number, &before, &status, &missing, &FOLLOWED]).await?;
        let mut goes_on = false;
        for row in &rows {
            let found = read(row)?;
            goes_on = row.number(TRANSFER_COLUMNS + 1, "step")? == FOLLOWED;
            before = found.number.0;
            if row.flag(TRANSFER_COLUMNS, "mark")? {
                items.push(found);
            }
        }
        if !goes_on || items.len() >= wanted {
            return Ok(List::cut(items, query.limit));
        }
        if started.elapsed() > conn.limit() {
            return Err(Error::TooBroad { limit: conn.limit() });
        }
    }
}

/// The transfers that somebody must look at by now, and when the next one is due.
pub async fn due(conn: &Conn, at: Timestamp, limit: u32) -> Result<Due> {
    let now = "select id, next_attempt is not null from transfers \
        where due is not null and due <= $1 order by due, number limit $2";
    let later = "select min(due) from transfers where due is not null and due > $1";
    let (micros, limit) = (at.micros(), i64::from(limit));
    let (rows, next) =
        futures_util::try_join!(async { conn.query(now, &[&micros, &limit]).await }, async {
            conn.query_opt(later, &[&micros]).await
        },)?;
    let mut due = Due::default();
    for row in &rows {
        let id = TransferId(row.uuid(0, "id")?);
        if row.flag(1, "mark")? { due.waiting.push(id) } else { due.expired.push(id) }
    }
    due.next = next.map_or(Ok(None), |row| row.maybe_time(0, "time"))?;
    Ok(due)
}
