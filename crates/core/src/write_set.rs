//! What a decision reads (the rows that a store loaded) and what it asks a store to write.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::ExternalKey;
use crate::event::Event;
use crate::id::{EventSeq, TransactionId};
use crate::rejection::Rejection;
use crate::stats::{BucketKey, Delta};
use crate::time::Timestamp;
use crate::transaction::Transaction;

/// The rows that the submissions touch, as they stood when the commit began.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The first event number that is free.
    pub next_seq: EventSeq,
    pub transactions: HashMap<TransactionId, Transaction>,
    pub external: HashMap<ExternalKey, TransactionId>,
    /// By the scope of their key.
    pub replies: HashMap<u128, StoredReply>,
    /// The events that stored replies name.
    pub events: HashMap<EventSeq, Event>,
}

/// An item as it stands after a change, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub id: TransactionId,
    pub version: u32,
    /// The published JSON, shared with the event log.
    pub body: Arc<str>,
    seq: EventSeq,
}

impl Recorded {
    #[must_use]
    pub fn of(item: &Transaction) -> Self {
        Self { id: item.id, version: item.version, body: item.to_json().into(), seq: item.seq }
    }
}

impl From<&Event> for Recorded {
    fn from(event: &Event) -> Self {
        let body = event.body.clone();
        Self { id: event.transaction_id, version: event.version, body, seq: event.seq }
    }
}

/// What an accepted action did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created(Recorded),
    Updated(Recorded),
    /// The item already says this; nothing was written.
    Unchanged(Recorded),
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
            Ok(Outcome::Unchanged(recorded)) => Self::Unchanged(recorded.seq),
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
            | StoredVerdict::Unchanged(seq) => Some(*seq),
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

/// All that one commit writes.
#[derive(Debug, Default)]
pub struct WriteSet {
    /// Each row once, in the order in which rows were first touched.
    pub rows: Vec<RowChange>,
    pub events: Vec<Event>,
    pub statistics: BTreeMap<BucketKey, Vec<Delta>>,
    /// By the scope of their key.
    pub replies: Vec<(u128, StoredReply)>,
}

impl WriteSet {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}
