//! What happened, as the log keeps it and followers read it.

use std::sync::Arc;

use serde::Serialize;

use crate::id::{EventSeq, TransactionId, UserId};
use crate::time::Timestamp;

/// The name of an event, as published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum EventType {
    #[serde(rename = "transaction.created")]
    Created,
    #[serde(rename = "transaction.updated")]
    Updated,
    #[serde(rename = "transaction.deleted")]
    Deleted,
}

impl EventType {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "transaction.created",
            Self::Updated => "transaction.updated",
            Self::Deleted => "transaction.deleted",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted].into_iter().find(|t| t.name() == name)
    }
}

/// One entry of the log: an item as it stood after a change, or for the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub seq: EventSeq,
    pub event_type: EventType,
    pub at: Timestamp,
    pub user_id: UserId,
    pub transaction_id: TransactionId,
    pub version: u32,
    /// The previous event of the same item: its history is a chain.
    pub previous: Option<EventSeq>,
    /// The item's published JSON.
    pub body: Arc<str>,
}
