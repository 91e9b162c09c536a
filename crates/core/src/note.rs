//! Things that are worth remembering and change nothing else: they stand in the event log only.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::EventType;
use crate::id::{KeyId, UserId};

/// A note for the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub event_type: EventType,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// JSON, as it is published.
    pub body: Arc<str>,
}

/// Attempts of one kind that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// The status of the answers.
    pub status: u16,
    /// The code of the answers.
    pub code: String,
    pub method: String,
    /// The route, without the ids in it.
    pub route: String,
    /// The API key that was presented, where one was and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// Where the requests came from, where that is known.
    pub address: Option<String>,
    /// How many there were.
    pub count: u64,
}

impl Note {
    fn new(event_type: EventType, user_id: Option<UserId>, body: &Value) -> Self {
        Self { event_type, user_id, body: body.to_string().into() }
    }

    /// Logins that failed, or rows that a caller may not see.
    #[must_use]
    pub fn refused(user_id: Option<UserId>, refusals: &Refusals) -> Self {
        Self::new(EventType::Refused, user_id, &json!(refusals))
    }

    /// What a user had sealed is unreadable from now on.
    #[must_use]
    pub fn shredded(user_id: UserId, keys: u64) -> Self {
        Self::new(EventType::Shredded, Some(user_id), &json!({ "keys": keys }))
    }

    /// All keys of users are under the current master key.
    #[must_use]
    pub fn rewrapped(master: &str, keys: u64) -> Self {
        Self::new(EventType::Rewrapped, None, &json!({ "master": master, "keys": keys }))
    }
}
