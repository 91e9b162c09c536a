//! Every way the books can change. A command carries all that is needed to decide it: the time,
//! the ids, the caller's right, and the key that makes a repeat harmless.

use crate::account::{AccountPatch, NewAccount};
use crate::id::{AccountId, KeyId, TransactionId, TransferId, UserId};
use crate::key::{NewKey, SecretHash};
use crate::money::Amount;
use crate::note::Note;
use crate::owner::Owner;
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Patch, Side};
use crate::transfer::{Failure, NewTransfer, Retry, Transfer};

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
        owner: Option<Owner>,
        /// The version that the caller saw (`If-Match`).
        version: Option<u32>,
        patch: Patch,
    },
    Erase {
        id: TransactionId,
        owner: Option<Owner>,
        version: Option<u32>,
    },
    /// Opens an account; its opening balance comes from the currency's equity account.
    Open(NewAccount),
    /// Changes an account.
    Reform {
        id: AccountId,
        owner: Option<Owner>,
        version: Option<u32>,
        patch: AccountPatch,
    },
    /// Moves money, holds it, or leaves that to the worker.
    Transfer(NewTransfer),
    /// Moves what a transfer holds, or a part of it; the rest is free again.
    Post {
        id: TransferId,
        /// Who must own the source; `None` may decide on anybody's transfer.
        owner: Option<Owner>,
        amount: Option<Amount>,
    },
    /// Lets go of what a transfer holds, or takes back one that waits.
    Void {
        id: TransferId,
        /// Who must own the destination of a hold, or the source of what waits.
        owner: Option<Owner>,
    },
    /// Undoes a complete transfer by a new one in the other direction.
    Rollback {
        id: TransferId,
        /// Who must own the destination.
        owner: Option<Owner>,
        /// The id of the new transfer.
        by: TransferId,
    },
    /// Tries a transfer that waits; `failure` says that the attempt has failed already, for a
    /// reason that lies outside the books.
    Attempt {
        id: TransferId,
        retry: Retry,
        failure: Option<Failure>,
    },
    /// Lets a hold go whose time is over.
    Expire {
        id: TransferId,
    },
    /// Issues an API key.
    Issue(NewKey),
    /// Gives an API key another secret.
    Renew {
        id: KeyId,
        hash: SecretHash,
        /// How long the secret that it has opens too.
        until: Option<Timestamp>,
    },
    /// Ends an API key.
    Revoke {
        id: KeyId,
    },
    /// Remembers something in the event log that changes nothing else.
    Note(Note),
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
    /// Ids that clients chose for new items, which must never have been used.
    pub chosen: Vec<TransactionId>,
    pub keys: Vec<IdempotencyKey>,
    pub accounts: Vec<AccountId>,
    pub transfers: Vec<TransferId>,
    pub references: Vec<(AccountId, String)>,
    /// Users who open accounts, whose accounts are counted.
    pub openers: Vec<UserId>,
    pub api_keys: Vec<KeyId>,
    /// Whether an account asks for a number.
    pub next_account: bool,
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
                    Action::Record(new) => set.record(new),
                    Action::Amend { id, .. } | Action::Erase { id, .. } => {
                        set.transactions.push(*id);
                    }
                    Action::Open(new) => set.open(new),
                    Action::Reform { id, .. } => set.accounts.push(*id),
                    Action::Transfer(new) => {
                        set.accounts.extend([new.source, new.destination]);
                        let reference = new.reference.clone();
                        set.references.extend(reference.map(|text| (new.source, text)));
                    }
                    Action::Post { id, .. }
                    | Action::Void { id, .. }
                    | Action::Rollback { id, .. }
                    | Action::Attempt { id, .. }
                    | Action::Expire { id } => set.transfers.push(*id),
                    Action::Issue(NewKey { id, .. })
                    | Action::Renew { id, .. }
                    | Action::Revoke { id } => set.api_keys.push(*id),
                    Action::Note(_) | Action::Refused(_) => {}
                }
            }
        }
        set.sort();
        set
    }

    fn record(&mut self, new: &NewTransaction) {
        self.external.extend(new.external_key());
        if new.id_given {
            self.transactions.push(new.id);
            self.chosen.push(new.id);
            self.transfers.extend(TransferId::shown_by(new.id));
        }
    }

    fn open(&mut self, new: &NewAccount) {
        self.accounts.extend([new.id.unwrap_or_default(), AccountId::equity(&new.currency)]);
        self.openers.extend(new.user_id.clone());
        self.next_account |= new.id.is_none();
    }

    /// Adds what a decision about a loaded transfer touches: its accounts and its feed items.
    pub fn follow(&mut self, transfer: &Transfer) {
        self.accounts.extend([transfer.source, transfer.destination]);
        if transfer.is_shown {
            let items = [Side::Debit, Side::Credit].map(|side| transfer.id.item(side));
            self.transactions.extend(items);
        }
    }

    /// Brings each row once, in order.
    pub fn sort(&mut self) {
        let set = self;
        set.transactions.sort_unstable();
        set.transactions.dedup();
        set.external.sort_unstable();
        set.external.dedup();
        set.chosen.sort_unstable();
        set.chosen.dedup();
        set.keys.sort_unstable_by_key(|key| key.scope);
        set.keys.dedup_by_key(|key| key.scope);
        set.accounts.sort_unstable();
        set.accounts.dedup();
        set.transfers.sort_unstable();
        set.transfers.dedup();
        set.references.sort_unstable();
        set.references.dedup();
        set.openers.sort_unstable();
        set.openers.dedup();
        set.api_keys.sort_unstable();
        set.api_keys.dedup();
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
