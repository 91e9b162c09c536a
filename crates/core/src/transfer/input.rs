//! Requests about transfers.

use serde_json::value::RawValue;

use crate::account::{more_digits, read_account};
use crate::id::{AccountId, TransferId};
use crate::input::{
    Read, Reader, read_amount_text, read_currency, read_metadata, read_name, read_time, wrong,
};
use crate::json::Json;
use crate::limits::{HOLD_S_MAX, REFERENCE_CHARS_MAX};
use crate::money::{Amount, Currency};
use crate::owner::Owner;
use crate::rejection::Rejection;
use crate::time::{Timestamp, US_PER_S};
use crate::transaction::{TransactionType, Vocabulary};

use super::Transfer;

/// A checked request to move money. What depends on the accounts (the digits of their currency,
/// their balances) is checked when it is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    pub id: TransferId,
    /// Whose the source must be; `None` may move anybody's money.
    pub owner: Option<Owner>,
    pub source: AccountId,
    pub destination: AccountId,
    pub amount: Amount,
    /// `None` takes the currency of the source.
    pub currency: Option<Currency>,
    pub reference: Option<String>,
    pub metadata: Json,
    /// Holds the money instead of moving it.
    pub hold: bool,
    /// How long it is held, in microseconds; `None` is until somebody posts or voids it.
    pub expires_in_us: Option<i64>,
    pub execute_at: Option<Timestamp>,
    /// Leaves the work to the worker, whose answer comes later.
    pub queued: bool,
    /// When it happened; `None` means: when Daybook records it.
    pub created_at: Option<Timestamp>,
}

impl NewTransfer {
    /// Reads and checks the body of a request.
    ///
    /// # Errors
    /// Names every field that breaks a rule, or why the text is no JSON object.
    pub fn parse(body: &str, id: TransferId, vocabulary: &Vocabulary) -> Result<Self, Rejection> {
        let mut r = Reader::new(body)?;
        let source = r.field("source_account_id", read_account);
        let destination = r.field("destination_account_id", read_account);
        let amount = r.field("amount", read_positive);
        let currency = r.field("currency", |raw| read_currency(raw, vocabulary));
        let reference = r.field("reference", |raw| read_name(raw, REFERENCE_CHARS_MAX));
        let metadata = r.field("metadata", read_metadata).unwrap_or(Json::Object(Vec::new()));
        let hold = r.field("pending", read_bool).unwrap_or(false);
        let expires_in = r.field("expires_in", read_seconds);
        let execute_at = r.field("execute_at", read_time);
        let created_at = r.field("created_at", read_time);
        r.require("source_account_id", source.is_some());
        r.require("destination_account_id", destination.is_some());
        r.require("amount", amount.is_some());
        if source.is_some() && source == destination {
            let detail = "the source and the destination are the same account";
            r.error("/destination_account_id", "SAME_ACCOUNT", detail);
        }
        if let (Some(currency), Some(amount)) = (currency, amount)
            && !amount.fits(currency)
        {
            r.error("/amount", "AMOUNT", more_digits(currency));
        }
        if expires_in.is_some() && !hold && !r.broken("pending") {
            let detail = "only a hold expires; send `pending`: true with it";
            r.error("/expires_in", "NOT_A_HOLD", detail);
        }
        if created_at.is_some() && (execute_at.is_some() || hold) {
            let detail = "what is yet to happen cannot have happened; leave `created_at` out";
            r.error("/created_at", "CONFLICT", detail);
        }
        r.errors.extend(crate::kind::of(TransactionType::P2p).check(&metadata));
        r.finish()?;
        let missing = || Rejection::Invalid(Vec::new());
        Ok(Self {
            id,
            owner: None,
            source: source.ok_or_else(missing)?,
            destination: destination.ok_or_else(missing)?,
            amount: amount.ok_or_else(missing)?,
            currency,
            reference,
            metadata,
            hold,
            expires_in_us: expires_in,
            execute_at,
            queued: execute_at.is_some(),
            created_at,
        })
    }

    /// Whether a transfer with the same source and reference is the same transfer.
    #[must_use]
    pub fn repeats(&self, old: &Transfer) -> bool {
        self.destination == old.destination
            && self.amount == old.held.unwrap_or(old.amount)
            && self.currency.is_none_or(|currency| currency == old.currency)
            && self.hold == old.held.is_some()
            && self.expires_in_us == old.expires_in_us
            && self.execute_at == old.execute_at
            && self.created_at.is_none_or(|at| at == old.created_at)
            && self.metadata.means(&old.metadata)
    }
}

/// Reads the body of a capture: empty or null, or `{"amount": "10.00"}` for a part.
///
/// # Errors
/// Names every field that breaks a rule, or why the text is no JSON object.
pub fn parse_capture(body: &str) -> Result<Option<Amount>, Rejection> {
    if matches!(body.trim(), "" | "null") {
        return Ok(None);
    }
    let mut r = Reader::new(body)?;
    if r.is_null("amount") {
        r.error("/amount", "REQUIRED", "leave `amount` out to capture all that is held");
    }
    let amount = r.field("amount", read_positive);
    r.finish()?;
    Ok(amount)
}

fn read_positive(raw: &RawValue) -> Read<Amount> {
    match Amount::parse_any(&read_amount_text(raw)?) {
        Ok(Amount::ZERO) => wrong("NOT_POSITIVE", "the amount of a transfer is more than zero"),
        Ok(amount) => Ok(amount),
        Err(crate::money::AmountError::Negative) => {
            wrong("NOT_POSITIVE", "the amount of a transfer is more than zero")
        }
        Err(error) => wrong("AMOUNT", error.to_string()),
    }
}

fn read_bool(raw: &RawValue) -> Read<bool> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => wrong("TYPE", "true or false is expected here"),
    }
}

fn read_seconds(raw: &RawValue) -> Read<i64> {
    let seconds = raw.get().parse::<u64>().ok().filter(|s| (1..=HOLD_S_MAX).contains(s));
    match seconds.and_then(|seconds| i64::try_from(seconds).ok()) {
        Some(seconds) => Ok(seconds * US_PER_S),
        None => wrong("SECONDS", format!("whole seconds from 1 to {HOLD_S_MAX} are expected here")),
    }
}
