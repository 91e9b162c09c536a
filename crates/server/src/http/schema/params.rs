//! What calls take in their path, query string and headers.

use utoipa::IntoParams;

use super::{Side, Status, TransactionType};

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
    /// From this moment, or from the beginning of this day in `tz`, on.
    start_date: Option<String>,
    /// Until this moment, or until the end of this day in `tz`.
    end_date: Option<String>,
    /// The time zone in which days begin; UTC when left out.
    #[param(example = "Europe/Madrid")]
    tz: Option<String>,
    /// Amounts from this one on.
    min_amount: Option<String>,
    /// Amounts up to this one.
    max_amount: Option<String>,
    /// Words that must all match: each finds the words that are the same, that begin with it, or
    /// that are a typo away. What stands in quotes is found as it is written. Words are those of
    /// the metadata, of the amount, of titles and of the names of types, statuses, products and
    /// currencies.
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
    /// Items on a page with a number; 20 when left out. Says nothing beside a cursor.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// `next_cursor` of the page before. The first page has none; an empty one is refused.
    cursor: Option<String>,
    /// Items on a page with a cursor; 20 when left out. Says nothing beside `page`.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SyncParams {
    /// Whose items. Required without a token; with a user's token the token's user wins.
    user_id: Option<String>,
    /// `next_cursor` of the answer before; from the beginning when left out or empty.
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
    /// From this moment (RFC 3339 or Unix time), or from the beginning of this day in `tz`, on.
    start_date: Option<String>,
    /// Until this moment, which is in it, or until the end of this day in `tz`.
    end_date: Option<String>,
    /// The time zone in which days begin, by its name in the IANA database; UTC when left out.
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
    /// From this moment (RFC 3339 or Unix time), or from the beginning of this day in `tz`, on.
    start_date: Option<String>,
    /// Until this moment, which is in it, or until the end of this day in `tz`.
    end_date: Option<String>,
    /// The time zone in which days begin, by its name in the IANA database; UTC when left out.
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

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HealthParams {
    /// `1` answers as checks of the feed before Daybook expect.
    compat: Option<String>,
}
