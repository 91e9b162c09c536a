//! What a commit reads and writes of the ledger: rows in, rows out, no rule.

pub mod read;
pub mod verify;

use daybook_core::account::Overdraft;
use daybook_core::command::ReadSet;
use daybook_core::write_set::{AccountChange, Mark, Order, Snapshot, WriteSet};
use daybook_core::{AccountId, Timestamp, Transfer, TransferId, UserId};
use rusqlite::{Connection, Statement, named_params};

use crate::codec::ledger::{HOLDING, HOLDINGS, TRANSFER, holding, transfer};
use crate::codec::sqlite::bytes;
use crate::{Error, Result};

/// How many accounts one user's rows are counted to; more than any may have.
const OWNED_MAX: i64 = 1_000_000;

/// Loads what submissions touch of the ledger, and adds to the set what follows from it.
pub fn load(conn: &Connection, set: &mut ReadSet, snapshot: &mut Snapshot) -> Result<()> {
    for id in &set.transfers {
        if let Some(found) = read::transfer(conn, *id)? {
            snapshot.transfers.insert(*id, found);
        }
    }
    for (source, reference) in std::mem::take(&mut set.references) {
        let sql = format!("select {TRANSFER} from transfers where reference = ?2 and source = ?1");
        let mut find = conn.prepare_cached(&sql)?;
        if let Some(row) = find.query((source.0, &reference))?.next()? {
            let found = transfer(row)?;
            snapshot.references.insert((source, reference), found.id);
            snapshot.transfers.insert(found.id, found);
        }
    }
    if !snapshot.transfers.is_empty() {
        for found in snapshot.transfers.values() {
            set.follow(found);
        }
        set.sort();
    }
    let sql = format!("select {HOLDING} from {HOLDINGS} where a.account = ?1");
    let mut find = conn.prepare_cached(&sql)?;
    for id in &set.accounts {
        if let Some(row) = find.query([id.0])?.next()? {
            snapshot.accounts.insert(*id, holding(row)?);
        }
    }
    for user in std::mem::take(&mut set.openers) {
        let mut count = conn.prepare_cached(
            "select count(*) from (select 1 from accounts a join users u on u.user = a.user \
             where u.name = ?1 limit ?2)",
        )?;
        let owned = count.query_row((user.as_str(), OWNED_MAX), |row| row.get(0))?;
        snapshot.owned.insert(user, owned);
    }
    if set.next_account {
        let mut last =
            conn.prepare_cached("select max(account) from accounts where account < ?1")?;
        let last: Option<i64> = last.query_row([AccountId::GIVEN_END.0], |row| row.get(0))?;
        snapshot.last_account = AccountId(last.unwrap_or(0).max(0));
    }
    Ok(())
}

/// Writes the ledger's part of a write set.
pub fn write(
    conn: &Connection,
    write: &WriteSet,
    number: &impl Fn(&UserId) -> Result<i64>,
) -> Result<()> {
    if write.accounts.is_empty() && write.transfers.is_empty() {
        return Ok(());
    }
    for change in write.accounts.iter().filter(|change| change.reformed) {
        put_account(conn, change, number)?;
    }
    let mut funds = conn.prepare_cached(
        "insert or replace into funds (account, balance, pending_in, pending_out, posted_last, \
         posted_count, posted_at, listed_last, listed_count) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for change in &write.accounts {
        put_funds(&mut funds, change)?;
    }
    let mut delete = conn.prepare_cached("delete from transfers where number = ?1")?;
    let mut insert = conn.prepare_cached(&format!(
        "insert into transfers ({TRANSFER}, due) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, \
         ?27, ?28, ?29, ?30, ?31, ?32, ?33)"
    ))?;
    for change in &write.transfers {
        if !change.is_new {
            // Not `replace`, which would let a row go that has the same reference.
            delete.execute([change.transfer.number.0])?;
        }
        put_transfer(&mut insert, &change.transfer)?;
    }
    for mark in &write.marks {
        put_mark(conn, mark)?;
    }
    Ok(())
}

fn put_account(
    conn: &Connection,
    change: &AccountChange,
    number: &impl Fn(&UserId) -> Result<i64>,
) -> Result<()> {
    let account = &change.holding.account;
    let overdraft = match account.overdraft {
        Overdraft::Limit(limit) => Some(bytes(limit.atto())),
        Overdraft::Unlimited => None,
    };
    let mut put = conn.prepare_cached(
        "insert or replace into accounts (account, user, currency, digits, name, metadata, \
         status, overdraft, version, created_at, updated_at, seq) values (:account, :user, \
         :currency, :digits, :name, :metadata, :status, :overdraft, :version, :created_at, \
         :updated_at, :seq)",
    )?;
    put.execute(named_params! {
        ":account": account.id.0,
        ":user": account.user_id.as_ref().map(number).transpose()?,
        ":currency": account.currency.code(),
        ":digits": account.currency.digits(),
        ":name": account.name,
        ":metadata": account.metadata.to_string(),
        ":status": account.status.name(),
        ":overdraft": overdraft,
        ":version": account.version,
        ":created_at": account.created_at.micros(),
        ":updated_at": account.updated_at.map(Timestamp::micros),
        ":seq": account.seq.0,
    })?;
    Ok(())
}

fn put_funds(put: &mut Statement, change: &AccountChange) -> Result<()> {
    let (id, funds) = (change.holding.account.id, &change.holding.funds);
    put.execute((
        id.0,
        bytes(funds.balance.atto()),
        bytes(funds.pending_in.atto()),
        bytes(funds.pending_out.atto()),
        funds.posted.last.map(|seq| seq.0),
        funds.posted.count,
        funds.posted_at.micros(),
        funds.listed.last.map(|seq| seq.0),
        funds.listed.count,
    ))?;
    Ok(())
}

fn put_transfer(insert: &mut Statement, transfer: &Transfer) -> Result<()> {
    let posting = transfer.posting.as_ref();
    let balance = |leg: daybook_core::transfer::Leg| bytes(leg.balance.atto());
    let source_balance = posting.map(|posting| balance(posting.source));
    let destination_balance = posting.map(|posting| balance(posting.destination));
    let previous = |leg: daybook_core::transfer::Leg| leg.previous.map(|seq| seq.0);
    let held = transfer.held.map(|held| bytes(held.atto()));
    let [source_earlier, destination_earlier] = transfer.earlier.map(|seq| seq.map(|seq| seq.0));
    let id = |id: Option<TransferId>| id.map(|id| id.0.into_bytes());
    let last_error = transfer.last_error.as_ref().map(serde_json::to_string).transpose();
    let last_error = last_error.map_err(|error| Error::Driver(Box::new(error)))?;
    insert.execute(rusqlite::params![
        transfer.number.0,
        transfer.id.0.as_bytes().as_slice(),
        transfer.status.name(),
        transfer.source.0,
        transfer.destination.0,
        transfer.currency.code(),
        transfer.currency.digits(),
        bytes(transfer.amount.atto()),
        held,
        transfer.reference,
        transfer.metadata.to_string(),
        transfer.expires_in_us,
        transfer.expires_at.map(Timestamp::micros),
        transfer.execute_at.map(Timestamp::micros),
        id(transfer.rolls_back),
        id(transfer.rolled_back_by),
        transfer.retry_count,
        last_error,
        transfer.last_attempt.map(Timestamp::micros),
        transfer.next_attempt.map(Timestamp::micros),
        posting.map(|posting| posting.at.micros()),
        source_balance,
        posting.and_then(|posting| previous(posting.source)),
        destination_balance,
        posting.and_then(|posting| previous(posting.destination)),
        transfer.is_shown,
        source_earlier,
        destination_earlier,
        transfer.version,
        transfer.created_at.micros(),
        transfer.updated_at.map(Timestamp::micros),
        transfer.seq.0,
        transfer.due().map(Timestamp::micros),
    ])?;
    Ok(())
}

fn put_mark(conn: &Connection, mark: &Mark) -> Result<()> {
    conn.prepare_cached(
        "insert into marks (account, sequence, key, number) values (?1, ?2, ?3, ?4)",
    )?
    .execute((mark.account.0, sequence(mark.order), mark.key, mark.number.0))?;
    Ok(())
}

/// The number under which an order of transfers is kept.
fn sequence(order: Order) -> i64 {
    match order {
        Order::Posted => 0,
        Order::Listed => 1,
    }
}
