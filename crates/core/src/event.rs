//! What happened, as the log keeps it and followers read it.

use std::sync::Arc;

use crate::id::{AccountId, EventSeq, TransactionId, TransferId, UserId};
use crate::named::named;
use crate::time::Timestamp;

named! {
    /// The name of an event, as published. The first three are about items of the feed, the
    /// others about the ledger, where a transaction is a transfer.
    EventType {
        Created = "transaction.created", Updated = "transaction.updated",
        Deleted = "transaction.deleted", AccountCreated = "account.created",
        AccountUpdated = "account.updated", Submitted = "transaction.submitted",
        Completed = "transaction.completed", Failed = "transaction.failed",
        RolledBack = "transaction.rolled_back",
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Item(TransactionId),
    Account(AccountId),
    Transfer(TransferId),
}

/// One entry of the log: an item, an account or a transfer as it stood after a change, or an item
/// for the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub seq: EventSeq,
    pub event_type: EventType,
    pub at: Timestamp,
    /// Whose item or account it is, and who pays (or else receives) a transfer.
    pub user_id: Option<UserId>,
    pub subject: Subject,
    pub version: u32,
    /// The previous event of the same subject: its history is a chain.
    pub previous: Option<EventSeq>,
    /// The published JSON.
    pub body: Arc<str>,
}
