//! What happened, as the log keeps it and followers read it.

use std::sync::Arc;

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{AccountId, EventSeq, KeyId, TransactionId, TransferId, UserId};
use crate::named::named;
use crate::time::Timestamp;

named! {
    /// The name of an event, as published. The first three are about items of the feed; those
    /// about the ledger follow, where a transaction is a transfer; the last are for auditors.
    EventType {
        Created = "transaction.created", Updated = "transaction.updated",
        Deleted = "transaction.deleted", AccountCreated = "account.created",
        AccountUpdated = "account.updated", Submitted = "transaction.submitted",
        Completed = "transaction.completed", Failed = "transaction.failed",
        RolledBack = "transaction.rolled_back", Refused = "access.refused",
        Shredded = "user.shredded", Rewrapped = "keys.rewrapped",
        KeyIssued = "key.issued", KeyRotated = "key.rotated", KeyRevoked = "key.revoked",
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Item(TransactionId),
    Account(AccountId),
    Transfer(TransferId),
    Key(KeyId),
    /// Nothing that has an id: a note for auditors.
    Audit,
}

/// One entry of the log: an item, an account or a transfer as it stood after a change, or an item
/// for the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub seq: EventSeq,
    pub event_type: EventType,
    pub at: Timestamp,
    /// Whose item or account it is, who pays (or else receives) a transfer, whom a note is about.
    pub user_id: Option<UserId>,
    pub subject: Subject,
    pub version: u32,
    /// The previous event of the same subject: its history is a chain.
    pub previous: Option<EventSeq>,
    /// The published JSON.
    pub body: Arc<str>,
}

/// As followers publish it. What it is about stands under `transaction`, `account`, `transfer`,
/// `key` or `audit`, byte for byte as the log has it.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let about = match self.subject {
            Subject::Item(_) => "transaction",
            Subject::Account(_) => "account",
            Subject::Transfer(_) => "transfer",
            Subject::Key(_) => "key",
            Subject::Audit => "audit",
        };
        let body: &RawValue = serde_json::from_str(&self.body).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("event_type", &self.event_type)?;
        map.serialize_entry("timestamp", &self.at)?;
        map.serialize_entry("user_id", &self.user_id)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry(about, body)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_published_with_what_it_is_about() {
        let event = Event {
            seq: EventSeq(7),
            event_type: EventType::AccountCreated,
            at: Timestamp::from_micros(1_720_000_000_000_000),
            user_id: None,
            subject: Subject::Account(AccountId(5)),
            version: 1,
            previous: None,
            body: r#"{"account_id":5, "balance":"0.10"}"#.into(),
        };
        assert_eq!(
            serde_json::to_string(&event).expect("JSON"),
            r#"{"seq":7,"event_type":"account.created","timestamp":"2024-07-03T09:46:40.000000Z","#
                .to_owned()
                + r#""user_id":null,"version":1,"account":{"account_id":5, "balance":"0.10"}}"#
        );
    }
}
