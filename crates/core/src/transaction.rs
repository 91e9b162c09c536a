//! A feed item: what it is, what may be sent to make or change one, and the legal moves of its
//! status. Input is checked here once; inside, the types say that it is right.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{EventSeq, TransactionId, UserId};
use crate::json::{Fields, Json, JsonError};
use crate::kind::Kind;
use crate::limits::{
    EXTERNAL_ID_CHARS_MAX, METADATA_BYTES_MAX, METADATA_DEPTH_MAX, METADATA_KEYS_MAX,
    METADATA_KEY_CHARS_MAX, SOURCE_CHARS_MAX,
};
use crate::money::{Amount, Currencies, Currency, as_number};
use crate::rejection::{FieldError, Rejection};
use crate::time::Timestamp;

/// Declares an enum whose variants have one stable name each, in JSON, in filters and in the store.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// The names, for sentences that say what is accepted.
            #[must_use]
            pub fn names() -> String {
                [$($text),+].join(", ")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

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
    pub currency: Currency,
    pub amount: Amount,
    pub metadata: Json,
    pub source: Option<String>,
    pub external_id: Option<String>,
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
        let mut s = serializer.serialize_struct("Transaction", 16)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("user_id", &self.user_id)?;
        s.serialize_field("transaction_type", &self.transaction_type)?;
        s.serialize_field("product", &self.product)?;
        s.serialize_field("status", &self.status)?;
        s.serialize_field("side", &self.side)?;
        s.serialize_field("currency", &self.currency)?;
        s.serialize_field("amount", &Number(self.amount, self.currency))?;
        s.serialize_field("metadata", &self.metadata)?;
        s.serialize_field("display", &self.kind().display(self))?;
        s.serialize_field("source", &self.source)?;
        s.serialize_field("external_id", &self.external_id)?;
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

/// A checked request to record a transaction. Its id is made at the edge, with the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransaction {
    pub id: TransactionId,
    pub user_id: UserId,
    pub transaction_type: TransactionType,
    pub product: String,
    pub status: Status,
    pub side: Side,
    pub currency: Currency,
    pub amount: Amount,
    pub metadata: Json,
    pub source: Option<String>,
    pub external_id: Option<String>,
    /// `None` means: when Daybook records it.
    pub created_at: Option<Timestamp>,
}

impl NewTransaction {
    /// Reads and checks the body of a request. `user` stands in where the body names no user.
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
        let created_at = r.field("created_at", read_time);
        if external_id.is_some() && source.is_none() && !r.broken("source") {
            r.error("/source", "REQUIRED", "an `external_id` needs the `source` it comes from");
        }
        r.require("user_id", user_id.is_some());
        r.require("transaction_type", transaction_type.is_some());
        r.require("amount", amount.is_some() || currency_broken);
        if let Some(transaction_type) = transaction_type {
            r.errors.extend(crate::kind::of(transaction_type).check(&metadata));
        }
        r.finish()?;
        let missing = || Rejection::Invalid(Vec::new());
        let transaction_type = transaction_type.ok_or_else(missing)?;
        let kind = crate::kind::of(transaction_type);
        Ok(Self {
            id,
            user_id: user_id.ok_or_else(missing)?,
            transaction_type,
            product: product.unwrap_or_else(|| kind.product().to_owned()),
            status,
            side: side.unwrap_or_else(|| kind.side(&metadata)),
            currency: currency.ok_or_else(missing)?,
            amount: amount.ok_or_else(missing)?,
            metadata,
            source,
            external_id,
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
            currency: self.currency,
            amount: self.amount,
            metadata: self.metadata,
            source: self.source,
            external_id: self.external_id,
            version: 1,
            created_at: self.created_at.unwrap_or(at),
            recorded_at: at,
            updated_at: None,
            seq,
        }
    }
}

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
    "id", "user_id", "transaction_type", "currency", "source", "external_id", "version",
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

/// Reads the fields of one object and collects what is wrong with them.
struct Reader<'a> {
    fields: Fields<'a>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn new(body: &'a str) -> Result<Self, Rejection> {
        Ok(Self { fields: Fields::parse(body)?, errors: Vec::new() })
    }

    fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, Vec<FieldError>>,
    ) -> Option<T> {
        match read(self.fields.take(name)?) {
            Ok(value) => Some(value),
            Err(mut errors) => {
                for error in &mut errors {
                    error.pointer = format!("/{name}{}", error.pointer);
                }
                self.errors.append(&mut errors);
                None
            }
        }
    }

    /// The amount, read only when the currency and so its digits are known.
    fn amount(&mut self, currency: Option<Currency>) -> Option<Amount> {
        let text = self.field("amount", read_amount_text)?;
        match Amount::parse(&text, currency?) {
            Ok(amount) => Some(amount),
            Err(error) => {
                self.error("/amount", "AMOUNT", error.to_string());
                None
            }
        }
    }

    fn is_null(&self, name: &str) -> bool {
        self.fields.0.iter().any(|(key, raw)| key == name && raw.get() == "null")
    }

    fn error(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, code, detail));
    }

    fn broken(&self, name: &str) -> bool {
        let under = |pointer: &str| pointer.strip_prefix('/').is_some_and(|p| p.starts_with(name));
        self.errors.iter().any(|error| under(&error.pointer))
    }

    fn require(&mut self, name: &str, present: bool) {
        if !present && !self.broken(name) {
            self.error(&format!("/{name}"), "REQUIRED", format!("`{name}` is required"));
        }
    }

    fn finish(mut self) -> Result<(), Rejection> {
        let known_null = |raw: &RawValue| raw.get() == "null";
        for (key, raw) in std::mem::take(&mut self.fields.0) {
            if !(known_null(raw) && KNOWN.contains(&key.as_str())) {
                let key = key.replace('~', "~0").replace('/', "~1");
                let detail = format!("there is no field `{key}`");
                self.errors.push(FieldError::new(format!("/{key}"), "UNKNOWN_FIELD", detail));
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Rejection::Invalid(self.errors)) }
    }
}

const KNOWN: &[&str] = &["status", "amount", "metadata", "created_at"];

type Read<T> = Result<T, Vec<FieldError>>;

fn wrong<T>(code: &str, detail: impl Into<String>) -> Read<T> {
    Err(vec![FieldError::new("", code, detail)])
}

fn read_text(raw: &RawValue) -> Read<String> {
    match serde_json::from_str(raw.get()) {
        Ok(text) => Ok(text),
        Err(_) => wrong("TYPE", "a text in quotes is expected here"),
    }
}

fn read_user(raw: &RawValue) -> Read<UserId> {
    UserId::parse(&read_text(raw)?).or_else(|detail| wrong("USER_ID", detail))
}

fn read_type(raw: &RawValue) -> Read<TransactionType> {
    let text = read_text(raw)?;
    TransactionType::from_name(&text).map_or_else(
        || wrong("UNKNOWN_TYPE", format!("the type is one of {}", TransactionType::names())),
        Ok,
    )
}

fn read_status(raw: &RawValue) -> Read<Status> {
    let text = read_text(raw)?;
    Status::from_name(&text).map_or_else(
        || wrong("UNKNOWN_STATUS", format!("the status is one of {}", Status::names())),
        Ok,
    )
}

fn read_side(raw: &RawValue) -> Read<Side> {
    let text = read_text(raw)?;
    Side::from_name(&text)
        .map_or_else(|| wrong("UNKNOWN_SIDE", format!("the side is one of {}", Side::names())), Ok)
}

fn read_product(raw: &RawValue, vocabulary: &Vocabulary) -> Read<String> {
    let text = read_text(raw)?;
    let known = vocabulary.products.iter().find(|name| name.eq_ignore_ascii_case(&text));
    known.cloned().map_or_else(
        || {
            let names = vocabulary.products.join(", ");
            wrong("UNKNOWN_PRODUCT", format!("the product is one of {names}"))
        },
        Ok,
    )
}

fn read_currency(raw: &RawValue, vocabulary: &Vocabulary) -> Read<Currency> {
    let text = read_text(raw)?;
    vocabulary.currencies.get(&text).map_or_else(
        || {
            let detail = "the currency is neither an ISO 4217 code nor a configured crypto code";
            wrong("UNKNOWN_CURRENCY", detail)
        },
        Ok,
    )
}

fn read_amount_text(raw: &RawValue) -> Read<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => read_text(raw),
        Some(b'-' | b'0'..=b'9') => Ok(raw.get().to_owned()),
        _ => wrong("TYPE", "the amount is a number, or a text such as \"150.00\""),
    }
}

fn read_name(raw: &RawValue, chars_max: usize) -> Read<String> {
    let text = read_text(raw)?;
    if text.is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
        return wrong("LENGTH", format!("1 to {chars_max} characters are expected here"));
    }
    Ok(text)
}

fn read_time(raw: &RawValue) -> Read<Timestamp> {
    Timestamp::parse(&read_text(raw)?).or_else(|error| wrong("TIME", error.to_string()))
}

fn read_metadata(raw: &RawValue) -> Read<Json> {
    let metadata = match Json::from_raw(raw, METADATA_DEPTH_MAX) {
        Ok(metadata) => metadata,
        Err(JsonError::DuplicateKey { key }) => {
            return wrong("DUPLICATE_KEY", format!("the key '{key}' stands twice in one object"));
        }
        Err(error @ (JsonError::Malformed { .. } | JsonError::TooDeep { .. })) => {
            return wrong("METADATA", error.to_string());
        }
    };
    let errors = check_metadata(&metadata);
    if errors.is_empty() { Ok(metadata) } else { Err(errors) }
}

/// The limits that hold for any metadata.
fn check_metadata(metadata: &Json) -> Vec<FieldError> {
    let error = |code: &str, detail: String| vec![FieldError::new("", code, detail)];
    let Json::Object(_) = metadata else {
        return error("TYPE", "metadata is an object".to_owned());
    };
    if metadata.to_string().len() > METADATA_BYTES_MAX {
        let detail = format!("metadata is larger than {METADATA_BYTES_MAX} bytes");
        return error("METADATA_SIZE", detail);
    }
    if metadata.key_count() > METADATA_KEYS_MAX {
        return error("METADATA_KEYS", format!("metadata has more than {METADATA_KEYS_MAX} keys"));
    }
    if !keys_fit(metadata) {
        let detail = format!("a metadata key has 1 to {METADATA_KEY_CHARS_MAX} characters");
        return error("METADATA_KEY", detail);
    }
    Vec::new()
}

fn keys_fit(value: &Json) -> bool {
    match value {
        Json::Object(entries) => entries.iter().all(|(key, value)| {
            !key.is_empty() && key.chars().count() <= METADATA_KEY_CHARS_MAX && keys_fit(value)
        }),
        Json::Array(items) => items.iter().all(keys_fit),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}
