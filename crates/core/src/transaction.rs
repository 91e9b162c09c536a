//! A feed item: what it is, what may be sent to make or change one, and the legal moves of its
//! status. Input is checked here once; inside, the types say that it is right.

mod new;
mod patch;
mod published;
mod revision;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::id::{EventSeq, TransactionId, TransferId, UserId};
use crate::json::Json;
use crate::kind::Kind;
use crate::money::{Amount, Currencies, Currency, as_number};
use crate::named::named;
use crate::time::Timestamp;

pub use new::{IGNORED, NewTransaction};
pub use patch::{MetadataChange, Patch, SideChange};
pub use revision::Revision;

named! {
    /// The kind of movement; each has a file of its own under `kind/`.
    TransactionType {
        Card = "card", P2p = "p2p", Crypto = "crypto", TopUp = "top_up",
        Withdrawal = "withdrawal", BillPayment = "bill_payment", Earnings = "earnings",
        Other = "other",
    }
}
named! {
    /// Where a transaction stands. A pending one may become any other; the others are final.
    Status { Completed = "completed", Pending = "pending", Failed = "failed", Cancelled = "cancelled" }
}
named! {
    /// Which way the money went, seen from the user.
    Side { Credit = "credit", Debit = "debit" }
}

impl Status {
    #[must_use]
    pub fn may_become(self, next: Status) -> bool {
        self == next || self == Status::Pending
    }

    /// Whether the item counts in totals; failed and cancelled ones moved no money.
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            Self::Completed | Self::Pending => true,
            Self::Failed | Self::Cancelled => false,
        }
    }
}

/// One item of a user's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub user_id: UserId,
    pub transaction_type: TransactionType,
    pub product: String,
    pub status: Status,
    pub side: Side,
    /// Whether somebody said the side. One that nobody said follows from the metadata.
    pub side_given: bool,
    pub currency: Currency,
    pub amount: Amount,
    pub metadata: Json,
    pub source: Option<String>,
    pub external_id: Option<String>,
    /// What the source says about how new the record is.
    pub revision: Revision,
    /// The transfer of the ledger that the item shows; such an item changes with it only.
    pub transfer_id: Option<TransferId>,
    /// Rises by one with every change.
    pub version: u32,
    /// When it happened.
    pub created_at: Timestamp,
    /// When Daybook stored it.
    pub recorded_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    /// The event of the latest change; not published.
    pub seq: EventSeq,
}

impl Transaction {
    #[must_use]
    pub fn kind(&self) -> &'static dyn Kind {
        crate::kind::of(self.transaction_type)
    }

    /// Whether the side stays when the metadata changes. Rows that were written before this was
    /// kept tell it by a side that differs from what their metadata says.
    #[must_use]
    pub fn keeps_side(&self) -> bool {
        self.side_given || self.side != self.kind().side(&self.metadata)
    }

    /// The published JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only where a map key is no string; there is none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Number(Amount, Currency);
        impl Serialize for Number {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                as_number(self.0, self.1, serializer)
            }
        }
        let mut s = serializer.serialize_struct("Transaction", 20)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("user_id", &self.user_id)?;
        s.serialize_field("transaction_type", &self.transaction_type)?;
        s.serialize_field("product", &self.product)?;
        s.serialize_field("status", &self.status)?;
        s.serialize_field("side", &self.side)?;
        match self.side_given {
            true => s.serialize_field("side_given", &true)?,
            false => s.skip_field("side_given")?,
        }
        s.serialize_field("currency", &self.currency)?;
        s.serialize_field("amount", &Number(self.amount, self.currency))?;
        s.serialize_field("metadata", &self.metadata)?;
        s.serialize_field("display", &self.display())?;
        s.serialize_field("source", &self.source)?;
        s.serialize_field("external_id", &self.external_id)?;
        match &self.revision.version {
            Some(version) => s.serialize_field("source_version", version)?,
            None => s.skip_field("source_version")?,
        }
        match &self.revision.updated_at {
            Some(updated_at) => s.serialize_field("source_updated_at", updated_at)?,
            None => s.skip_field("source_updated_at")?,
        }
        match &self.transfer_id {
            Some(transfer_id) => s.serialize_field("transfer_id", transfer_id)?,
            None => s.skip_field("transfer_id")?,
        }
        s.serialize_field("version", &self.version)?;
        s.serialize_field("created_at", &self.created_at)?;
        s.serialize_field("recorded_at", &self.recorded_at)?;
        s.serialize_field("updated_at", &self.updated_at)?;
        s.end()
    }
}

/// What a deployment accepts beyond the fixed rules: its currencies and its products.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    pub currencies: Currencies,
    pub products: Vec<String>,
}

/// The products known without configuration.
pub const PRODUCTS: &[&str] = &["Card", "P2P", "Crypto", "Earnings", "Account"];

impl Default for Vocabulary {
    fn default() -> Self {
        let products = PRODUCTS.iter().map(|name| (*name).to_owned()).collect();
        Self { currencies: Currencies::default(), products }
    }
}
