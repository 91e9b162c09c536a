//! Every way the books can change. A command carries all that is needed to decide it: the time,
//! the ids, the caller's right, and the key that makes a repeat harmless.

use crate::id::{TransactionId, UserId};
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Patch};

/// One request to change the books: one action, or a batch of them.
#[derive(Clone, Debug)]
pub struct Submission {
    /// When the request was taken.
    pub at: Timestamp,
    pub key: Option<IdempotencyKey>,
    /// All or nothing; otherwise each action stands for itself.
    pub atomic: bool,
    pub actions: Vec<Action>,
}

impl Submission {
    /// One action without a key.
    #[must_use]
    pub fn one(at: Timestamp, action: Action) -> Self {
        Self { at, key: None, atomic: false, actions: vec![action] }
    }
}

/// What makes two requests the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of caller, method, route and the client's key.
    pub scope: u128,
    /// Hash of the body: the same key with another body is refused.
    pub fingerprint: u128,
}

/// One change.
#[derive(Clone, Debug)]
pub enum Action {
    /// Records an item, or updates the one with the same source and external id.
    Record(NewTransaction),
    Amend {
        id: TransactionId,
        /// Whose item it must be; `None` may change anybody's.
        owner: Option<UserId>,
        /// The version that the caller saw (`If-Match`).
        version: Option<u32>,
        patch: Patch,
    },
    Erase {
        id: TransactionId,
        owner: Option<UserId>,
        version: Option<u32>,
    },
    /// Refused before it came here; it keeps its place in the batch.
    Refused(crate::rejection::Rejection),
}

/// The name of a record in the system that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalKey {
    pub user_id: UserId,
    pub source: String,
    pub external_id: String,
}

/// The rows that commands touch, so that a store can load them in one go.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    pub transactions: Vec<TransactionId>,
    pub external: Vec<ExternalKey>,
    pub keys: Vec<IdempotencyKey>,
}

impl ReadSet {
    /// Collects what the submissions touch, each once, sorted.
    #[must_use]
    pub fn of(submissions: &[Submission]) -> Self {
        let mut set = Self::default();
        for submission in submissions {
            set.keys.extend(submission.key);
            for action in &submission.actions {
                match action {
                    Action::Record(new) => set.external.extend(new.external_key()),
                    Action::Amend { id, .. } | Action::Erase { id, .. } => {
                        set.transactions.push(*id);
                    }
                    Action::Refused(_) => {}
                }
            }
        }
        set.transactions.sort_unstable();
        set.transactions.dedup();
        set.external.sort_unstable();
        set.external.dedup();
        set.keys.sort_unstable_by_key(|key| key.scope);
        set.keys.dedup_by_key(|key| key.scope);
        set
    }
}

impl NewTransaction {
    /// The name of the record in the system that it came from, where it has one.
    #[must_use]
    pub fn external_key(&self) -> Option<ExternalKey> {
        Some(ExternalKey {
            user_id: self.user_id.clone(),
            source: self.source.clone()?,
            external_id: self.external_id.clone()?,
        })
    }
}
