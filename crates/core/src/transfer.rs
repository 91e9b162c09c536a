//! Transfers between accounts: what one is, its legal moves, and what may be sent to make one.
//!
//! A transfer moves money at most once, so its row is its journal entry too: it keeps the
//! balances of both accounts after it and links to the entries before it.

mod input;
mod retry;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{AccountId, EventSeq, TransferId, UserId};
use crate::json::Json;
use crate::kind::p2p;
use crate::money::{Amount, AsText, Balance, Currency};
use crate::named::named;
use crate::rejection::Rejection;
use crate::time::{Timestamp, US_PER_S};
use crate::transaction::{self, Side};

pub use input::{NewTransfer, parse_capture};
pub use retry::{Failure, FailureKind, Retry};

named! {
    /// Where a transfer stands. A pending one becomes any other; a complete one may be rolled
    /// back; the others are final.
    TransferStatus { Pending = "pending", Complete = "complete", Failed = "failed", Rollback = "rollback" }
}

/// One account's side of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account's balance after it.
    pub balance: Balance,
    /// The number of the transfer that moved the account's money before this one.
    pub previous: Option<EventSeq>,
}

/// The movement of a transfer's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When it moved. Never before an earlier entry of either account.
    pub at: Timestamp,
    pub source: Leg,
    pub destination: Leg,
}

/// A transfer between two accounts of one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its first event; transfers are numbered in the order in which they were submitted.
    pub number: EventSeq,
    pub id: TransferId,
    pub status: TransferStatus,
    pub source: AccountId,
    pub destination: AccountId,
    pub currency: Currency,
    /// What moves: after a capture of a part, that part.
    pub amount: Amount,
    /// What was held at first, where anything was to be held.
    pub held: Option<Amount>,
    pub reference: Option<String>,
    pub metadata: Json,
    /// How long it is to be held, in microseconds.
    pub expires_in_us: Option<i64>,
    pub expires_at: Option<Timestamp>,
    pub execute_at: Option<Timestamp>,
    /// The transfer that this one undoes.
    pub rolls_back: Option<TransferId>,
    /// The transfer that undid this one.
    pub rolled_back_by: Option<TransferId>,
    pub retry_count: u32,
    pub last_error: Option<Failure>,
    pub last_attempt: Option<Timestamp>,
    /// When it is to be tried (again); only where it waits for that.
    pub next_attempt: Option<Timestamp>,
    pub posting: Option<Posting>,
    /// Whether both accounts have owners, so that it is in their feeds.
    pub is_shown: bool,
    /// The transfers of the source and of the destination that were submitted before this one.
    pub earlier: [Option<EventSeq>; 2],
    pub version: u32,
    /// When it was submitted, or when it happened where the client said so.
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    /// The event of the latest change; not published.
    pub seq: EventSeq,
}

impl Transfer {
    /// Whether money is held for it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.status == TransferStatus::Pending && self.next_attempt.is_none()
    }

    /// Whether it waits to be tried.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.status == TransferStatus::Pending && self.next_attempt.is_some()
    }

    /// When somebody must look at it: to try it, or to let its hold go.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.status {
            TransferStatus::Pending => self.next_attempt.or(self.expires_at),
            TransferStatus::Complete | TransferStatus::Failed | TransferStatus::Rollback => None,
        }
    }

    /// The number of the transfer before this one in an account's list; `None` is the first.
    #[must_use]
    pub fn earlier_of(&self, account: AccountId) -> Option<EventSeq> {
        let [source, destination] = self.earlier;
        if account == self.source { source } else { destination }
    }

    /// The side of the movement that is an account's; `None` when it has no part in it.
    #[must_use]
    pub fn leg_of(&self, account: AccountId) -> Option<Leg> {
        let posting = self.posting?;
        if account == self.source {
            return Some(posting.source);
        }
        (account == self.destination).then_some(posting.destination)
    }

    /// The status of the feed items that show it.
    #[must_use]
    pub fn item_status(&self) -> transaction::Status {
        match self.status {
            TransferStatus::Pending => transaction::Status::Pending,
            TransferStatus::Complete => transaction::Status::Completed,
            TransferStatus::Failed => transaction::Status::Failed,
            TransferStatus::Rollback => transaction::Status::Cancelled,
        }
    }

    /// What the feed item of one side says about it, beside what the client attached. Who the
    /// other side is, Daybook says: the payer shall not choose a name in somebody else's feed.
    #[must_use]
    pub fn item_metadata(&self, side: Side, peer: &UserId) -> Json {
        let (direction, own, other) = match side {
            Side::Debit => ("sent", self.source, self.destination),
            Side::Credit => ("received", self.destination, self.source),
        };
        let text = |text: &str| Json::String(text.to_owned());
        let mut entries = vec![
            ("direction".to_owned(), text(direction)),
            ("peer_id".to_owned(), text(peer.as_str())),
            ("account_id".to_owned(), text(&own.to_string())),
            ("peer_account_id".to_owned(), text(&other.to_string())),
        ];
        let reference = self.reference.as_deref().map(text);
        entries.extend(reference.map(|reference| ("reference".to_owned(), reference)));
        if let Json::Object(attached) = &self.metadata {
            let own = |key: &str| {
                p2p::PEER.contains(&key) || entries.iter().any(|(known, _)| known == key)
            };
            let attached: Vec<_> = attached.iter().filter(|(key, _)| !own(key)).cloned().collect();
            entries.extend(attached);
        }
        Json::Object(entries)
    }

    /// The entry of one account's statement; `None` when no money of it moved.
    #[must_use]
    pub fn entry(&self, account: AccountId) -> Option<Entry> {
        let (posting, leg) = (self.posting?, self.leg_of(account)?);
        let (direction, counterparty) = if account == self.source {
            (Side::Debit, self.destination)
        } else {
            (Side::Credit, self.source)
        };
        Some(Entry {
            number: self.number,
            transfer_id: self.id,
            account,
            direction,
            counterparty,
            currency: self.currency,
            amount: self.amount,
            balance: leg.balance,
            reference: self.reference.clone(),
            metadata: self.metadata.clone(),
            posted_at: posting.at,
        })
    }

    /// The published JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only where a map key is no string; there is none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Transfer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Transfer", 22)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("status", &self.status)?;
        s.serialize_field("source_account_id", &self.source)?;
        s.serialize_field("destination_account_id", &self.destination)?;
        s.serialize_field("currency", &self.currency)?;
        s.serialize_field("amount", &AsText(self.amount, self.currency))?;
        s.serialize_field("held_amount", &self.held.map(|held| AsText(held, self.currency)))?;
        s.serialize_field("reference", &self.reference)?;
        s.serialize_field("metadata", &self.metadata)?;
        // Only a hold has one, whether or not it has begun.
        match self.held {
            Some(_) => s.serialize_field("expires_in", &self.expires_in_us.map(|us| us / US_PER_S)),
            None => s.skip_field("expires_in"),
        }?;
        s.serialize_field("expires_at", &self.expires_at)?;
        s.serialize_field("execute_at", &self.execute_at)?;
        s.serialize_field("rolls_back", &self.rolls_back)?;
        s.serialize_field("rolled_back_by", &self.rolled_back_by)?;
        s.serialize_field("retry_count", &self.retry_count)?;
        s.serialize_field("last_error", &self.last_error)?;
        s.serialize_field("last_attempt", &self.last_attempt)?;
        s.serialize_field("next_attempt", &self.next_attempt)?;
        s.serialize_field("version", &self.version)?;
        s.serialize_field("created_at", &self.created_at)?;
        s.serialize_field("posted_at", &self.posting.map(|posting| posting.at))?;
        s.serialize_field("updated_at", &self.updated_at)?;
        s.end()
    }
}

/// One row of an account's statement: a movement, seen from the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of its transfer; not published.
    pub number: EventSeq,
    pub transfer_id: TransferId,
    pub account: AccountId,
    /// Debit is money that went out, credit is money that came in.
    pub direction: Side,
    pub counterparty: AccountId,
    pub currency: Currency,
    pub amount: Amount,
    /// The account's balance after it.
    pub balance: Balance,
    pub reference: Option<String>,
    pub metadata: Json,
    pub posted_at: Timestamp,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Entry", 10)?;
        s.serialize_field("transfer_id", &self.transfer_id)?;
        s.serialize_field("account_id", &self.account)?;
        s.serialize_field("direction", &self.direction)?;
        s.serialize_field("counterparty_account_id", &self.counterparty)?;
        s.serialize_field("currency", &self.currency)?;
        s.serialize_field("amount", &AsText(self.amount, self.currency))?;
        s.serialize_field("balance", &self.balance.to_text(self.currency))?;
        s.serialize_field("reference", &self.reference)?;
        s.serialize_field("metadata", &self.metadata)?;
        s.serialize_field("posted_at", &self.posted_at)?;
        s.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Vocabulary;

    #[test]
    fn the_payer_names_nobody_in_the_feeds() {
        let body = r#"{"source_account_id":1,"destination_account_id":2,"amount":"1.00",
            "reference":"r","metadata":{"peer_name":"Your Bank","peer_id":"x","note":"Lunch"}}"#;
        let id = TransferId(uuid::Uuid::from_u128(1));
        let new = NewTransfer::parse(body, id, &Vocabulary::default()).expect("a transfer");
        let transfer = Transfer {
            number: EventSeq(1),
            id,
            status: TransferStatus::Complete,
            source: new.source,
            destination: new.destination,
            currency: Currency::USD,
            amount: new.amount,
            held: None,
            reference: new.reference,
            metadata: new.metadata,
            expires_in_us: None,
            expires_at: None,
            execute_at: None,
            rolls_back: None,
            rolled_back_by: None,
            retry_count: 0,
            last_error: None,
            last_attempt: None,
            next_attempt: None,
            posting: None,
            is_shown: true,
            earlier: [None, None],
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: None,
            seq: EventSeq(1),
        };
        let ann = UserId::parse("ann").expect("a user");
        assert_eq!(
            transfer.item_metadata(Side::Credit, &ann).to_string(),
            r#"{"direction":"received","peer_id":"ann","account_id":"2","peer_account_id":"1","reference":"r","note":"Lunch"}"#
        );
    }
}
