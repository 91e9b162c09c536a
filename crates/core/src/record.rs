//! What is said where a record comes again and contradicts what is stored: both, side by side.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::TransactionId;
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Side, Status, Transaction, TransactionType};

/// Why a record that comes again is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictReason {
    /// It says something else and not that it is newer.
    NotNewer,
    /// It is newer, but its status cannot follow the stored one.
    IllegalMove,
    /// It would change what names a record.
    OtherRecord,
}

/// A record that comes again and is refused, with what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordConflict {
    pub reason: ConflictReason,
    /// The fields in which the two differ.
    pub differ: Vec<String>,
    pub stored: RecordState,
    pub sent: RecordState,
}

/// What is shown of a record in a conflict. Metadata is not: it may be sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordState {
    /// Of what is sent: the id, where the client chose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TransactionId>,
    pub transaction_type: TransactionType,
    pub status: Status,
    pub side: Side,
    /// With the digits of the currency.
    pub amount: String,
    pub currency: String,
    pub created_at: Option<Timestamp>,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub source_version: Option<i64>,
    pub source_updated_at: Option<Timestamp>,
    /// Of what is stored: Daybook's own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl RecordState {
    #[must_use]
    pub fn stored(item: &Transaction) -> Self {
        Self {
            id: Some(item.id),
            transaction_type: item.transaction_type,
            status: item.status,
            side: item.side,
            amount: item.amount.to_text(item.currency),
            currency: item.currency.to_string(),
            created_at: Some(item.created_at),
            source: item.source.clone(),
            external_id: item.external_id.clone(),
            source_version: item.revision.version,
            source_updated_at: item.revision.updated_at,
            version: Some(item.version),
        }
    }

    #[must_use]
    pub fn sent(new: &NewTransaction) -> Self {
        Self {
            id: new.id_given.then_some(new.id),
            transaction_type: new.transaction_type,
            status: new.status,
            side: new.side,
            amount: new.amount.to_text(new.currency),
            currency: new.currency.to_string(),
            created_at: new.created_at,
            source: new.source.clone(),
            external_id: new.external_id.clone(),
            source_version: new.revision.version,
            source_updated_at: new.revision.updated_at,
            version: None,
        }
    }
}

impl fmt::Display for RecordState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, side, amount, currency, transaction_type, .. } = self;
        write!(f, "{status} {side} of {amount} {currency} ({transaction_type}")?;
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        }
        if let Some(version) = self.source_version {
            write!(f, ", source version {version}")?;
        }
        if let Some(at) = self.source_updated_at {
            write!(f, ", source updated at {at}")?;
        }
        f.write_str(")")
    }
}

impl RecordConflict {
    /// The stable code that programs match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.reason {
            ConflictReason::NotNewer | ConflictReason::OtherRecord => "RECORD_CONFLICT",
            ConflictReason::IllegalMove => "ILLEGAL_STATUS_MOVE",
        }
    }
}

impl fmt::Display for RecordConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stored, sent) = (&self.stored, &self.sent);
        let fields: Vec<String> = self.differ.iter().map(|name| format!("`{name}`")).collect();
        let fields = fields.join(", ");
        match self.reason {
            ConflictReason::NotNewer => write!(
                f,
                "this record is known with another {fields}, and what is sent does not say that it \
                 is newer"
            )?,
            ConflictReason::IllegalMove => write!(
                f,
                "a {} transaction cannot become {}, even by a newer version of its record",
                stored.status, sent.status
            )?,
            ConflictReason::OtherRecord => {
                write!(f, "this record is known with another {fields}, which never changes")?;
            }
        }
        write!(f, "; stored: {stored}; sent: {sent}")?;
        if self.reason == ConflictReason::NotNewer {
            f.write_str(
                "; a newer version has a higher `source_version` or a later `source_updated_at`",
            )?;
        }
        Ok(())
    }
}
