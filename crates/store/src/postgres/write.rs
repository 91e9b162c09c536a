//! What a commit writes: rows of arrays, one statement with a fixed text for each kind.

mod ledger;

use std::collections::HashSet;

use daybook_core::id::fnv128;
use daybook_core::write_set::{StoredReply, WriteSet};
use daybook_core::{ApiKey, Event, Timestamp, Transaction, UserId};
use uuid::Uuid;

use super::buckets::Folded;
use super::connect::Conn;
use super::param::{Atto, Param};
use crate::chain::Link;
use crate::codec::{self, Columns};
use crate::dictionary;
use crate::fold::{Kept, Part};
use crate::seal::Documents;
use crate::{Error, Result, postings};

/// The number of no user: events of accounts that belong to nobody.
const NOBODY: i64 = 0;

/// A statement and what it is given.
pub struct Statement<'a> {
    pub sql: &'static str,
    params: Vec<Box<dyn Param + Send + 'a>>,
}

impl<'a> Statement<'a> {
    fn new(sql: &'static str, params: Vec<Box<dyn Param + Send + 'a>>) -> Self {
        Self { sql, params }
    }

    pub fn params(&self) -> Vec<&dyn Param> {
        self.params.iter().map(|param| &**param as &dyn Param).collect()
    }
}

/// The numbers of users, given out where they have none yet.
pub async fn intern(conn: &Conn, names: &[&str]) -> Result<Vec<(UserId, i64)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "with given as (select unnest($1) as name), \
         known as (select u.user, u.name from given join users u using (name)), \
         made as (insert into users (name) select name from given \
             where name not in (select name from known) returning users.user, name) \
         select * from known union all select * from made";
    let rows = conn.query(sql, &[&names.to_vec()]).await?;
    rows.iter().map(|row| Ok((codec::user(row, 1)?, row.number(0, "user")?))).collect()
}

/// What the writer knows to be in the database.
pub trait Known {
    /// The number of a user who is named by an event.
    fn user(&self, user: &UserId) -> Result<i64>;
    /// Whether a word of a dictionary need not be written; it is then remembered.
    fn word(&mut self, hash: u64) -> bool;
}

/// All statements that a write set needs, in the order in which they must run. Its first event follows
/// the link.
pub fn statements<'a>(
    write: &'a WriteSet,
    (documents, before): (&Documents, Link),
    (parts, folded): (&'a [Part<'a>], &'a [Folded]),
    known: &mut impl Known,
) -> Result<Vec<Statement<'a>>> {
    let mut all = Vec::new();
    if !write.events.is_empty() {
        all.push(events(&write.events, before, known)?);
    }
    let gone: Vec<Uuid> =
        write.rows.iter().filter_map(|row| row.old.as_ref()).map(|old| old.id.0).collect();
    if !gone.is_empty() {
        all.push(Statement::new(
            "delete from transactions where id = any($1)",
            vec![Box::new(gone)],
        ));
    }
    let new: Vec<&Transaction> = write.rows.iter().filter_map(|row| row.new.as_ref()).collect();
    if !new.is_empty() {
        items(&new, documents, known, &mut all)?;
    }
    statistics(parts, folded, known, &mut all)?;
    ledger::statements(write, known, &mut all)?;
    if !write.keys.is_empty() {
        all.push(keys(&write.keys));
    }
    if !write.replies.is_empty() {
        all.push(replies(&write.replies)?);
    }
    Ok(all)
}

fn events<'a>(events: &'a [Event], before: Link, known: &impl Known) -> Result<Statement<'a>> {
    let user = |event: &Event| event.user_id.as_ref().map_or(Ok(NOBODY), |user| known.user(user));
    let users = events.iter().map(user).collect::<Result<Vec<_>>>()?;
    let subjects: Vec<_> = events.iter().map(|event| codec::subject_bytes(event.subject)).collect();
    let linked = events.iter().zip(&users).zip(&subjects);
    let links = linked.scan(before, |link, ((event, user), subject)| {
        *link = codec::linked(event, *user, subject).follow(link);
        Some(link.to_vec())
    });
    let links: Vec<_> = links.collect();
    Ok(Statement::new(
        "insert into events (seq, event_type, at, \"user\", subject, version, previous, body, link) \
         select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        vec![
            column(events, |event| event.seq.0),
            column(events, |event| event.event_type.name()),
            column(events, |event| event.at.micros()),
            Box::new(users),
            Box::new(subjects),
            column(events, |event| number(event.version)),
            column(events, |event| event.previous.map(|seq| seq.0)),
            column(events, |event| &*event.body),
            Box::new(links),
        ],
    ))
}

/// One value of each row.
fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Box<dyn Param + Send + 'a>
where
    Vec<V>: Param + Send + 'a,
{
    Box::new(rows.iter().map(value).collect::<Vec<V>>())
}

/// Versions and counts of tries stay far below the end of `integer`.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn items<'a>(
    items: &[&'a Transaction],
    documents: &Documents,
    known: &mut impl Known,
    all: &mut Vec<Statement<'a>>,
) -> Result<()> {
    let mut users = Vec::with_capacity(items.len());
    let mut indexed = Vec::with_capacity(items.len());
    let mut words: HashSet<(i64, String)> = HashSet::new();
    for item in items {
        let user = known.user(&item.user_id)?;
        let document = documents.of(item);
        users.push(user);
        indexed.push(postings::tsvector(user, &document));
        for entry in dictionary::entries(&document) {
            let hash = fnv128(&[&user.to_le_bytes(), entry.as_bytes()]) as u64;
            if !known.word(hash) {
                words.insert((user, entry.into_owned()));
            }
        }
    }
    let each = |value: fn(&'a Transaction) -> &'a str| -> Box<Vec<&'a str>> {
        Box::new(items.iter().map(|item| value(item)).collect())
    };
    let numbers = |value: fn(&Transaction) -> i64| -> Box<Vec<i64>> {
        Box::new(items.iter().map(|item| value(item)).collect())
    };
    let maybe = |value: fn(&'a Transaction) -> Option<&'a str>| -> Box<Vec<Option<&'a str>>> {
        Box::new(items.iter().map(|item| value(item)).collect())
    };
    all.push(Statement::new(
        "insert into transactions (id, \"user\", type, product, status, side, currency, digits, \
         amount, metadata, source, external_id, version, created_at, recorded_at, updated_at, \
         seq, transfer, side_given, source_version, source_updated_at, search) \
         select id, owner, type, product, status, side, currency, digits, amount, metadata::json, \
         source, external_id, version, created_at, recorded_at, updated_at, seq, transfer, \
         side_given, source_version, source_updated_at, search::tsvector \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
         $18, $19, $20, $21, $22) as new (id, owner, type, product, status, side, currency, digits, amount, \
         metadata, source, external_id, version, created_at, recorded_at, updated_at, seq, \
         transfer, side_given, source_version, source_updated_at, search)",
        vec![
            Box::new(items.iter().map(|item| item.id.0).collect::<Vec<_>>()),
            Box::new(users),
            each(|item| item.transaction_type.name()),
            each(|item| &item.product),
            each(|item| item.status.name()),
            each(|item| item.side.name()),
            each(|item| item.currency.code()),
            Box::new(items.iter().map(|item| item.currency.digits().into()).collect::<Vec<i16>>()),
            Box::new(items.iter().map(|item| Atto::of(item.amount.atto())).collect::<Vec<_>>()),
            Box::new(items.iter().map(|item| item.metadata.to_string()).collect::<Vec<_>>()),
            maybe(|item| item.source.as_deref()),
            maybe(|item| item.external_id.as_deref()),
            Box::new(items.iter().map(|item| number(item.version)).collect::<Vec<_>>()),
            numbers(|item| item.created_at.micros()),
            numbers(|item| item.recorded_at.micros()),
            Box::new(
                items.iter().map(|item| item.updated_at.map(Timestamp::micros)).collect::<Vec<_>>(),
            ),
            numbers(|item| item.seq.0),
            Box::new(items.iter().map(|item| item.transfer_id.map(|id| id.0)).collect::<Vec<_>>()),
            Box::new(items.iter().map(|item| item.side_given).collect::<Vec<_>>()),
            Box::new(items.iter().map(|item| item.revision.version).collect::<Vec<_>>()),
            Box::new(
                items
                    .iter()
                    .map(|item| item.revision.updated_at.map(Timestamp::micros))
                    .collect::<Vec<_>>(),
            ),
            Box::new(indexed),
        ],
    ));
    if !words.is_empty() {
        // In the order of the index.
        let mut words: Vec<(i64, String)> = words.into_iter().collect();
        words.sort_unstable();
        let (users, words): (Vec<i64>, Vec<String>) = words.into_iter().unzip();
        all.push(Statement::new(
            "insert into words (\"user\", word) select * from unnest($1, $2) \
             on conflict do nothing",
            vec![Box::new(users), Box::new(words)],
        ));
    }
    Ok(())
}

fn statistics<'a>(
    parts: &'a [Part<'a>],
    folded: &'a [Folded],
    known: &impl Known,
    all: &mut Vec<Statement<'a>>,
) -> Result<()> {
    let (mut new, mut changed): (Vec<(&Part, &Kept)>, Vec<_>) = (Vec::new(), Vec::new());
    for (part, folded) in parts.iter().zip(folded) {
        let rows = if folded.is_there { &mut changed } else { &mut new };
        rows.push((part, &folded.kept));
    }
    let key = |parts: &[&'a Part<'a>]| -> Result<Vec<Box<dyn Param + Send + 'a>>> {
        let users = parts.iter().map(|part| known.user(part.user())).collect::<Result<Vec<_>>>()?;
        let codes: Vec<&'a str> = parts.iter().map(|part| part.place.code.as_str()).collect();
        let digits: Vec<i16> = parts.iter().map(|part| part.place.digits.into()).collect();
        let months: Vec<i32> = parts.iter().map(|part| part.place.month).collect();
        let days: Vec<i16> = parts.iter().map(|part| part.place.day as i16).collect();
        Ok(vec![
            Box::new(users),
            Box::new(codes),
            Box::new(digits),
            Box::new(months),
            Box::new(days),
        ])
    };
    // Nobody else commits meanwhile, so what was not there when it was looked for is new.
    let sqls = [
        "insert into statistics \
         (\"user\", currency, digits, month, day, updated_at, sums, counts, slots) \
         select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        "update statistics s set updated_at = n.updated_at, sums = n.sums, counts = n.counts, \
         slots = n.slots \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) as n (owner, currency, digits, month, \
         day, updated_at, sums, counts, slots) \
         where s.user = n.owner and s.currency = n.currency and s.digits = n.digits \
         and s.month = n.month and s.day = n.day",
    ];
    for (sql, rows) in sqls.into_iter().zip([new, changed]) {
        if rows.is_empty() {
            continue;
        }
        let places: Vec<&Part> = rows.iter().map(|(part, _)| *part).collect();
        let mut params = key(&places)?;
        let updated: Vec<i64> = rows.iter().map(|(_, kept)| kept.updated_at.micros()).collect();
        let sums: Vec<&[u8]> = rows.iter().map(|(_, kept)| kept.sums.as_slice()).collect();
        let counts: Vec<&[u8]> = rows.iter().map(|(_, kept)| kept.counts.as_slice()).collect();
        let slots: Vec<Option<&[u8]>> =
            rows.iter().map(|(_, kept)| kept.slots.as_deref()).collect();
        params.push(Box::new(updated));
        params.push(Box::new(sums));
        params.push(Box::new(counts));
        params.push(Box::new(slots));
        all.push(Statement::new(sql, params));
    }
    Ok(())
}

fn keys(keys: &[ApiKey]) -> Statement<'_> {
    Statement::new(
        "insert into api_keys (id, hash, previous, previous_until, body, seq, used_at) \
         select * from unnest($1, $2, $3, $4, $5, $6, $7) \
         on conflict (id) do update set hash = excluded.hash, previous = excluded.previous, \
         previous_until = excluded.previous_until, body = excluded.body, seq = excluded.seq",
        vec![
            column(keys, |key| key.id.0),
            column(keys, |key| key.hash.to_vec()),
            column(keys, |key| key.previous.map(|(hash, _)| hash.to_vec())),
            column(keys, |key| key.previous.map(|(_, until)| until.micros())),
            column(keys, ApiKey::to_json),
            column(keys, |key| key.seq.0),
            column(keys, |key| key.used_at.map(Timestamp::micros)),
        ],
    )
}

fn replies(replies: &[(u128, StoredReply)]) -> Result<Statement<'_>> {
    let mut bodies = Vec::with_capacity(replies.len());
    for (_, reply) in replies {
        bodies.push(serde_json::to_string(reply).map_err(|error| Error::Driver(error.into()))?);
    }
    Ok(Statement::new(
        "insert into replies (scope, at, body) select * from unnest($1, $2, $3)",
        vec![
            column(replies, |(scope, _)| scope.to_be_bytes().to_vec()),
            column(replies, |(_, reply)| reply.at.micros()),
            Box::new(bodies),
        ],
    ))
}

/// Whether a write set is in the database: a commit whose answer was lost has all of it or
/// nothing. Nobody else commits meanwhile.
pub async fn is_there(conn: &Conn, write: &WriteSet) -> Result<bool> {
    if let (Some(first), Some(last)) = (write.events.first(), write.events.last()) {
        let seqs = vec![first.seq.0, last.seq.0];
        let sql = "select seq, event_type, at, subject, version, body from events \
             where seq = any($1) order by seq";
        let rows = conn.query(sql, &[&seqs]).await?;
        let same = |row: &tokio_postgres::Row, event: &Event| -> Result<bool> {
            Ok(row.number(0, "event number")? == event.seq.0
                && row.text(1, "event type")? == event.event_type.name()
                && row.number(2, "time")? == event.at.micros()
                && row.bytes(3, "subject")? == codec::subject_bytes(event.subject)
                && row.number(4, "version")? == i64::from(event.version)
                && row.text(5, "event")? == &*event.body)
        };
        return match (rows.first(), rows.last()) {
            (Some(a), Some(b)) => Ok(same(a, first)? && same(b, last)?),
            _ => Ok(false),
        };
    }
    if let Some((scope, reply)) = write.replies.first() {
        let scope = scope.to_be_bytes().to_vec();
        let row = conn.query_opt("select body from replies where scope = $1", &[&scope]).await?;
        let body = serde_json::to_string(reply).map_err(|error| Error::Driver(error.into()))?;
        return row.map_or(Ok(false), |row| Ok(row.text(0, "reply")? == body));
    }
    match write.transfers.first() {
        Some(change) => {
            let found = super::ledger::transfer(conn, change.transfer.id).await?;
            Ok(found.as_ref() == Some(&change.transfer))
        }
        None => Ok(true),
    }
}

/// Deletes replies that are older than they are kept, measured from the newest one.
pub async fn sweep(conn: &Conn, kept_us: i64) -> Result<()> {
    // So many go at once, so that nobody waits long.
    let sql = "delete from replies where scope in (select scope from replies \
         where at < (select max(at) from replies) - $1 order by at limit 10000)";
    conn.execute(sql, &[&kept_us]).await?;
    Ok(())
}
