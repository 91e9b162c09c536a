//! What a decision reads (the rows that a store loaded) and what it asks a store to write.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Holding;
use crate::command::ExternalKey;
use crate::event::{Event, Subject};
use crate::id::{AccountId, EventSeq, KeyId, TransactionId, TransferId, UserId};
use crate::key::ApiKey;
use crate::note::Note;
use crate::rejection::Rejection;
use crate::stats::{BucketKey, Delta};
use crate::time::Timestamp;
use crate::transaction::Transaction;
use crate::transfer::Transfer;

/// The rows that the submissions touch, as they stood when the commit began.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The first event number that is free.
    pub next_seq: EventSeq,
    pub transactions: HashMap<TransactionId, Transaction>,
    pub external: HashMap<ExternalKey, TransactionId>,
    /// Whose the items were that had a chosen id and are gone.
    pub deleted: HashMap<TransactionId, UserId>,
    /// By the scope of their key.
    pub replies: HashMap<u128, StoredReply>,
    /// The events that stored replies name.
    pub events: HashMap<EventSeq, Event>,
    pub accounts: HashMap<AccountId, Holding>,
    pub transfers: HashMap<TransferId, Transfer>,
    /// Transfers by their source and reference.
    pub references: HashMap<(AccountId, String), TransferId>,
    pub keys: HashMap<KeyId, ApiKey>,
    /// How many accounts the users have who open one.
    pub owned: HashMap<UserId, usize>,
    /// The highest account number that Daybook might have given.
    pub last_account: AccountId,
}

/// An item, an account or a transfer as it stands after a change, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub subject: Subject,
    pub version: u32,
    /// The published JSON, shared with the event log.
    pub body: Arc<str>,
    seq: EventSeq,
}

impl Recorded {
    #[must_use]
    pub fn of(item: &Transaction) -> Self {
        let subject = Subject::Item(item.id);
        Self { subject, version: item.version, body: item.to_json().into(), seq: item.seq }
    }

    #[must_use]
    pub fn transfer(transfer: &Transfer) -> Self {
        let (subject, version) = (Subject::Transfer(transfer.id), transfer.version);
        Self { subject, version, body: transfer.to_json().into(), seq: transfer.seq }
    }

    #[must_use]
    pub fn key(key: &ApiKey) -> Self {
        let (subject, version) = (Subject::Key(key.id), key.version);
        Self { subject, version, body: key.to_json().into(), seq: key.seq }
    }

    #[must_use]
    pub fn audit(note: &Note, seq: EventSeq) -> Self {
        Self { subject: Subject::Audit, version: 1, body: note.body.clone(), seq }
    }

    #[must_use]
    pub fn account(holding: &Holding) -> Self {
        let account = &holding.account;
        let (subject, version) = (Subject::Account(account.id), account.version);
        Self { subject, version, body: holding.to_json().into(), seq: account.seq }
    }
}

impl From<&Event> for Recorded {
    fn from(event: &Event) -> Self {
        let body = event.body.clone();
        Self { subject: event.subject, version: event.version, body, seq: event.seq }
    }
}

/// What an accepted action did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created(Recorded),
    Updated(Recorded),
    /// The item already says this; nothing was written.
    Unchanged(Recorded),
    /// What was sent is older than the item, or says too little to change it; nothing was written.
    Ignored(Recorded),
    Deleted(TransactionId),
}

pub type Verdict = Result<Outcome, Rejection>;

/// The answer to one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub verdicts: Vec<Verdict>,
    /// The same request was answered before, and this is that answer.
    pub replayed: bool,
    /// The newest event that a reader must have seen to see this change.
    pub seq: EventSeq,
}

/// The answer to one submission as it is kept for a repeat of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReply {
    pub fingerprint: u128,
    pub at: Timestamp,
    pub seq: EventSeq,
    pub verdicts: Vec<StoredVerdict>,
}

/// One verdict, kept as a reference into the event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredVerdict {
    #[serde(rename = "c")]
    Created(EventSeq),
    #[serde(rename = "u")]
    Updated(EventSeq),
    #[serde(rename = "n")]
    Unchanged(EventSeq),
    #[serde(rename = "i")]
    Ignored(EventSeq),
    /// An account or a transfer whose money or waiting the event does not tell; with its JSON.
    #[serde(rename = "s")]
    Seen(EventSeq, String),
    #[serde(rename = "d")]
    Deleted(TransactionId),
    #[serde(rename = "r")]
    Refused(Rejection),
}

impl StoredVerdict {
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Ok(Outcome::Created(recorded)) => Self::Created(recorded.seq),
            Ok(Outcome::Updated(recorded)) => Self::Updated(recorded.seq),
            Ok(Outcome::Unchanged(recorded)) => match recorded.subject {
                Subject::Item(_) | Subject::Key(_) | Subject::Audit => {
                    Self::Unchanged(recorded.seq)
                }
                Subject::Account(_) | Subject::Transfer(_) => {
                    Self::Seen(recorded.seq, recorded.body.to_string())
                }
            },
            Ok(Outcome::Ignored(recorded)) => Self::Ignored(recorded.seq),
            Ok(Outcome::Deleted(id)) => Self::Deleted(*id),
            Err(rejection) => Self::Refused(rejection.clone()),
        }
    }
}

impl StoredReply {
    /// The events that the answer is made of.
    pub fn events(&self) -> impl Iterator<Item = EventSeq> + '_ {
        self.verdicts.iter().filter_map(|verdict| match verdict {
            StoredVerdict::Created(seq)
            | StoredVerdict::Updated(seq)
            | StoredVerdict::Unchanged(seq)
            | StoredVerdict::Ignored(seq)
            | StoredVerdict::Seen(seq, _) => Some(*seq),
            StoredVerdict::Deleted(_) | StoredVerdict::Refused(_) => None,
        })
    }
}

/// One row before and after the commit; `None` is a row that is not there.
#[derive(Clone, Debug)]
pub struct RowChange {
    pub old: Option<Transaction>,
    pub new: Option<Transaction>,
}

/// An account after the commit, with what of it changed.
#[derive(Clone, Debug)]
pub struct AccountChange {
    pub holding: Holding,
    pub opened: bool,
    /// More than its money changed.
    pub reformed: bool,
}

/// A transfer after the commit.
#[derive(Clone, Debug)]
pub struct TransferChange {
    pub transfer: Transfer,
    pub is_new: bool,
}

/// The two orders in which an account's transfers are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// As money moved: found by the time of the posting.
    Posted,
    /// As they were submitted: found by number.
    Listed,
}

/// A sign by which one of many transfers of an account is found without walking to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub account: AccountId,
    pub order: Order,
    /// The time of the posting in microseconds, or the transfer's number.
    pub key: i64,
    pub number: EventSeq,
}

/// All that one commit writes.
#[derive(Debug, Default)]
pub struct WriteSet {
    /// Each row once, in the order in which rows were first touched.
    pub rows: Vec<RowChange>,
    pub events: Vec<Event>,
    pub statistics: BTreeMap<BucketKey, Vec<Delta>>,
    /// By the scope of their key.
    pub replies: Vec<(u128, StoredReply)>,
    /// In the order of their numbers.
    pub accounts: Vec<AccountChange>,
    /// Each once, in the order in which they were first touched.
    pub transfers: Vec<TransferChange>,
    pub marks: Vec<Mark>,
    /// API keys after the commit, each once.
    pub keys: Vec<ApiKey>,
}

impl WriteSet {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty() && self.transfers.is_empty()
    }
}
