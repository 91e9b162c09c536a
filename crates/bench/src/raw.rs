//! The baseline for batches: SQLite itself, in this process, that inserts the same rows into the
//! same tables and indexes with the same durability, and does nothing else. All that can be
//! computed before is computed before. The statements of the ledger's baseline stand here too.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use daybook_core::search::Document;
use daybook_core::transaction::Vocabulary;
use daybook_core::{EventSeq, NewTransaction, Timestamp, Transaction, TransactionId};
use rusqlite::{Connection, Statement, params};
use uuid::Uuid;

use crate::client::{Measured, latencies};

/// The store's own schema, so that both sides pay for the same indexes.
const SCHEMA: [&str; 2] = [
    include_str!("../../store/migrations/sqlite/V0001__feed.sql"),
    include_str!("../../store/migrations/sqlite/V0002__ledger.sql"),
];

const INSERT_ROW: &str = "insert into transactions (pos, id, user, type, product, status, side, \
     currency, digits, amount, metadata, source, external_id, version, created_at, recorded_at, seq) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1, ?14, ?15, ?16)";
/// How much of a commit's index is in memory before it is written, as the store has it.
const KEEP_MORE_WORDS: &str = "insert into search (search, rank) values ('hashsize', 16777216)";
const MERGE_LATER: &str = "insert into search (search, rank) values ('automerge', 8)";
const INSERT_WORDS: &str = "insert into search (rowid, body) values (?1, ?2)";

/// What stays empty in a transfer that is complete at once is left out.
pub const INSERT_TRANSFER: &str = "insert into transfers (number, id, status, source, \
     destination, currency, digits, amount, metadata, retry_count, posted_at, source_balance, \
     source_previous, destination_balance, destination_previous, is_shown, source_earlier, destination_earlier, \
     version, created_at, seq) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
     ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
pub const INSERT_EVENT: &str = "insert into events (seq, event_type, at, user, transaction_id, \
     version, body) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
pub const UPDATE_FUNDS: &str = "update funds set balance = ?2, posted_last = ?3, \
     posted_count = ?4, posted_at = ?5, listed_last = ?6, listed_count = ?7 where account = ?1";
pub const INSERT_MARK: &str =
    "insert into marks (account, sequence, key, number) values (?1, ?2, ?3, ?4)";
pub const INSERT_ACCOUNT: &str = "insert into accounts (account, currency, digits, metadata, \
     status, version, created_at, seq) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub const INSERT_FUNDS: &str = "insert into funds (account, balance, pending_in, pending_out, \
     posted_count, posted_at, listed_count) values (?1, x'00', x'00', x'00', 0, 0, 0)";

/// A row, ready to be bound.
pub struct Row {
    item: Transaction,
    user: i64,
    position: i64,
    metadata: String,
    words: String,
}

/// Makes rows of request bodies.
///
/// # Errors
/// When a body is not valid.
pub fn rows(bodies: &[String]) -> Result<Vec<Row>> {
    let vocabulary = Vocabulary::default();
    let mut users: HashMap<String, i64> = HashMap::new();
    let mut rows = Vec::with_capacity(bodies.len());
    for (number, body) in (0_u32..).zip(bodies) {
        // Ids of version 7 rise with time, and so do these.
        let id = TransactionId(Uuid::from_u128(u128::from(number) << 64));
        let new = NewTransaction::parse(body, id, None, &vocabulary)
            .map_err(|refused| anyhow!("{refused:?}"))
            .with_context(|| format!("reading {body}"))?;
        let at = new.created_at.unwrap_or(Timestamp::from_micros(1_700_000_000_000_000));
        let item = new.record(at, EventSeq(number.into()));
        let known = i64::try_from(users.len())?;
        let user = *users.entry(item.user_id.to_string()).or_insert(known);
        let words = words(user, &Document::of(&item));
        // The store numbers rows by the second in which they happened, then by arrival.
        let position = (item.created_at.seconds() << 20) | i64::from(number & 0xf_ffff);
        let metadata = item.metadata.to_string();
        rows.push(Row { user, position, metadata, words, item });
    }
    Ok(rows)
}

/// The words and filter terms of a user's item, each under the user's number, with a mark after
/// every field as the store sets one.
fn words(user: i64, document: &Document) -> String {
    let mut text = String::new();
    for field in &document.fields {
        for word in field {
            text.push_str(&format!("{user:x}_{word} "));
        }
        text.push_str(&format!("{user:x} "));
    }
    for term in &document.terms {
        text.push_str(&format!("{user:x}.{term} "));
    }
    text
}

/// Inserts rows into a new file, so many a commit.
///
/// # Errors
/// When SQLite fails.
pub fn insert(file: &Path, rows: &[Row], rows_per_commit: usize) -> Result<Measured> {
    let mut connection = open(file)?;
    let mut latency = latencies()?;
    let started = Instant::now();
    for batch in rows.chunks(rows_per_commit) {
        let begun = Instant::now();
        let transaction = connection.transaction()?;
        {
            let mut row = transaction.prepare_cached(INSERT_ROW)?;
            let mut words = transaction.prepare_cached(INSERT_WORDS)?;
            for each in batch {
                insert_row(&mut row, each)?;
                words.execute(params![each.position, each.words])?;
            }
        }
        transaction.commit()?;
        latency.saturating_record(nanoseconds(begun.elapsed()));
    }
    let elapsed = started.elapsed();
    let requests = latency.len();
    Ok(Measured { requests, elapsed, latency, refused: 0, first_refusal: None })
}

/// Opens a new file as the store does.
pub fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "page_size", 4_096)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -32 * 1_024)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    for migration in SCHEMA {
        connection.execute_batch(migration)?;
    }
    connection.execute(KEEP_MORE_WORDS, [])?;
    connection.execute(MERGE_LATER, [])?;
    Ok(connection)
}

fn insert_row(statement: &mut Statement<'_>, row: &Row) -> Result<()> {
    let item = &row.item;
    statement.execute(params![
        row.position,
        item.id.0.as_bytes(),
        row.user,
        item.transaction_type.name(),
        item.product,
        item.status.name(),
        item.side.name(),
        item.currency.code(),
        item.currency.digits(),
        item.amount.atto().to_be_bytes(),
        row.metadata,
        item.source,
        item.external_id,
        item.created_at.micros(),
        item.recorded_at.micros(),
        item.seq.0,
    ])?;
    Ok(())
}

pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_inserts_every_row_with_its_words() {
        let body = |n: usize| {
            format!(
                r#"{{"user_id":"user{}","transaction_type":"card","amount":"1{n}.50",
                "metadata":{{"merchant_name":"Starbucks"}}}}"#,
                n % 3
            )
        };
        let bodies: Vec<String> = (0..10).map(body).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("raw.db");
        let measured = insert(&file, &rows(&bodies).unwrap(), 4).unwrap();
        assert_eq!(measured.requests, 3, "commits of 4, 4 and 2 rows");
        let connection = Connection::open(&file).unwrap();
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("select count(*) from transactions"), 10);
        assert_eq!(count("select count(*) from search where body match '\"1_starbucks\"'"), 3);
    }
}
