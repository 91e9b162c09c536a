//! Changes of an item: read from a request, applied to what is stored.

use super::{Side, Status, Transaction, Vocabulary};
use crate::input::{
    Reader, check_metadata, read_amount_text, read_metadata, read_product, read_side, read_status,
    read_time,
};
use crate::json::Json;
use crate::money::Amount;
use crate::rejection::{FieldError, Rejection};
use crate::time::Timestamp;

/// How a patch changes metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataChange {
    /// A JSON merge patch (RFC 7396).
    Merge(Json),
    Replace(Json),
}

/// The checked syntax of a change. What depends on the stored item (the digits of its currency,
/// its type's metadata, its status) is checked when the change is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub status: Option<Status>,
    /// The amount's text, read once the currency is known.
    pub amount: Option<String>,
    pub metadata: Option<MetadataChange>,
    pub created_at: Option<Timestamp>,
    pub product: Option<String>,
    pub side: Option<Side>,
    /// Fields that a full replacement repeats and that must be as they are.
    pub unchanged: Vec<(&'static str, String)>,
}

impl Patch {
    /// Reads a merge patch: any of `status`, `amount`, `metadata`, `created_at`.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(body: &str) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        for name in ["status", "amount", "created_at"] {
            if r.is_null(name) {
                r.error(&format!("/{name}"), "REQUIRED", format!("`{name}` cannot be removed"));
            }
        }
        let replaces = r.is_null("metadata");
        let patch = Self {
            status: r.field("status", read_status),
            amount: r.field("amount", read_amount_text),
            metadata: r
                .field("metadata", read_metadata)
                .map(MetadataChange::Merge)
                .or(replaces.then_some(MetadataChange::Replace(Json::Object(Vec::new())))),
            created_at: r.field("created_at", read_time),
            ..Self::default()
        };
        for name in IMMUTABLE.iter().chain(&["product", "side"]) {
            if r.fields.take_with_null(name).is_some() {
                let detail = format!("`{name}` cannot be changed by a patch");
                r.error(&format!("/{name}"), "IMMUTABLE", detail);
            }
        }
        r.finish()?;
        Ok(patch)
    }

    /// Reads a full replacement: every field that may change must be there or takes its default;
    /// the others may be repeated, unchanged.
    ///
    /// # Errors
    /// As [`Patch::parse`].
    pub fn parse_full(body: &str, vocabulary: &Vocabulary) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let unchanged = IMMUTABLE.iter().filter_map(|name| {
            let raw = r.fields.take(name)?;
            let text = serde_json::from_str::<String>(raw.get());
            Some((*name, text.unwrap_or_else(|_| raw.get().to_owned())))
        });
        let unchanged = unchanged.collect();
        let patch = Self {
            status: r.field("status", read_status),
            amount: r.field("amount", read_amount_text),
            metadata: r.field("metadata", read_metadata).map(MetadataChange::Replace),
            created_at: r.field("created_at", read_time),
            product: r.field("product", |raw| read_product(raw, vocabulary)),
            side: r.field("side", read_side),
            unchanged,
        };
        r.require("status", patch.status.is_some());
        r.require("amount", patch.amount.is_some());
        r.require("metadata", patch.metadata.is_some());
        r.require("created_at", patch.created_at.is_some());
        r.finish()?;
        Ok(patch)
    }

    /// The item as it stands after the change; the same item when nothing changes.
    ///
    /// # Errors
    /// When the move is illegal or a field breaks a rule of the stored item.
    pub fn apply(&self, item: &Transaction) -> Result<Transaction, Rejection> {
        let mut next = item.clone();
        if let Some(status) = self.status {
            if !item.status.may_become(status) {
                return Err(Rejection::IllegalMove { from: item.status, to: status });
            }
            next.status = status;
        }
        let mut errors = Vec::new();
        for (name, text) in &self.unchanged {
            if *text != immutable_text(item, name) {
                let detail = format!("`{name}` cannot be changed");
                errors.push(FieldError::new(format!("/{name}"), "IMMUTABLE", detail));
            }
        }
        if let Some(text) = &self.amount {
            match Amount::parse(text, item.currency) {
                Ok(amount) => next.amount = amount,
                Err(error) => errors.push(FieldError::new("/amount", "AMOUNT", error.to_string())),
            }
        }
        match &self.metadata {
            Some(MetadataChange::Merge(patch)) => {
                next.metadata = item.metadata.clone().merge(patch.clone());
                for mut error in check_metadata(&next.metadata) {
                    error.pointer = "/metadata".to_owned();
                    errors.push(error);
                }
            }
            Some(MetadataChange::Replace(metadata)) => next.metadata = metadata.clone(),
            None => {}
        }
        if self.metadata.is_some() {
            errors.extend(item.kind().check(&next.metadata));
        }
        if let Some(product) = &self.product {
            next.product.clone_from(product);
        }
        next.side = self.side.unwrap_or(item.side);
        next.created_at = self.created_at.unwrap_or(item.created_at);
        if errors.is_empty() { Ok(next) } else { Err(Rejection::Invalid(errors)) }
    }
}

/// The fields that name what an item is; they never change.
const IMMUTABLE: &[&str] = &[
    "id",
    "user_id",
    "transaction_type",
    "currency",
    "source",
    "external_id",
    "version",
    "recorded_at",
];

fn immutable_text(item: &Transaction, name: &str) -> String {
    match name {
        "id" => item.id.to_string(),
        "user_id" => item.user_id.to_string(),
        "transaction_type" => item.transaction_type.to_string(),
        "currency" => item.currency.to_string(),
        "source" => item.source.clone().unwrap_or_default(),
        "external_id" => item.external_id.clone().unwrap_or_default(),
        "version" => item.version.to_string(),
        _ => item.recorded_at.to_string(),
    }
}
