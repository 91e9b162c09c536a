//! Reads request bodies field by field, and collects all that is wrong with them.

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::id::{TransactionId, UserId};
use crate::json::{Fields, Json, JsonError};
use crate::limits::{
    METADATA_BYTES_MAX, METADATA_DEPTH_MAX, METADATA_KEY_CHARS_MAX, METADATA_KEYS_MAX,
};
use crate::money::{Amount, Currency};
use crate::rejection::{FieldError, Rejection};
use crate::secrets::keeps_reserved_free;
use crate::time::Timestamp;
use crate::transaction::{Side, Status, TransactionType, Vocabulary};

/// Reads the fields of one object and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    pub fields: Fields<'a>,
    pub errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a str) -> Result<Self, Rejection> {
        Ok(Self { fields: Fields::parse(body)?, errors: Vec::new() })
    }

    pub fn field<T>(
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

    /// The amount; where the currency and so its digits are not known, what else is wrong with it
    /// is said all the same.
    pub fn amount(&mut self, currency: Option<Currency>) -> Option<Amount> {
        self.field("amount", |raw| read_amount(raw, currency))
    }

    pub fn is_null(&self, name: &str) -> bool {
        self.fields.0.iter().any(|(key, raw)| key == name && raw.get() == "null")
    }

    pub fn error(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, code, detail));
    }

    pub fn broken(&self, name: &str) -> bool {
        let is_at = |pointer: &str| {
            let rest = pointer.strip_prefix('/').and_then(|pointer| pointer.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.errors.iter().any(|error| is_at(&error.pointer))
    }

    pub fn require(&mut self, name: &str, present: bool) {
        if !present && !self.broken(name) {
            self.error(&format!("/{name}"), "REQUIRED", format!("the field {name} is required"));
        }
    }

    /// Drops the fields that the caller knows and has no use for.
    pub fn ignore(&mut self, is_known: impl Fn(&str) -> bool) {
        self.fields.0.retain(|(name, _)| !is_known(name));
    }

    pub fn finish(mut self) -> Result<(), Rejection> {
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

pub(crate) type Read<T> = Result<T, Vec<FieldError>>;

pub(crate) fn wrong<T>(code: &str, detail: impl Into<String>) -> Read<T> {
    Err(vec![FieldError::new("", code, detail)])
}

pub(crate) fn read_text(raw: &RawValue) -> Read<String> {
    match serde_json::from_str(raw.get()) {
        Ok(text) => Ok(text),
        Err(_) => wrong("TYPE", "a text in quotes is expected here"),
    }
}

pub(crate) fn read_user(raw: &RawValue) -> Read<UserId> {
    UserId::parse(&read_text(raw)?).or_else(|detail| wrong("USER_ID", detail))
}

pub(crate) fn read_type(raw: &RawValue) -> Read<TransactionType> {
    let text = read_text(raw)?;
    TransactionType::from_name(&text).map_or_else(
        || wrong("UNKNOWN_TYPE", format!("the type is one of {}", TransactionType::names())),
        Ok,
    )
}

pub(crate) fn read_status(raw: &RawValue) -> Read<Status> {
    let text = read_text(raw)?;
    Status::from_name(&text).map_or_else(
        || wrong("UNKNOWN_STATUS", format!("the status is one of {}", Status::names())),
        Ok,
    )
}

pub(crate) fn read_side(raw: &RawValue) -> Read<Side> {
    let text = read_text(raw)?;
    Side::from_name(&text)
        .map_or_else(|| wrong("UNKNOWN_SIDE", format!("the side is one of {}", Side::names())), Ok)
}

pub(crate) fn read_product(raw: &RawValue, vocabulary: &Vocabulary) -> Read<String> {
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

pub(crate) fn read_currency(raw: &RawValue, vocabulary: &Vocabulary) -> Read<Currency> {
    let text = read_text(raw)?;
    vocabulary.currencies.get(&text).map_or_else(
        || {
            let detail = "the currency is neither an ISO 4217 code nor a configured crypto code";
            wrong("UNKNOWN_CURRENCY", detail)
        },
        Ok,
    )
}

pub(crate) fn read_amount_text(raw: &RawValue) -> Read<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => read_text(raw),
        Some(b'-' | b'0'..=b'9') => Ok(raw.get().to_owned()),
        _ => wrong("TYPE", "the amount is a number, or a text such as \"150.00\""),
    }
}

pub(crate) fn read_amount(raw: &RawValue, currency: Option<Currency>) -> Read<Amount> {
    let text = read_amount_text(raw)?;
    let amount = match currency {
        Some(currency) => Amount::parse(&text, currency),
        None => Amount::parse_any(&text),
    };
    amount.or_else(|error| wrong("AMOUNT", error.to_string()))
}

/// A whole number from 0 to 2^63 - 1, as a number or as a text: programs whose numbers are binary
/// floats send large ones as texts.
pub(crate) fn read_whole<T: TryFrom<i64>>(raw: &RawValue) -> Read<T> {
    let text = match raw.get().as_bytes().first() {
        Some(b'"') => read_text(raw)?,
        _ => raw.get().to_owned(),
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| digits);
    number.and_then(|number| T::try_from(number).ok()).map_or_else(
        || wrong("WHOLE_NUMBER", "a whole number that is not negative is expected here"),
        Ok,
    )
}

pub(crate) fn read_id(raw: &RawValue) -> Read<TransactionId> {
    let text = read_text(raw)?;
    match Uuid::try_parse(&text) {
        Ok(id) => Ok(TransactionId(id)),
        Err(_) => wrong("UUID", "invalid transaction ID format: a UUID is expected here"),
    }
}

pub(crate) fn read_name(raw: &RawValue, chars_max: usize) -> Read<String> {
    let text = read_text(raw)?;
    if text.is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
        return wrong("LENGTH", format!("1 to {chars_max} characters are expected here"));
    }
    Ok(text)
}

pub(crate) fn read_time(raw: &RawValue) -> Read<Timestamp> {
    Timestamp::parse(&read_text(raw)?).or_else(|error| wrong("TIME", error.to_string()))
}

pub(crate) fn read_metadata(raw: &RawValue) -> Read<Json> {
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
pub(crate) fn check_metadata(metadata: &Json) -> Vec<FieldError> {
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
    if !keeps_reserved_free(metadata) {
        let detail = "no text and no key in metadata begins with the character U+007F";
        return error("RESERVED", detail.to_owned());
    }
    Vec::new()
}

pub(crate) fn keys_fit(value: &Json) -> bool {
    match value {
        Json::Object(entries) => entries.iter().all(|(key, value)| {
            !key.is_empty() && key.chars().count() <= METADATA_KEY_CHARS_MAX && keys_fit(value)
        }),
        Json::Array(items) => items.iter().all(keys_fit),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}
