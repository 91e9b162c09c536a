//! The questions of commands to a server that holds their store, and all that they and their
//! answers are made of.

use daybook_core::account::{Chain, Funds, Overdraft};
use daybook_core::cursor::Position;
use daybook_core::owner::Listed;
use daybook_core::query::{
    AccountsQuery, Compare, CompareOp, EntriesQuery, Order, Paging, Term, TransfersQuery, Whose,
};
use daybook_core::search::Clause;
use daybook_core::transaction::Revision;
use daybook_core::transfer::{Entry, Failure, Leg, Posting};
use daybook_core::write_set::Recorded;
use daybook_core::{
    Account, AccountId, Action, Event, EventSeq, Holding, IdempotencyKey, NewAccount,
    NewTransaction, NewTransfer, Outcome, Owner, Query, Rejection, Reply, Subject, Submission,
    Timestamp, Transaction, TransactionId, Transfer, TransferId, UserId, Verdict,
};

use super::wire::{Input, Result, Wire, WireError, layout, malformed};
use crate::{Claim, Difference, Follower, List, Page, Verified};

/// One call of the store.
#[derive(Debug)]
pub enum Request {
    Commit { submission: Submission },
    Transaction { id: TransactionId },
    Transactions { query: Query },
    Account { id: AccountId },
    Accounts { query: AccountsQuery },
    BalanceAt { id: AccountId, at: Timestamp },
    Entries { query: EntriesQuery },
    Transfer { id: TransferId },
    Transfers { query: TransfersQuery },
    Events { after: EventSeq, limit: u32 },
    Follow { claim: Claim },
    Followers,
    Unfollow { name: String },
    Users { after: Option<UserId>, limit: u32 },
    Link { seq: EventSeq },
    Seq,
    Verify,
}

/// One message of the server.
#[derive(Debug)]
pub enum Answer {
    /// What was asked for; its bytes follow.
    Done {
        seq: EventSeq,
    },
    Failed {
        error: Told,
    },
    /// How much of a long task is done; the answer comes later.
    Progress {
        done: u64,
        all: u64,
    },
    /// The server is about to end, and has not begun with the request.
    Leaving,
}

/// An error of the server's store.
#[derive(Debug)]
pub enum Told {
    Busy,
    DiskFull,
    Closed,
    TooBroad { limit: std::time::Duration },
    Sealed { path: String },
    NoMasterKey { name: String },
    Corrupt { what: String },
    Other { reason: String },
}

layout! {
    records {
        IdempotencyKey { scope, fingerprint }
        NewTransaction {
            id, id_given, user_id, transaction_type, product, status, side, side_given, currency,
            amount, metadata, source, external_id, revision, created_at,
        }
        Revision { version, updated_at }
        NewAccount { id, user_id, currency, name, metadata, overdraft, initial_balance }
        NewTransfer {
            id, owner, source, destination, amount, currency, reference, metadata, hold,
            expires_in_us, execute_at, queued, created_at,
        }
        Listed { users, accounts }
        Reply { verdicts, replayed, seq }
        Recorded { subject, version, body, seq }
        Transaction {
            id, user_id, transaction_type, product, status, side, side_given, currency, amount,
            metadata, source, external_id, revision, transfer_id, version, created_at,
            recorded_at, updated_at, seq,
        }
        Account {
            id, user_id, currency, name, metadata, status, overdraft, version, created_at,
            updated_at, seq,
        }
        Chain { last, count }
        Funds { balance, pending_in, pending_out, posted, posted_at, listed }
        Holding { account, funds }
        Failure { kind, code, detail }
        Leg { balance, previous }
        Posting { at, source, destination }
        Transfer {
            number, id, status, source, destination, currency, amount, held, reference, metadata,
            expires_in_us, expires_at, execute_at, rolls_back, rolled_back_by, retry_count,
            last_error, last_attempt, next_attempt, posting, is_shown, earlier, version,
            created_at, updated_at, seq,
        }
        Entry {
            number, transfer_id, account, direction, counterparty, currency, amount, balance,
            reference, metadata, posted_at,
        }
        Event { seq, event_type, at, user_id, subject, version, previous, body }
        Position { tier, created_at, id }
        Compare { path, op, value }
        Query {
            user_id, from, to, amount_min, amount_max, any_of, none_of, compare, search, order,
            paging, digest,
        }
        AccountsQuery { user_id, currency, status, after, limit }
        EntriesQuery { account, from, to, before, limit }
        TransfersQuery { whose, status, reference, before, limit }
        Page { items, total, next, is_cut }
        Claim { follower, owner, lease, from, done }
        Follower { name, place, owner }
        Difference { part, what }
        Verified { items, events, buckets, accounts, transfers, differences }
    }
    choices {
        Request {
            0 = Commit { submission: a }
            1 = Transaction { id: a }
            2 = Transactions { query: a }
            3 = Account { id: a }
            4 = Accounts { query: a }
            5 = BalanceAt { id: a, at: b }
            6 = Entries { query: a }
            7 = Transfer { id: a }
            8 = Transfers { query: a }
            9 = Events { after: a, limit: b }
            10 = Follow { claim: a }
            11 = Followers {}
            12 = Unfollow { name: a }
            13 = Users { after: a, limit: b }
            14 = Link { seq: a }
            15 = Seq {}
            16 = Verify {}
        }
        Answer {
            0 = Done { seq: a }
            1 = Failed { error: a }
            2 = Progress { done: a, all: b }
            3 = Leaving {}
        }
        Told {
            0 = Busy {}
            1 = DiskFull {}
            2 = Closed {}
            3 = TooBroad { limit: a }
            4 = Sealed { path: a }
            5 = NoMasterKey { name: a }
            6 = Corrupt { what: a }
            7 = Other { reason: a }
        }
        Action {
            0 = Record { 0: a }
            1 = Erase { id: a, owner: b, version: c }
            2 = Open { 0: a }
            3 = Transfer { 0: a }
            4 = Post { id: a, owner: b, amount: c }
            5 = Void { id: a, owner: b }
            6 = Rollback { id: a, owner: b, by: c }
            never "do what only the API does" {
                Amend Reform Attempt Expire Issue Renew Revoke Note Refused
            }
        }
        Owner {
            0 = User { 0: a }
            1 = Listed { 0: a }
        }
        Overdraft {
            0 = Limit { 0: a }
            1 = Unlimited {}
        }
        Outcome {
            0 = Created { 0: a }
            1 = Updated { 0: a }
            2 = Unchanged { 0: a }
            3 = Ignored { 0: a }
            4 = Deleted { 0: a }
        }
        Subject {
            0 = Item { 0: a }
            1 = Account { 0: a }
            2 = Transfer { 0: a }
            3 = Key { 0: a }
            4 = Audit {}
        }
        Term {
            0 = Whole { 0: a }
            1 = Beginning { 0: a }
            2 = Value { 0: a, 1: b }
        }
        CompareOp {
            0 = Gte {}
            1 = Gt {}
            2 = Lte {}
            3 = Lt {}
        }
        Clause {
            0 = Word { 0: a }
            1 = Phrase { 0: a }
        }
        Order {
            0 = Best {}
            1 = Newest {}
        }
        Paging {
            0 = Page { page: a, size: b }
            1 = Cursor { after: a, limit: b }
        }
        Whose {
            0 = All {}
            1 = Account { 0: a }
            2 = User { 0: a }
        }
    }
}

/// The most actions of a submission: what one commit takes.
const ACTIONS_MAX: usize = 10_000;

impl Wire for Submission {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let Self { at, key, atomic, actions } = self;
        at.encode(out)?;
        key.encode(out)?;
        atomic.encode(out)?;
        actions.encode(out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        let (at, key, atomic) = (Wire::decode(input)?, Wire::decode(input)?, Wire::decode(input)?);
        let actions: Vec<Action> = Wire::decode(input)?;
        if actions.len() > ACTIONS_MAX {
            return Err(WireError::TooLong);
        }
        Ok(Self { at, key, atomic, actions })
    }
}

impl Wire for Verdict {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.is_ok().encode(out)?;
        match self {
            Ok(outcome) => outcome.encode(out),
            Err(rejection) => rejection.encode(out),
        }
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        Ok(if bool::decode(input)? {
            Ok(Outcome::decode(input)?)
        } else {
            Err(Rejection::decode(input)?)
        })
    }
}

impl<T: Wire> Wire for List<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.items.encode(out)?;
        self.has_more.encode(out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self { items: Wire::decode(input)?, has_more: Wire::decode(input)? })
    }
}
