//! What the OpenAPI document says about bodies, parameters and headers. These types exist for the
//! document only: requests are read, and answers written, by `daybook-core`.

#![expect(dead_code, reason = "the fields are read by the document's generator only")]

mod batch;
mod keys;
mod ledger;
mod params;
mod responses;
mod statistics;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use batch::*;
pub use keys::*;
pub use ledger::*;
pub use params::*;
pub use responses::*;
pub use statistics::*;

#[derive(ToSchema, Serialize)]
#[schema(rename_all = "snake_case")]
pub enum TransactionType {
    Card,
    P2p,
    Crypto,
    TopUp,
    Withdrawal,
    BillPayment,
    Earnings,
    Other,
}

#[derive(ToSchema, Serialize)]
#[schema(rename_all = "snake_case")]
pub enum Status {
    Completed,
    Pending,
    Failed,
    Cancelled,
}

#[derive(ToSchema, Serialize)]
#[schema(rename_all = "snake_case")]
pub enum Side {
    Credit,
    Debit,
}

/// One item of a user's feed.
#[derive(ToSchema, Serialize)]
#[schema(as = Transaction)]
pub struct TransactionBody {
    /// A UUID of version 7.
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "user123")]
    user_id: String,
    transaction_type: TransactionType,
    #[schema(example = "Card")]
    product: String,
    status: Status,
    /// Which way the money went, seen from the user.
    side: Side,
    /// There, and true, where somebody said the side; it stays then when the metadata changes.
    #[schema(nullable = false)]
    side_given: Option<bool>,
    /// ISO 4217, or a configured crypto code.
    #[schema(example = "USD")]
    currency: String,
    /// With as many fraction digits as the currency has.
    #[schema(example = 150.00)]
    amount: f64,
    /// As it was sent.
    #[schema(value_type = Object)]
    metadata: Value,
    display: Display,
    #[schema(required)]
    source: Option<String>,
    #[schema(required)]
    external_id: Option<String>,
    /// As it was sent, where it was.
    #[schema(nullable = false)]
    source_version: Option<i64>,
    /// As it was sent, where it was.
    #[schema(nullable = false, format = DateTime)]
    source_updated_at: Option<String>,
    /// The transfer of the ledger that the item shows; such an item changes with it only.
    #[schema(nullable = false, format = "uuid")]
    transfer_id: Option<String>,
    /// Rises by one with every change.
    version: u32,
    /// When it happened.
    #[schema(format = DateTime, example = "2024-01-15T10:30:00.000000Z")]
    created_at: String,
    /// When Daybook stored it.
    #[schema(format = DateTime)]
    recorded_at: String,
    #[schema(required, format = DateTime)]
    updated_at: Option<String>,
}

/// What people read.
#[derive(ToSchema, Serialize)]
pub struct Display {
    #[schema(example = "Starbucks")]
    title: String,
    #[schema(nullable = false, example = "Food & Beverage · •••• 5678")]
    subtitle: Option<String>,
    #[schema(example = "food_and_drink")]
    category: String,
    #[schema(nullable = false)]
    merchant: Option<String>,
    #[schema(nullable = false)]
    card: Option<String>,
}

/// A JSON number or a text, read from its digits: `150.00` or `"150.00"`.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
pub enum Amount {
    Number(f64),
    Text(String),
}

/// A transaction to record.
#[derive(ToSchema)]
#[schema(as = NewTransaction, example = json!({
    "user_id": "user123", "transaction_type": "card", "amount": 150.00, "currency": "USD",
    "metadata": {"merchant_name": "Starbucks", "merchant_category": "Food & Beverage",
                 "card_last_four": "5678", "location": "San Francisco, CA"}
}))]
pub struct NewTransactionBody {
    /// A UUID that becomes the item's id; Daybook makes one when it is left out. The same id with
    /// the same content is a repeat.
    #[schema(format = "uuid")]
    id: Option<String>,
    /// With a user's token it may be left out. White space around it is cut off.
    #[schema(max_length = 255)]
    user_id: Option<String>,
    transaction_type: TransactionType,
    amount: Amount,
    /// USD when left out.
    currency: Option<String>,
    /// The type's own when left out.
    product: Option<String>,
    /// Completed when left out.
    status: Option<Status>,
    /// Follows from the type and its metadata when left out.
    side: Option<Side>,
    /// At most 64 keys, 16 KiB and 5 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The system that the record came from; needed where there is an `external_id`.
    #[schema(max_length = 64)]
    source: Option<String>,
    /// The record's id in the system that it came from.
    #[schema(max_length = 255)]
    external_id: Option<String>,
    /// A whole number that rises with every version of the record in its system.
    #[schema(minimum = 0)]
    source_version: Option<i64>,
    /// When the record last changed in its system.
    #[schema(format = DateTime)]
    source_updated_at: Option<String>,
    /// When it happened; now when left out.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

/// What of a transaction changes. Its other fields may be repeated as they are; `version` must then
/// be the newest one.
#[derive(ToSchema)]
#[schema(as = TransactionPatch, example = json!({"status": "completed"}))]
pub struct PatchBody {
    /// A pending transaction may become any other; the others are final.
    #[schema(nullable = false)]
    status: Option<Status>,
    #[schema(nullable = false)]
    amount: Option<Amount>,
    /// Merged: `null` removes a key.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    #[schema(nullable = false, format = DateTime)]
    created_at: Option<String>,
    /// With `null` the side follows from the metadata again.
    side: Option<Side>,
}

/// Every field of a transaction that may change. The others may be repeated as they are; `version`
/// must then be the newest one.
#[derive(ToSchema)]
#[schema(as = TransactionReplacement)]
pub struct ReplacementBody {
    status: Status,
    amount: Amount,
    #[schema(value_type = Object)]
    metadata: Value,
    #[schema(format = DateTime)]
    created_at: String,
    /// As it is when left out.
    product: Option<String>,
    /// When left out, a side that was said stays, and any other follows from the metadata.
    side: Option<Side>,
}

/// A page with a number.
#[derive(ToSchema, Serialize)]
pub struct NumberedPage {
    items: Vec<TransactionBody>,
    total: u64,
    page: u64,
    page_size: u32,
    total_pages: u64,
    /// `["search"]` where the search means more words than are looked for, so that items may be
    /// missing and the total with them; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<Vec<String>>,
}

/// A page with a cursor.
#[derive(ToSchema, Serialize)]
pub struct CursorPage {
    items: Vec<TransactionBody>,
    /// Where the next page begins; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    has_more: bool,
    limit: u32,
    /// As in a page with a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<Vec<String>>,
}

/// With a number, unless `cursor` was sent, or `limit` and no `page`.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
pub enum Page {
    Numbered(NumberedPage),
    Cursor(CursorPage),
}

/// Every version of a transaction.
#[derive(ToSchema)]
#[schema(as = History)]
pub struct HistoryBody {
    items: Vec<Version>,
}

#[derive(ToSchema)]
pub struct Version {
    version: u32,
    /// `transaction.created`, `transaction.updated` or `transaction.deleted`.
    event_type: String,
    #[schema(format = DateTime)]
    at: String,
    /// The place in the event log.
    seq: i64,
    transaction: TransactionBody,
}

/// What changed.
#[derive(ToSchema)]
#[schema(as = Changes)]
pub struct SyncBody {
    added: Vec<TransactionBody>,
    modified: Vec<TransactionBody>,
    removed: Vec<Removed>,
    next_cursor: String,
    has_more: bool,
}

#[derive(ToSchema)]
pub struct Removed {
    #[schema(format = "uuid")]
    id: String,
}

#[derive(ToSchema)]
pub struct TokenRequest {
    #[schema(example = "user123")]
    user_id: String,
}

#[derive(ToSchema)]
#[schema(as = Token)]
pub struct TokenBody {
    access_token: String,
    /// `bearer`
    token_type: String,
    /// Seconds.
    expires_in: u64,
}

#[derive(ToSchema)]
#[schema(as = Me)]
pub struct MeBody {
    /// Null for a service.
    #[schema(required)]
    user_id: Option<String>,
    scopes: Vec<String>,
    /// Of an API key: its id. The fields below are those of the key, too.
    key_id: Option<String>,
    name: Option<String>,
    users: Option<Vec<String>>,
    accounts: Option<Vec<i64>>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = Condition, rename_all = "snake_case")]
pub enum ConditionName {
    Healthy,
    Degraded,
    Unhealthy,
    Disabled,
}

#[derive(ToSchema)]
#[schema(as = Health)]
pub struct HealthBody {
    status: ConditionName,
    /// Why it is not healthy, where there is more to say.
    #[schema(nullable = false)]
    reason: Option<String>,
    version: String,
    /// Degraded while its disk is full, so that writes are refused and reads go on.
    database: ConditionName,
    /// Degraded while it does not keep up, so that the database answers all reads.
    replica: ConditionName,
    redis: ConditionName,
    elasticsearch: ConditionName,
    kafka: ConditionName,
    rabbitmq: ConditionName,
    /// `closed`, `open` or `half_open`, by the name of the system.
    breakers: BTreeMap<String, String>,
    /// How far each follower of the event log has come.
    followers: BTreeMap<String, FollowingBody>,
}

#[derive(ToSchema)]
#[schema(as = Following)]
pub struct FollowingBody {
    /// The newest event that is done.
    place: i64,
    /// Events that are not done yet.
    lag: i64,
    /// Whether somebody follows by this name now.
    is_owned: bool,
}

#[derive(ToSchema)]
#[schema(as = Index)]
pub struct IndexBody {
    message: String,
    version: String,
    /// The path of the documentation.
    docs: String,
}

#[derive(ToSchema)]
#[schema(as = Ready)]
pub struct ReadyBody {
    status: String,
}

/// An error (RFC 9457).
#[derive(ToSchema, Serialize)]
pub struct Problem {
    #[schema(example = "urn:daybook:problem:validation-failed")]
    r#type: String,
    #[schema(example = "Validation failed")]
    title: String,
    #[schema(example = 422)]
    status: u16,
    /// A sentence that says what to do.
    detail: String,
    /// Stable; for programs.
    #[schema(example = "VALIDATION_FAILED")]
    code: String,
    /// The same as in the header `X-Request-ID`; the results of a batch leave it to that.
    #[schema(nullable = false)]
    request_id: Option<String>,
    /// Every field and parameter that breaks a rule.
    #[schema(nullable = false)]
    errors: Option<Vec<Fault>>,
    /// Of a record that contradicts what is stored: the fields that differ.
    #[schema(nullable = false)]
    differ: Option<Vec<String>>,
    /// The record as it is stored.
    #[schema(nullable = false, value_type = Option<Object>)]
    stored: Option<Value>,
    /// The record as it was sent.
    #[schema(nullable = false, value_type = Option<Object>)]
    sent: Option<Value>,
}

#[derive(ToSchema, Serialize)]
pub struct Fault {
    /// A JSON pointer (RFC 6901) into the body.
    #[schema(nullable = false, example = "/amount")]
    pointer: Option<String>,
    /// A parameter of the query string.
    #[schema(nullable = false)]
    parameter: Option<String>,
    #[schema(example = "AMOUNT")]
    code: String,
    detail: String,
}
