//! Changes of an item: read from a request, applied to what is stored.

use uuid::Uuid;

use super::{Side, Status, Transaction, Vocabulary};
use crate::account::more_digits;
use crate::id::UserId;
use crate::input::{
    Reader, check_metadata, read_amount, read_metadata, read_product, read_side, read_status,
    read_time, read_whole,
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

/// How a change treats the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SideChange {
    /// A side that was said stays; any other follows from the metadata.
    #[default]
    Unsaid,
    /// The side follows from the metadata from now on.
    Forget,
    /// This side, from now on.
    Say(Side),
    /// An item as a client read it, perhaps changed, shows this side. One that is as it was is not
    /// said with it, and neither is one that the metadata says.
    Show(Side),
}

/// The checked syntax of a change. What depends on the stored item (the digits of its currency,
/// its type's metadata, its status) is checked when the change is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub status: Option<Status>,
    pub amount: Option<Amount>,
    pub metadata: Option<MetadataChange>,
    pub created_at: Option<Timestamp>,
    pub product: Option<String>,
    pub side: SideChange,
    /// The version that the client read, where the body repeats it.
    pub version: Option<u32>,
    /// Fields that the body repeats and that must be as they are; `None` is null.
    pub repeated: Vec<(&'static str, Option<String>)>,
}

impl Patch {
    /// Reads a merge patch: any of `status`, `amount`, `metadata`, `created_at`, `side`. Other
    /// fields of an item may be repeated as they are.
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
        let forgets = r.is_null("side");
        // What Daybook computed comes back only with an item that was read.
        let is_read_back = r.fields.0.iter().any(|(name, _)| COMPUTED.contains(&name.as_str()));
        let mut patch = Self {
            status: r.field("status", read_status),
            amount: r.field("amount", |raw| read_amount(raw, None)),
            metadata: r
                .field("metadata", read_metadata)
                .map(MetadataChange::Merge)
                .or(replaces.then_some(MetadataChange::Replace(Json::Object(Vec::new())))),
            created_at: r.field("created_at", read_time),
            side: match r.field("side", read_side) {
                Some(side) if is_read_back => SideChange::Show(side),
                Some(side) => SideChange::Say(side),
                None if forgets => SideChange::Forget,
                None => SideChange::Unsaid,
            },
            ..Self::default()
        };
        patch.repeat(&mut r, &["product"]);
        r.finish()?;
        Ok(patch)
    }

    /// Reads a full replacement: every field that may change must be there or takes its default;
    /// the others may be repeated as they are.
    ///
    /// # Errors
    /// As [`Patch::parse`].
    pub fn parse_full(body: &str, vocabulary: &Vocabulary) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let empty = r.is_null("metadata").then(|| Json::Object(Vec::new()));
        let mut patch = Self {
            status: r.field("status", read_status),
            amount: r.field("amount", |raw| read_amount(raw, None)),
            metadata: r.field("metadata", read_metadata).or(empty).map(MetadataChange::Replace),
            created_at: r.field("created_at", read_time),
            product: r.field("product", |raw| read_product(raw, vocabulary)),
            side: r.field("side", read_side).map_or(SideChange::Unsaid, SideChange::Show),
            ..Self::default()
        };
        patch.repeat(&mut r, &[]);
        r.require("status", patch.status.is_some());
        r.require("amount", patch.amount.is_some());
        r.require("metadata", patch.metadata.is_some());
        r.require("created_at", patch.created_at.is_some());
        r.finish()?;
        Ok(patch)
    }

    /// Takes the fields that a client may repeat and not change.
    fn repeat(&mut self, r: &mut Reader<'_>, more: &[&'static str]) {
        self.version = r.field("version", read_whole);
        for name in IMMUTABLE.iter().chain(more) {
            let Some(raw) = r.fields.take_with_null(name) else { continue };
            let text = serde_json::from_str::<Option<String>>(raw.get());
            self.repeated.push((name, text.unwrap_or_else(|_| Some(raw.get().to_owned()))));
        }
        r.ignore(|name| COMPUTED.contains(&name));
    }

    /// The item as it stands after the change; the same item when nothing changes.
    ///
    /// # Errors
    /// When the client read another version, a field breaks a rule of the stored item, or the move
    /// is illegal: the first of these.
    pub fn apply(&self, item: &Transaction) -> Result<Transaction, Rejection> {
        let actual = item.version;
        if let Some(expected) = self.version.filter(|version| *version != actual) {
            return Err(Rejection::StaleVersion { expected, actual });
        }
        let mut next = item.clone();
        let mut errors = Vec::new();
        for (name, text) in &self.repeated {
            if !is_same(item, name, text.as_deref()) {
                let detail = format!("`{name}` cannot be changed");
                errors.push(FieldError::new(format!("/{name}"), "IMMUTABLE", detail));
            }
        }
        if let Some(amount) = self.amount {
            next.amount = amount;
            if !amount.fits(item.currency) {
                errors.push(FieldError::new("/amount", "AMOUNT", more_digits(item.currency)));
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
        if !errors.is_empty() {
            return Err(Rejection::Invalid(errors));
        }
        if let Some(status) = self.status {
            if !item.status.may_become(status) {
                return Err(Rejection::IllegalMove { from: item.status, to: status });
            }
            next.status = status;
        }
        if let Some(product) = &self.product {
            next.product.clone_from(product);
        }
        (next.side, next.side_given) = self.side_after(item, &next.metadata);
        next.created_at = self.created_at.unwrap_or(item.created_at);
        Ok(next)
    }

    /// The side that goes with the new metadata, and whether it is said.
    fn side_after(&self, item: &Transaction, metadata: &Json) -> (Side, bool) {
        let follows = item.kind().side(metadata);
        let is_same = *metadata == item.metadata;
        match self.side {
            SideChange::Unsaid if is_same => (item.side, item.side_given),
            SideChange::Show(side) if is_same && side == item.side => (side, item.side_given),
            SideChange::Unsaid if item.keeps_side() => (item.side, true),
            SideChange::Unsaid | SideChange::Forget => (follows, false),
            SideChange::Say(side) => (side, true),
            SideChange::Show(side) if side == item.side && !item.keeps_side() => (follows, false),
            SideChange::Show(side) => (side, item.keeps_side() || side != follows),
        }
    }
}

/// The fields that name what an item is; they never change, but for a newer version of the record.
const IMMUTABLE: &[&str] = &[
    "id",
    "user_id",
    "transaction_type",
    "currency",
    "source",
    "external_id",
    "source_version",
    "source_updated_at",
    "transfer_id",
];

/// What Daybook itself says about an item; a body that repeats it says nothing.
const COMPUTED: &[&str] = &["display", "recorded_at", "updated_at", "side_given"];

/// Whether a field that is repeated is as it is.
fn is_same(item: &Transaction, name: &str, text: Option<&str>) -> bool {
    let Some(text) = text else { return stored(item, name).is_none() };
    let uuid = |text: &str| Uuid::try_parse(text).ok();
    match name {
        "id" => uuid(text) == Some(item.id.0),
        "transfer_id" => uuid(text).is_some() && uuid(text) == item.transfer_id.map(|id| id.0),
        "user_id" => UserId::parse(text).is_ok_and(|user| user == item.user_id),
        "source_updated_at" => {
            let at = Timestamp::parse(text).ok();
            at.is_some() && at == item.revision.updated_at
        }
        "currency" => text.eq_ignore_ascii_case(item.currency.code()),
        "product" => text.eq_ignore_ascii_case(&item.product),
        _ => stored(item, name).as_deref() == Some(text),
    }
}

/// A field as the published item shows it; `None` is null, or not there.
fn stored(item: &Transaction, name: &str) -> Option<String> {
    match name {
        "source" => item.source.clone(),
        "external_id" => item.external_id.clone(),
        "source_version" => item.revision.version.map(|version| version.to_string()),
        "source_updated_at" => item.revision.updated_at.map(|at| at.to_string()),
        "transfer_id" => item.transfer_id.map(|id| id.to_string()),
        "transaction_type" => Some(item.transaction_type.to_string()),
        "currency" => Some(item.currency.to_string()),
        "user_id" => Some(item.user_id.to_string()),
        "product" => Some(item.product.clone()),
        _ => Some(item.id.to_string()),
    }
}
