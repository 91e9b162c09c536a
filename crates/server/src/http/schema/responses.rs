//! What calls answer, and what they answer instead.

use serde::Serialize;
use utoipa::{IntoResponses, ToResponse, ToSchema};

use super::{BatchBody, BatchItem, Problem, TransactionBody, TransferBatchItem};

/// Recorded.
#[derive(IntoResponses)]
#[response(status = 201, headers(
    ("Location" = String, description = "Where the item is."),
    ("ETag" = String, description = "The item's version, in quotes."),
    ("X-Daybook-Result" = String, description = "`created`."),
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
    ("X-Daybook-Result" = String, description = "`updated`; or `unchanged`, because the item says so already; or `ignored`, because what was \
     sent is older than the item or says too little to change it (of a record that is sent again)."),
    ("X-Commit-Seq" = i64, description = "The newest event that a reader must have seen to see \
     this write; see `X-Min-Commit-Seq`."),
    ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier \
     request with the same key."),
))]
pub struct Written(TransactionBody);

/// Erased.
#[derive(IntoResponses)]
#[response(status = 204, headers(
    ("X-Daybook-Result" = String, description = "`deleted`."),
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

/// More than an address, a user or a service may send. Try again after `Retry-After` seconds.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json", headers(
    ("Retry-After" = u32, description = "Seconds until this request can be answered."),
    ("RateLimit" = String, description = "The budget that has least left, as in \
     `\"user-reads\";r=57;t=1`: `r` may be used now, and as much again comes back in `t` seconds."),
    ("RateLimit-Policy" = String, description = "What the budget is, as in \
     `\"user-reads\";q=6000;w=60`: `q` in `w` seconds."),
    ("X-RateLimit-Limit" = u32, description = "The same as `q`."),
    ("X-RateLimit-Remaining" = u32, description = "The same as `r`."),
    ("X-RateLimit-Reset" = u32, description = "When the budget is full again, in seconds of Unix time."),
))]
pub struct RateLimited(Problem);

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
    #[response(status = 429)]
    TooMany(#[ref_response] RateLimited),
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
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The body took too long to arrive.
    #[response(status = 408, content_type = "application/problem+json")]
    Slow(Problem),
    /// An illegal status move, a stale version, a record that contradicts what is stored (with
    /// both), an id that is taken, or an item that belongs to a transfer. In the ledger also:
    /// a frozen or closed account, or an id or a reference that is taken.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not JSON by its `Content-Type`.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(Problem),
    /// A field breaks a rule (every broken one is named), or the key was used with another body.
    /// In the ledger also: too little money, or accounts of different currencies.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    #[response(status = 429)]
    TooMany(#[ref_response] RateLimited),
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
    #[response(status = 429)]
    TooMany(#[ref_response] RateLimited),
    /// The server failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(Problem),
    /// Try again after `Retry-After` seconds.
    #[response(status = 503, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(Problem),
}

/// Why a batch was refused; the results are those of an atomic one.
#[derive(ToSchema, Serialize)]
#[schema(as = RefusedBatch)]
pub struct RefusedBatchBody {
    #[serde(flatten)]
    problem: Problem,
    #[schema(nullable = false)]
    results: Option<Vec<BatchItem>>,
    #[schema(nullable = false)]
    created: Option<u32>,
    #[schema(nullable = false)]
    updated: Option<u32>,
    #[schema(nullable = false)]
    unchanged: Option<u32>,
    #[schema(nullable = false)]
    ignored: Option<u32>,
    #[schema(nullable = false)]
    failed: Option<u32>,
}

/// Why a batch was refused; the results are those of an atomic one.
#[derive(ToSchema, Serialize)]
#[schema(as = RefusedTransferBatch)]
pub struct RefusedTransferBatchBody {
    #[serde(flatten)]
    problem: Problem,
    #[schema(nullable = false)]
    results: Option<Vec<TransferBatchItem>>,
    #[schema(nullable = false)]
    created: Option<u32>,
    #[schema(nullable = false)]
    updated: Option<u32>,
    #[schema(nullable = false)]
    unchanged: Option<u32>,
    #[schema(nullable = false)]
    ignored: Option<u32>,
    #[schema(nullable = false)]
    failed: Option<u32>,
}
