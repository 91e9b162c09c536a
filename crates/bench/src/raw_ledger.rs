//! The baseline for batches of transfers: SQLite itself, in this process, that writes the rows
//! which such a batch comes to into the same tables and indexes with the same durability, and does
//! nothing else. What to write was decided before, by the rules that the server follows.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use daybook_core::transaction::Vocabulary;
use daybook_core::write_set::{Mark, Order};
use daybook_core::{
    Action, Event, EventSeq, Holding, NewAccount, NewTransfer, Snapshot, Subject, Submission,
    Timestamp, Transfer, TransferId, WriteSet, decide,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;

use crate::client::{Measured, latencies};
use crate::{load, raw};

/// When the first commit is; the others follow at this distance.
const START_US: i64 = 1_791_536_000_000_000;
const STEP_US: i64 = 10_000;

/// Rows of one commit by the statement that writes them, ready to be bound.
pub struct Commit(Vec<(&'static str, Vec<Vec<Value>>)>);

/// A ledger that was decided and not yet written.
pub struct Decided {
    opening: Commit,
    transfers: Vec<Commit>,
}

/// Decides transfers among so many accounts without owners, so many a commit.
///
/// # Errors
/// When one is refused.
pub fn decided(bodies: &[String], accounts: u64, per_commit: usize) -> Result<Decided> {
    let vocabulary = Vocabulary::default();
    let mut books = Books { holdings: HashMap::new(), next_seq: 1, at: START_US };
    let opened = load::accounts(1, accounts, |_| None).into_iter().map(|body| {
        let body = String::from_utf8(body)?;
        let new = NewAccount::parse(&body, None, &vocabulary);
        new.map(Action::Open).with_context(|| format!("reading {body}"))
    });
    let opening = opening(&books.submit(opened.collect::<Result<_>>()?)?);
    let mut transfers = Vec::new();
    // Ids of version 7 rise with time, and so do these.
    let mut id = 0_u128;
    for batch in bodies.chunks(per_commit) {
        let actions = batch.iter().map(|body| {
            id += 1 << 64;
            let new = NewTransfer::parse(body, TransferId(Uuid::from_u128(id)), &vocabulary);
            new.map(Action::Transfer).with_context(|| format!("reading {body}"))
        });
        transfers.push(commit(&books.submit(actions.collect::<Result<_>>()?)?)?);
    }
    Ok(Decided { opening, transfers })
}

/// The accounts as they stand, and what is decided next.
struct Books {
    holdings: HashMap<daybook_core::AccountId, Holding>,
    next_seq: i64,
    at: i64,
}

impl Books {
    fn submit(&mut self, actions: Vec<Action>) -> Result<WriteSet> {
        let at = Timestamp::from_micros(self.at);
        let submission = Submission { at, key: None, atomic: false, actions };
        let snapshot = Snapshot {
            next_seq: EventSeq(self.next_seq),
            accounts: self.holdings.clone(),
            ..Snapshot::default()
        };
        let (replies, write) = decide(&[submission], snapshot);
        if let Some(Err(refused)) =
            replies.iter().flat_map(|reply| &reply.verdicts).find(|verdict| verdict.is_err())
        {
            return Err(anyhow!("{refused}"));
        }
        let changed = write.accounts.iter().map(|change| &change.holding);
        self.holdings.extend(changed.map(|holding| (holding.account.id, holding.clone())));
        self.next_seq = write.events.last().map_or(self.next_seq, |event| event.seq.0 + 1);
        self.at += STEP_US;
        Ok(write)
    }
}

fn opening(write: &WriteSet) -> Commit {
    let accounts = write.accounts.iter().map(|change| account(&change.holding)).collect();
    let numbers = write.accounts.iter().map(|change| vec![change.holding.account.id.0.into()]);
    let events = write.events.iter().map(event).collect();
    Commit(vec![
        (raw::INSERT_ACCOUNT, accounts),
        (raw::INSERT_FUNDS, numbers.collect()),
        (raw::INSERT_EVENT, events),
    ])
}

fn commit(write: &WriteSet) -> Result<Commit> {
    let transfers = write.transfers.iter().map(|change| transfer(&change.transfer));
    let transfers = transfers.collect::<Option<_>>().context("a transfer moved nothing")?;
    Ok(Commit(vec![
        (raw::INSERT_EVENT, write.events.iter().map(event).collect()),
        (raw::UPDATE_FUNDS, write.accounts.iter().map(|change| funds(&change.holding)).collect()),
        (raw::INSERT_TRANSFER, transfers),
        (raw::INSERT_MARK, write.marks.iter().map(mark).collect()),
    ]))
}

fn account(holding: &Holding) -> Vec<Value> {
    let account = &holding.account;
    vec![
        account.id.0.into(),
        account.currency.code().to_owned().into(),
        account.currency.digits().into(),
        account.metadata.to_string().into(),
        account.status.name().to_owned().into(),
        account.version.into(),
        account.created_at.micros().into(),
        account.seq.0.into(),
    ]
}

fn funds(holding: &Holding) -> Vec<Value> {
    let funds = &holding.funds;
    vec![
        holding.account.id.0.into(),
        bytes(funds.balance.atto().as_i128()),
        number(funds.posted.last),
        count(funds.posted.count),
        funds.posted_at.micros().into(),
        number(funds.listed.last),
        count(funds.listed.count),
    ]
}

/// `None` when no money moved.
fn transfer(transfer: &Transfer) -> Option<Vec<Value>> {
    let posting = transfer.posting?;
    let [source_earlier, destination_earlier] = transfer.earlier;
    Some(vec![
        transfer.number.0.into(),
        transfer.id.0.as_bytes().to_vec().into(),
        transfer.status.name().to_owned().into(),
        transfer.source.0.into(),
        transfer.destination.0.into(),
        transfer.currency.code().to_owned().into(),
        transfer.currency.digits().into(),
        bytes(transfer.amount.atto()),
        transfer.metadata.to_string().into(),
        transfer.retry_count.into(),
        posting.at.micros().into(),
        bytes(posting.source.balance.atto().as_i128()),
        number(posting.source.previous),
        bytes(posting.destination.balance.atto().as_i128()),
        number(posting.destination.previous),
        transfer.is_shown.into(),
        number(source_earlier),
        number(destination_earlier),
        transfer.version.into(),
        transfer.created_at.micros().into(),
        transfer.seq.0.into(),
    ])
}

fn event(event: &Event) -> Vec<Value> {
    let subject = match event.subject {
        Subject::Item(id) => id.0.as_bytes().to_vec(),
        Subject::Account(id) => id.0.to_be_bytes().to_vec(),
        Subject::Transfer(id) => id.0.as_bytes().to_vec(),
        Subject::Key(id) => id.0.to_be_bytes().to_vec(),
        Subject::Audit => Vec::new(),
    };
    vec![
        event.seq.0.into(),
        event.event_type.name().to_owned().into(),
        event.at.micros().into(),
        // Nobody's: the accounts have no owners.
        0.into(),
        subject.into(),
        event.version.into(),
        event.body.to_string().into(),
    ]
}

fn mark(mark: &Mark) -> Vec<Value> {
    let sequence = match mark.order {
        Order::Posted => 0,
        Order::Listed => 1,
    };
    vec![mark.account.0.into(), sequence.into(), mark.key.into(), mark.number.0.into()]
}

fn number(number: Option<EventSeq>) -> Value {
    number.map(|number| number.0).into()
}

fn count(count: u64) -> Value {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

/// A number as the store keeps it: big-endian two's complement in as few bytes as it needs.
fn bytes(atto: i128) -> Value {
    let bits = if atto < 0 { atto.leading_ones() } else { atto.leading_zeros() };
    let spare = usize::try_from(bits.saturating_sub(1) / 8).unwrap_or_default().min(15);
    atto.to_be_bytes().get(spare..).unwrap_or_default().to_vec().into()
}

/// Writes what was decided into a new file; the accounts are there before the clock starts.
///
/// # Errors
/// When SQLite fails.
pub fn insert(file: &Path, decided: &Decided) -> Result<Measured> {
    let mut connection = raw::open(file)?;
    write(&mut connection, &decided.opening)?;
    let mut latency = latencies()?;
    let started = Instant::now();
    for commit in &decided.transfers {
        let begun = Instant::now();
        write(&mut connection, commit)?;
        latency.saturating_record(raw::nanoseconds(begun.elapsed()));
    }
    let elapsed = started.elapsed();
    let requests = latency.len();
    Ok(Measured { requests, elapsed, latency, refused: 0, first_refusal: None })
}

fn write(connection: &mut Connection, commit: &Commit) -> Result<()> {
    let transaction = connection.transaction()?;
    for (sql, rows) in &commit.0 {
        let mut statement = transaction.prepare_cached(sql)?;
        for row in rows {
            statement.execute(params_from_iter(row))?;
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_writes_every_row_of_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("raw.db");
        let bodies = load::transfers(1, 1, 5, 1_000);
        let measured = insert(&file, &decided(&bodies, 5, 300).unwrap()).unwrap();
        assert_eq!(measured.requests, 4, "commits of 300, 300, 300 and 100 transfers");
        let connection = Connection::open(&file).unwrap();
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("select count(*) from transfers where status = 'complete'"), 1_000);
        assert_eq!(count("select sum(posted_count) from funds"), 2_000);
        assert_eq!(count("select count(*) from events"), 1_005);
        let marks = count("select sum(posted_count / 64 + listed_count / 64) from funds");
        assert_eq!(count("select count(*) from marks"), marks);
        assert!(marks > 0);
    }

    #[test]
    fn numbers_take_as_few_bytes_as_they_need() {
        for (atto, expected) in [(0, vec![0]), (-1, vec![0xff]), (128, vec![0, 128])] {
            assert_eq!(bytes(atto), Value::Blob(expected));
        }
    }
}
