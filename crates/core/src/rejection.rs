//! Every business "no", with a stable code and a sentence that says what to do. What a refusal
//! means in HTTP is decided elsewhere.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, KeyId, TransactionId, TransferId, UserId};
use crate::json::JsonError;
use crate::record::RecordConflict;
use crate::transaction::Status;
use crate::transfer::TransferStatus;

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
    #[error("transaction not found: there is none with the id {id}")]
    NotFound { id: TransactionId },
    #[error("you can only access your own transactions; {id} belongs to another user")]
    NotYours { id: TransactionId },
    #[error("the token speaks for another user than '{user_id}'; leave `user_id` out")]
    NotYourUser { user_id: UserId },
    #[error("a {from} transaction cannot become {to}; only pending ones change their status")]
    IllegalMove { from: Status, to: Status },
    #[error("the transaction is at version {actual}, not {expected}; read it again and retry")]
    StaleVersion { expected: u32, actual: u32 },
    #[error("{0}")]
    RecordConflict(Box<RecordConflict>),
    #[error("the id {id} is taken; choose another one, or leave `id` out")]
    IdTaken { id: TransactionId },
    #[error("the transaction {id} was deleted, and its id is not used again")]
    Deleted { id: TransactionId },
    #[error("the transaction {id} belongs to the transfer {transfer}; change that instead")]
    BelongsToTransfer { id: TransactionId, transfer: TransferId },
    #[error("account not found: there is none with the number {id}")]
    AccountNotFound { id: AccountId },
    #[error("the account {id} belongs to another user")]
    NotYourAccount { id: AccountId },
    #[error("there is an account {id} already")]
    AccountExists { id: AccountId },
    #[error("no free account number is left; choose one yourself")]
    NoAccountIdLeft,
    #[error("the user {user_id} has {max} accounts already, which is the most")]
    TooManyAccounts { user_id: UserId, max: usize },
    #[error("the account {id} is frozen, so no money moves on it")]
    AccountFrozen { id: AccountId },
    #[error("the account {id} is closed")]
    AccountClosed { id: AccountId },
    #[error("the account {id} still has money or holds; move them before it is closed")]
    AccountNotEmpty { id: AccountId },
    #[error("the account {id} is further below zero than the new limit; bring it up first")]
    LimitInUse { id: AccountId },
    #[error("the account {id} is its currency's equity, which follows from opening balances only")]
    IsEquity { id: AccountId },
    #[error("the account {id} is at version {actual}, not {expected}; read it again and retry")]
    StaleAccount { id: AccountId, expected: u32, actual: u32 },
    #[error("the account {id} is in {has}, not in {wanted}; nothing is exchanged in a transfer")]
    CurrenciesDiffer { id: AccountId, has: String, wanted: String },
    #[error("the account {id} has {available} {currency} to give, which is less than {needed}")]
    InsufficientFunds { id: AccountId, currency: String, available: String, needed: String },
    #[error("the account {id} would hold 10^20 or more, or owe as much")]
    BalanceOverflow { id: AccountId },
    #[error(
        "the opening balances of the currency would add up to 10^40 or more, all of which {id} owes"
    )]
    EquityOverflow { id: AccountId },
    #[error("the account {id} has a later entry already; a statement is written in order of time")]
    OutOfOrder { id: AccountId },
    #[error("only a service may say when a transfer happened; leave `created_at` out")]
    BackdatedByUser,
    #[error("the time lies in the future; use `execute_at` for what is to happen")]
    InFuture,
    #[error("transfer not found: there is none with the id {id}")]
    TransferNotFound { id: TransferId },
    #[error("the transfer {id} is not yours to decide on")]
    NotYourTransfer { id: TransferId },
    #[error("the reference names another transfer from this account ({id}); references are unique")]
    DuplicateReference { id: TransferId },
    #[error("a {from} transfer cannot become {to}")]
    IllegalTransfer { from: TransferStatus, to: TransferStatus },
    #[error("the transfer {id} holds no money, so there is nothing to post")]
    NotHeld { id: TransferId },
    #[error("the transfer {id} holds money; void it instead")]
    StillHeld { id: TransferId },
    #[error("the transfer {id} undoes another and cannot be undone itself")]
    IsRollback { id: TransferId },
    #[error("the hold {id} has expired; its money is free again")]
    HoldExpired { id: TransferId },
    #[error("only {held} {currency} are held; post that or less")]
    MoreThanHeld { held: String, currency: String },
    #[error("API key not found: there is none with the id {id}")]
    KeyNotFound { id: KeyId },
    #[error("there is an API key {id} already")]
    KeyExists { id: KeyId },
    #[error("the API key {id} has expired or was revoked; create a new one")]
    KeyOver { id: KeyId },
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
            Self::RecordConflict(conflict) => conflict.code(),
            Self::IdTaken { .. } => "ID_TAKEN",
            Self::Deleted { .. } => "TRANSACTION_DELETED",
            Self::BelongsToTransfer { .. } => "BELONGS_TO_TRANSFER",
            Self::AccountNotFound { .. } => "ACCOUNT_NOT_FOUND",
            Self::NotYourAccount { .. } => "NOT_YOUR_ACCOUNT",
            Self::AccountExists { .. } => "ACCOUNT_EXISTS",
            Self::NoAccountIdLeft => "NO_ACCOUNT_ID_LEFT",
            Self::TooManyAccounts { .. } => "TOO_MANY_ACCOUNTS",
            Self::AccountFrozen { .. } => "ACCOUNT_FROZEN",
            Self::AccountClosed { .. } => "ACCOUNT_CLOSED",
            Self::AccountNotEmpty { .. } => "ACCOUNT_NOT_EMPTY",
            Self::LimitInUse { .. } => "LIMIT_IN_USE",
            Self::IsEquity { .. } => "IS_EQUITY",
            Self::StaleAccount { .. } => "STALE_VERSION",
            Self::CurrenciesDiffer { .. } => "CURRENCIES_DIFFER",
            Self::InsufficientFunds { .. } => "INSUFFICIENT_FUNDS",
            Self::BalanceOverflow { .. } => "BALANCE_OVERFLOW",
            Self::EquityOverflow { .. } => "EQUITY_OVERFLOW",
            Self::OutOfOrder { .. } => "OUT_OF_ORDER",
            Self::BackdatedByUser => "NOT_FOR_USERS",
            Self::InFuture => "IN_FUTURE",
            Self::TransferNotFound { .. } => "TRANSFER_NOT_FOUND",
            Self::NotYourTransfer { .. } => "NOT_YOUR_TRANSFER",
            Self::DuplicateReference { .. } => "DUPLICATE_REFERENCE",
            Self::IllegalTransfer { .. } => "ILLEGAL_STATUS_MOVE",
            Self::NotHeld { .. } => "NOT_HELD",
            Self::StillHeld { .. } => "STILL_HELD",
            Self::IsRollback { .. } => "IS_ROLLBACK",
            Self::HoldExpired { .. } => "HOLD_EXPIRED",
            Self::MoreThanHeld { .. } => "MORE_THAN_HELD",
            Self::KeyNotFound { .. } => "API_KEY_NOT_FOUND",
            Self::KeyExists { .. } => "API_KEY_EXISTS",
            Self::KeyOver { .. } => "API_KEY_OVER",
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
