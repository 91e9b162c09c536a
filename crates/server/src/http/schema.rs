//! What the OpenAPI document says about bodies, parameters and headers. These types exist for the
//! document only: requests are read, and answers written, by `daybook-core`.

#![expect(
    dead_code,
    reason = "the fields are read by the document's generator only"
)]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, IntoResponses, ToSchema};

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
    /// With a user's token it may be left out.
    #[schema(max_length = 128)]
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
    /// When it happened; now when left out.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

/// What of a transaction changes.
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
}

/// Every field of a transaction that may change. The others may be repeated as they are.
#[derive(ToSchema)]
#[schema(as = TransactionReplacement)]
pub struct ReplacementBody {
    status: Status,
    amount: Amount,
    #[schema(value_type = Object)]
    metadata: Value,
    #[schema(format = DateTime)]
    created_at: String,
    product: Option<String>,
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
}

/// With a number, unless `cursor` or `limit` was sent.
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

/// One result per item, in the order of the items.
#[derive(ToSchema)]
#[schema(as = BatchResults)]
pub struct BatchBody {
    results: Vec<BatchItem>,
    created: u32,
    updated: u32,
    unchanged: u32,
    failed: u32,
}

/// What became of one item.
#[derive(ToSchema)]
#[schema(as = BatchResult)]
pub struct BatchItem {
    index: u32,
    /// The status that the item alone would have had.
    #[schema(example = 201)]
    status: u16,
    #[schema(nullable = false)]
    transaction: Option<TransactionBody>,
    #[schema(nullable = false)]
    error: Option<Problem>,
}

#[derive(ToSchema)]
#[schema(as = Statistics)]
pub struct StatisticsBody {
    user_id: String,
    tz: String,
    #[schema(required)]
    start_date: Option<String>,
    #[schema(required)]
    end_date: Option<String>,
    currencies: Vec<CurrencyStatistics>,
}

/// One currency. Failed and cancelled items are in `by_status` only.
#[derive(ToSchema)]
pub struct CurrencyStatistics {
    currency: String,
    transaction_count: u64,
    #[schema(example = "150.00")]
    total_transaction_value: String,
    /// Rounded half to even at the currency's last digit.
    average_transaction_value: String,
    credit_total: String,
    debit_total: String,
    /// Credit less debit.
    net: String,
    #[schema(required)]
    largest: Option<String>,
    #[schema(required)]
    smallest: Option<String>,
    #[schema(required)]
    highest_transaction_day: Option<BusiestDay>,
    by_type: BTreeMap<String, Part>,
    by_status: BTreeMap<String, Part>,
    #[schema(format = DateTime)]
    last_updated: String,
}

/// The day with the most items; a tie goes to the earlier day.
#[derive(ToSchema)]
pub struct BusiestDay {
    #[schema(format = Date)]
    date: String,
    count: u64,
}

#[derive(ToSchema)]
pub struct Part {
    transaction_count: u64,
    total: String,
}

#[derive(ToSchema)]
#[schema(as = Series)]
pub struct SeriesBody {
    user_id: String,
    tz: String,
    /// `day`, `week` or `month`.
    interval: String,
    #[schema(required)]
    group_by: Option<String>,
    currencies: Vec<CurrencySeries>,
}

#[derive(ToSchema)]
pub struct CurrencySeries {
    currency: String,
    groups: Vec<SeriesGroup>,
}

/// One line of a chart; `all` where nothing groups.
#[derive(ToSchema)]
pub struct SeriesGroup {
    group: String,
    points: Vec<Point>,
}

#[derive(ToSchema)]
pub struct Point {
    /// The first day of the interval.
    #[schema(format = Date)]
    date: String,
    transaction_count: u64,
    total: String,
    credit_total: String,
    debit_total: String,
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
    version: String,
    database: ConditionName,
    redis: ConditionName,
    elasticsearch: ConditionName,
    kafka: ConditionName,
    rabbitmq: ConditionName,
    /// `closed`, `open` or `half_open`, by the name of the system.
    breakers: BTreeMap<String, String>,
    /// How far each follower of the event log has come.
    #[schema(value_type = Object)]
    followers: Value,
}

#[derive(ToSchema)]
#[schema(as = Ready)]
pub struct ReadyBody {
    status: String,
}

/// An error (RFC 9457).
#[derive(ToSchema)]
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
    /// The same as in the header `X-Request-ID`.
    request_id: String,
    /// Every field and parameter that breaks a rule.
    #[schema(nullable = false)]
    errors: Option<Vec<Fault>>,
}

#[derive(ToSchema)]
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

/// Recorded.
#[derive(IntoResponses)]
#[response(status = 201, headers(
    ("Location" = String, description = "Where the item is."),
    ("ETag" = String, description = "The item's version, in quotes."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct Created(TransactionBody);

/// The item as it stands after the request.
#[derive(IntoResponses)]
#[response(status = 200, headers(
    ("ETag" = String, description = "The item's version, in quotes."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct Written(TransactionBody);

/// Erased.
#[derive(IntoResponses)]
#[response(status = 204, headers(
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct Erased;

/// One result per item.
#[derive(IntoResponses)]
#[response(status = 200, headers(
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct BatchDone(BatchBody);

/// What a call that reads may answer instead.
#[derive(IntoResponses)]
pub enum ReadProblems {
    /// Malformed: an id, a cursor, a header, an unknown parameter, or no `user_id`.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// No valid credential.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// Another user's row, or a missing scope.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// A parameter breaks a rule; every broken one is named.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(Problem),
    /// Try again after `Retry-After` seconds.
    #[response(status = 503, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(Problem),
}

/// What a call that writes may answer instead.
#[derive(IntoResponses)]
pub enum WriteProblems {
    /// Malformed JSON, id or header, or an unknown parameter.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// No valid credential.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// Another user's row, or a missing scope.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is no such item.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The body took too long to arrive.
    #[response(status = 408, content_type = "application/problem+json")]
    Slow(Problem),
    /// An illegal status move, or a stale version.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not JSON by its `Content-Type`.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(Problem),
    /// A field breaks a rule (every broken one is named), or the key was used with another body.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(Problem),
    /// Try again after `Retry-After` seconds.
    #[response(status = 503, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(Problem),
}

/// What a call with a body and an answer of its own for 422 may answer instead.
#[derive(IntoResponses)]
pub enum BodyProblems {
    /// Malformed: the body, a header, or an unknown parameter.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// No valid credential.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// A missing right.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The body took too long to arrive.
    #[response(status = 408, content_type = "application/problem+json")]
    Slow(Problem),
    /// The body is too large, or has too many items.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body's `Content-Type` is none that this call reads.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(Problem),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(Problem),
    /// Try again after `Retry-After` seconds.
    #[response(status = 503, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(Problem),
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FeedParams {
    /// Whose feed. Required without a token; with a user's token the token's user wins.
    user_id: Option<String>,
    /// Any of these types.
    transaction_type: Option<Vec<TransactionType>>,
    /// Any of these products.
    product: Option<Vec<String>>,
    /// Any of these statuses.
    status: Option<Vec<Status>>,
    /// Any of these currencies.
    currency: Option<Vec<String>>,
    /// Any of these sides.
    side: Option<Vec<Side>>,
    /// From this moment, or from the beginning of this UTC day, on.
    start_date: Option<String>,
    /// Until this moment, or until the end of this UTC day.
    end_date: Option<String>,
    /// Amounts from this one on.
    min_amount: Option<String>,
    /// Amounts up to this one.
    max_amount: Option<String>,
    /// Words that must all match, by their beginning or within a typo; quotes make a phrase.
    search_query: Option<String>,
    /// `metadata.direction`: sent or received.
    direction: Option<String>,
    /// `metadata.merchant_name`
    merchant_name: Option<String>,
    /// `metadata.card_last_four`
    card_last_four: Option<String>,
    /// `metadata.peer_name`
    peer_name: Option<String>,
    /// Any of these systems that records came from.
    source: Option<Vec<String>>,
    /// Any of these ids in the system that records came from.
    external_id: Option<Vec<String>>,
    /// Any metadata path equals this value, as `metadata.city=Madrid`. With an operator,
    /// `metadata.<path>[gte|gt|lte|lt|ne|exists]=`, it compares; a missing key is not equal.
    #[param(rename = "metadata.<path>")]
    metadata: Option<String>,
    /// `-created_at` for newest first; `best`, the default where there is a `search_query`.
    sort: Option<String>,
    /// The page's number, from 1 on.
    #[param(minimum = 1)]
    page: Option<u64>,
    /// Items on a page with a number; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items on a page with a cursor; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SyncParams {
    /// Whose items. Required without a token; with a user's token the token's user wins.
    user_id: Option<String>,
    /// `next_cursor` of the answer before; from the beginning when left out.
    cursor: Option<String>,
    /// Changes in one answer; 100 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchParams {
    /// All or nothing.
    atomic: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IdParam {
    /// The item.
    #[param(format = "uuid")]
    id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserParam {
    /// Whose items.
    user_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OwnerParam {
    /// Whose item it must be, where no user's token says so.
    user_id: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatisticsParams {
    /// From this moment, or from the beginning of this day in `tz`, on.
    start_date: Option<String>,
    /// Until this moment, or until the end of this day in `tz`.
    end_date: Option<String>,
    /// The time zone in which days begin; UTC when left out.
    #[param(example = "Europe/Madrid")]
    tz: Option<String>,
    /// Only these currencies.
    currency: Option<Vec<String>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeriesParams {
    /// `day` (when left out), `week` (from Monday on) or `month`.
    interval: Option<String>,
    /// `side`, `transaction_type`, `product` or `metadata.<path>`; one line when left out.
    group_by: Option<String>,
    /// From this moment, or from the beginning of this day in `tz`, on.
    start_date: Option<String>,
    /// Until this moment, or until the end of this day in `tz`.
    end_date: Option<String>,
    /// The time zone in which days begin; UTC when left out.
    #[param(example = "Europe/Madrid")]
    tz: Option<String>,
    /// Only these currencies.
    currency: Option<Vec<String>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct WriteHeaders {
    /// Makes a repeat harmless: it gets the first answer. At most 255 visible ASCII characters.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
    /// Comes back with the answer and stands in the log.
    #[param(rename = "X-Request-ID", max_length = 128)]
    request_id: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ReadHeaders {
    /// The answer is never older than this event; 503 when the server has not seen it yet.
    #[param(rename = "X-Min-Commit-Seq")]
    min_commit_seq: Option<i64>,
    /// Comes back with the answer and stands in the log.
    #[param(rename = "X-Request-ID", max_length = 128)]
    request_id: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// Change only this version (`"3"`), or any (`*`).
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfNoneMatchHeader {
    /// Answer 304 when this is still the version (`"3"`).
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}
