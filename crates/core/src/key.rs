//! API keys of services: what one may do, and until when. The secret of a key is not here, only a
//! keyed hash of it; who makes and checks hashes is the server.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{AccountId, EventSeq, KeyId, UserId};
use crate::input::{Read, Reader, read_name, read_time, wrong};
use crate::limits::{KEY_LISTED_MAX, KEY_NAME_CHARS_MAX};
use crate::owner::{Listed, Owner};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// A keyed hash of a secret (HMAC-SHA256).
pub type SecretHash = [u8; 32];

/// An API key. Its JSON is what is published, and holds nothing that opens anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    #[serde(rename = "key_id")]
    pub id: KeyId,
    pub name: String,
    /// The names of its scopes.
    pub scopes: Vec<String>,
    /// The users whose rows it is narrowed to.
    pub users: Vec<UserId>,
    /// The accounts that it is narrowed to.
    pub accounts: Vec<AccountId>,
    pub expires_at: Option<Timestamp>,
    /// Rises by one with every change.
    pub version: u32,
    pub created_at: Timestamp,
    /// When it got the secret that it has, unless it has the first.
    pub rotated_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    #[serde(skip)]
    pub hash: SecretHash,
    /// The secret before, and until when that opens too.
    #[serde(skip)]
    pub previous: Option<(SecretHash, Timestamp)>,
    /// The event of the latest change.
    #[serde(skip)]
    pub seq: EventSeq,
    /// When it was last seen, to the minute; no change of the key.
    #[serde(skip)]
    pub used_at: Option<Timestamp>,
}

impl ApiKey {
    /// The published JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only where a map key is no string; there is none.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it is over, by its time or by a decision.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.revoked_at.is_some() || self.expires_at.is_some_and(|end| end <= at)
    }

    /// Whose rows it may touch; `None` may touch everybody's.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        let (users, accounts) = (self.users.clone(), self.accounts.clone());
        match (users.as_slice(), accounts.is_empty()) {
            ([], true) => None,
            ([user], true) => Some(Owner::User(user.clone())),
            _ => Some(Owner::Listed(Listed { users, accounts }.into())),
        }
    }
}

/// A checked request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    pub id: KeyId,
    pub name: String,
    pub scopes: Vec<String>,
    pub users: Vec<UserId>,
    pub accounts: Vec<AccountId>,
    pub expires_at: Option<Timestamp>,
    pub hash: SecretHash,
}

impl NewKey {
    /// Reads and checks the body of a request; `known` are the names of scopes.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(
        body: &str,
        (id, hash): (KeyId, SecretHash),
        known: &[&str],
        at: Timestamp,
    ) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let name = r.field("name", |raw| read_name(raw, KEY_NAME_CHARS_MAX));
        r.require("name", name.is_some());
        let scopes: Vec<String> = r.field("scopes", read_list).unwrap_or_default();
        for (place, scope) in scopes.iter().enumerate() {
            if !known.contains(&scope.as_str()) {
                let detail = format!("`{scope}` is none of {}", known.join(", "));
                r.error(&format!("/scopes/{place}"), "ONE_OF", detail);
            }
        }
        if scopes.is_empty() && !r.broken("scopes") {
            r.error("/scopes", "REQUIRED", format!("name at least one of {}", known.join(", ")));
        }
        let users = r.field("users", read_some).unwrap_or_default();
        let accounts = r.field("accounts", read_some).unwrap_or_default();
        let expires_at = r.field("expires_at", read_time);
        if expires_at.is_some_and(|end| end <= at) {
            r.error("/expires_at", "IN_PAST", "`expires_at` lies in the past");
        }
        r.finish()?;
        Ok(Self { id, name: name.unwrap_or_default(), scopes, users, accounts, expires_at, hash })
    }

    /// The key as it is issued.
    pub(crate) fn issue(&self, at: Timestamp, seq: EventSeq) -> ApiKey {
        let new = self.clone();
        ApiKey {
            id: new.id,
            name: new.name,
            scopes: new.scopes,
            users: new.users,
            accounts: new.accounts,
            expires_at: new.expires_at,
            version: 1,
            created_at: at,
            rotated_at: None,
            revoked_at: None,
            hash: new.hash,
            previous: None,
            seq,
            used_at: None,
        }
    }
}

/// A list that narrows a key. An empty one would narrow it to nothing, or to all that there is, and
/// whoever sends one rarely knows.
fn read_some<T: serde::de::DeserializeOwned>(raw: &RawValue) -> Read<Vec<T>> {
    match read_list(raw) {
        Ok(list) if list.is_empty() => {
            wrong("EMPTY", "name at least one, or leave the field out".to_owned())
        }
        list => list,
    }
}

/// A list of few things.
fn read_list<T: serde::de::DeserializeOwned>(raw: &RawValue) -> Read<Vec<T>> {
    match serde_json::from_str::<Vec<T>>(raw.get()) {
        Ok(list) if list.len() <= KEY_LISTED_MAX => Ok(list),
        Ok(_) => wrong("TOO_LONG", format!("it has more than {KEY_LISTED_MAX} entries")),
        Err(error) => wrong("LIST", format!("it is no such list: {error}")),
    }
}
