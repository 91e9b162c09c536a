//! Accounts and transfers, to columns and back.

use std::sync::Arc;

use daybook_core::account::{Chain, Funds, Overdraft};
use daybook_core::transfer::{Leg, Posting};
use daybook_core::{
    Account, AccountId, AccountStatus, Amount, Balance, EventSeq, Holding, Json, Transfer,
    TransferStatus,
};

use super::{Columns, corrupt, currency, maybe_user};
use crate::Result;

/// The columns of an account and its money, in the order in which [`holding`] reads them; the
/// tables are a, f and u.
pub const HOLDING: &str = "a.account, u.name, a.currency, a.digits, a.name, a.metadata, a.status, \
    a.overdraft, a.version, a.created_at, a.updated_at, a.seq, f.balance, f.pending_in, \
    f.pending_out, f.posted_last, f.posted_count, f.posted_at, f.listed_last, f.listed_count";

/// Where [`HOLDING`] comes from.
pub const HOLDINGS: &str = "accounts a join funds f on f.account = a.account \
    left join users u on u.user = a.user";

/// The columns of a transfer, in the order in which [`transfer`] reads and inserts bind them.
pub const TRANSFER: &str = "number, id, status, source, destination, currency, digits, amount, \
    held, reference, metadata, expires_in, expires_at, execute_at, rolls_back, rolled_back_by, \
    retry_count, last_error, last_attempt, next_attempt, posted_at, source_balance, \
    source_previous, destination_balance, destination_previous, is_shown, source_earlier, \
    destination_earlier, version, created_at, updated_at, seq";

/// How many they are.
pub const TRANSFER_COLUMNS: usize = 32;

fn metadata(row: &impl Columns, at: usize) -> Result<Json> {
    match row.text(at, "metadata")? {
        "{}" => Ok(Json::Object(Vec::new())),
        text => Json::parse(text, usize::MAX).map_err(|_| corrupt("metadata")),
    }
}

/// Reads [`HOLDING`], which begins at the first column.
pub fn holding(row: &impl Columns) -> Result<Holding> {
    let limit = |atto| Overdraft::Limit(Amount::from_atto(atto));
    let account = Account {
        id: AccountId(row.number(0, "account")?),
        user_id: maybe_user(row, 1)?,
        currency: currency(row, 2)?,
        name: row.maybe_string(4, "name")?,
        metadata: metadata(row, 5)?,
        status: AccountStatus::from_name(row.text(6, "status")?)
            .ok_or_else(|| corrupt("status"))?,
        overdraft: row.maybe_atto(7, "limit")?.map_or(Overdraft::Unlimited, limit),
        version: row.small(8, "version")?,
        created_at: row.time(9, "time")?,
        updated_at: row.maybe_time(10, "time")?,
        seq: EventSeq(row.number(11, "event number")?),
    };
    let funds = Funds {
        balance: Balance::from_wide(row.wide(12, "balance")?),
        pending_in: Amount::from_atto(row.atto(13, "amount")?),
        pending_out: Amount::from_atto(row.atto(14, "amount")?),
        posted: Chain { last: row.maybe_seq(15, "link")?, count: row.small(16, "count")? },
        posted_at: row.time(17, "time")?,
        listed: Chain { last: row.maybe_seq(18, "link")?, count: row.small(19, "count")? },
    };
    Ok(Holding { account: Arc::new(account), funds })
}

/// Reads [`TRANSFER`], which begins at the first column.
pub fn transfer(row: &impl Columns) -> Result<Transfer> {
    let leg = |balance, previous| -> Result<Leg> {
        let balance = Balance::from_wide(row.wide(balance, "balance")?);
        Ok(Leg { balance, previous: row.maybe_seq(previous, "link")? })
    };
    let posting = match row.maybe_time(20, "time")? {
        Some(at) => Some(Posting { at, source: leg(21, 22)?, destination: leg(23, 24)? }),
        None => {
            // What did not move left no entry.
            let has_balance = row.maybe_wide(21, "balance")?.or(row.maybe_wide(23, "balance")?);
            let has_link = row.maybe_seq(22, "link")?.or(row.maybe_seq(24, "link")?);
            if has_balance.is_some() || has_link.is_some() {
                return Err(corrupt("posting"));
            }
            None
        }
    };
    let last_error = row.maybe_text(17, "error")?.map(serde_json::from_str).transpose();
    Ok(Transfer {
        number: EventSeq(row.number(0, "number")?),
        id: row.maybe_transfer(1)?.ok_or_else(|| corrupt("id"))?,
        status: TransferStatus::from_name(row.text(2, "status")?)
            .ok_or_else(|| corrupt("status"))?,
        source: AccountId(row.number(3, "account")?),
        destination: AccountId(row.number(4, "account")?),
        currency: currency(row, 5)?,
        amount: Amount::from_atto(row.atto(7, "amount")?),
        held: row.maybe_atto(8, "amount")?.map(Amount::from_atto),
        reference: row.maybe_string(9, "reference")?,
        metadata: metadata(row, 10)?,
        expires_in_us: row.maybe_number(11, "time")?,
        expires_at: row.maybe_time(12, "time")?,
        execute_at: row.maybe_time(13, "time")?,
        rolls_back: row.maybe_transfer(14)?,
        rolled_back_by: row.maybe_transfer(15)?,
        retry_count: row.small(16, "count")?,
        last_error: last_error.map_err(|_| corrupt("error"))?,
        last_attempt: row.maybe_time(18, "time")?,
        next_attempt: row.maybe_time(19, "time")?,
        posting,
        is_shown: row.flag(25, "mark")?,
        earlier: [row.maybe_seq(26, "link")?, row.maybe_seq(27, "link")?],
        version: row.small(28, "version")?,
        created_at: row.time(29, "time")?,
        updated_at: row.maybe_time(30, "time")?,
        seq: EventSeq(row.number(31, "event number")?),
    })
}
