//! Every business "no", with a stable code and a sentence that says what to do. What a refusal
//! means in HTTP is decided elsewhere.

use serde::{Deserialize, Serialize};

use crate::id::{TransactionId, UserId};
use crate::json::JsonError;
use crate::transaction::Status;

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    pub code: String,
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
    }
}

/// Why a command was refused. A refused command leaves no trace in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the body is not the JSON that is expected here: {0}")]
    Malformed(JsonError),
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    #[error("there is no transaction {id}")]
    NotFound { id: TransactionId },
    #[error("the transaction {id} belongs to another user")]
    NotYours { id: TransactionId },
    #[error("the token speaks for another user than '{user_id}'; leave `user_id` out")]
    NotYourUser { user_id: UserId },
    #[error("a {from} transaction cannot become {to}; only pending ones change their status")]
    IllegalMove { from: Status, to: Status },
    #[error("the transaction is at version {actual}, not {expected}; read it again and retry")]
    StaleVersion { expected: u32, actual: u32 },
    #[error("this idempotency key was used with another body; use a new key for a new request")]
    KeyReused,
    #[error("another item of this atomic batch was refused, so nothing of it was recorded")]
    BatchRefused,
}

impl Rejection {
    /// One broken field.
    pub fn field(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// The stable code that programs match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(JsonError::DuplicateKey { .. }) => "DUPLICATE_KEY",
            Self::Malformed(JsonError::Malformed { .. } | JsonError::TooDeep { .. }) => {
                "MALFORMED_JSON"
            }
            Self::Invalid(_) => "VALIDATION_FAILED",
            Self::NotFound { .. } => "TRANSACTION_NOT_FOUND",
            Self::NotYours { .. } => "NOT_YOUR_TRANSACTION",
            Self::NotYourUser { .. } => "NOT_YOUR_USER",
            Self::IllegalMove { .. } => "ILLEGAL_STATUS_MOVE",
            Self::StaleVersion { .. } => "STALE_VERSION",
            Self::KeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::BatchRefused => "BATCH_REFUSED",
        }
    }
}

fn summary(errors: &[FieldError]) -> String {
    match errors {
        [] => "the request breaks a rule".to_owned(),
        [one] => one.detail.clone(),
        many => format!("{} fields break a rule; see `errors`", many.len()),
    }
}

impl From<JsonError> for Rejection {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error)
    }
}
