//! A request to record a transaction.

use super::{Revision, Side, Status, Transaction, TransactionType, Vocabulary};
use crate::id::{EventSeq, TransactionId, UserId};
use crate::input::{
    Reader, read_currency, read_id, read_metadata, read_name, read_product, read_side, read_status,
    read_time, read_type, read_user, read_whole,
};
use crate::json::Json;
use crate::limits::{EXTERNAL_ID_CHARS_MAX, SOURCE_CHARS_MAX};
use crate::money::{Amount, Currency};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Fields of a body that say nothing to Daybook and are passed over: what the systems that it
/// replaces add to a record. So is every field whose name begins with an underscore.
pub const IGNORED: &[&str] = &["search_content", "updated_at"];

/// A checked request to record a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransaction {
    pub id: TransactionId,
    /// Whether the client chose the id; else it is made at the edge, with the clock.
    pub id_given: bool,
    pub user_id: UserId,
    pub transaction_type: TransactionType,
    pub product: String,
    pub status: Status,
    pub side: Side,
    /// Whether the side was said; else it follows from the metadata.
    pub side_given: bool,
    pub currency: Currency,
    pub amount: Amount,
    pub metadata: Json,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub revision: Revision,
    /// `None` means: when Daybook records it.
    pub created_at: Option<Timestamp>,
}

impl NewTransaction {
    /// Reads and checks the body of a request. `id` and `user` stand in where the body names none.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(
        body: &str,
        id: TransactionId,
        user: Option<&UserId>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let chosen = r.field("id", read_id);
        let user_id = r.field("user_id", read_user).or_else(|| user.cloned());
        let transaction_type = r.field("transaction_type", read_type);
        let status = r.field("status", read_status).unwrap_or(Status::Completed);
        let product = r.field("product", |raw| read_product(raw, vocabulary));
        let side = r.field("side", read_side);
        let currency = r.field("currency", |raw| read_currency(raw, vocabulary));
        let usd = vocabulary.currencies.get("USD");
        let currency_broken = r.broken("currency");
        let currency = if currency_broken { None } else { currency.or(usd) };
        let amount = r.amount(currency);
        let metadata = r.field("metadata", read_metadata).unwrap_or(Json::Object(Vec::new()));
        let source = r.field("source", |raw| read_name(raw, SOURCE_CHARS_MAX));
        let external_id = r.field("external_id", |raw| read_name(raw, EXTERNAL_ID_CHARS_MAX));
        let revision = Revision {
            version: r.field("source_version", read_whole),
            updated_at: r.field("source_updated_at", read_time),
        };
        let created_at = r.field("created_at", read_time);
        r.ignore(|name| name.starts_with('_') || IGNORED.contains(&name));
        if external_id.is_some() && source.is_none() && !r.broken("source") {
            r.error("/source", "REQUIRED", "an `external_id` needs the `source` it comes from");
        }
        r.require("user_id", user_id.is_some());
        r.require("transaction_type", transaction_type.is_some());
        r.require("amount", amount.is_some());
        if let Some(transaction_type) = transaction_type {
            r.errors.extend(crate::kind::of(transaction_type).check(&metadata));
        }
        r.finish()?;
        let missing = || Rejection::Invalid(Vec::new());
        let transaction_type = transaction_type.ok_or_else(missing)?;
        let kind = crate::kind::of(transaction_type);
        Ok(Self {
            id: chosen.unwrap_or(id),
            id_given: chosen.is_some(),
            user_id: user_id.ok_or_else(missing)?,
            transaction_type,
            product: product.unwrap_or_else(|| kind.product().to_owned()),
            status,
            side: side.unwrap_or_else(|| kind.side(&metadata)),
            side_given: side.is_some(),
            currency: currency.ok_or_else(missing)?,
            amount: amount.ok_or_else(missing)?,
            metadata,
            source,
            external_id,
            revision,
            created_at,
        })
    }

    /// The item as it stands after it was recorded at `at`.
    #[must_use]
    pub fn record(self, at: Timestamp, seq: EventSeq) -> Transaction {
        Transaction {
            id: self.id,
            user_id: self.user_id,
            transaction_type: self.transaction_type,
            product: self.product,
            status: self.status,
            side: self.side,
            side_given: self.side_given,
            currency: self.currency,
            amount: self.amount,
            metadata: self.metadata,
            source: self.source,
            external_id: self.external_id,
            revision: self.revision,
            transfer_id: None,
            version: 1,
            created_at: self.created_at.unwrap_or(at),
            recorded_at: at,
            updated_at: None,
            seq,
        }
    }
}
