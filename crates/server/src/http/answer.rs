//! Answers, written straight into bytes.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_core::query::Paging;
use daybook_core::write_set::Recorded;
use daybook_core::{EventSeq, Holding, Outcome, Subject, Transaction, Transfer, cursor};
use daybook_store::{List, Page};
use serde::Serialize;

use super::error::{Error, Result};
use super::request::PrefersAsync;
use crate::app::Done;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const COMMIT_SEQ: HeaderName = HeaderName::from_static("x-commit-seq");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// What a write did to its subject, see [`result`].
pub(super) const RESULT: HeaderName = HeaderName::from_static("x-daybook-result");
/// What one item takes on average; only a first guess for a buffer.
const ITEM_BYTES: usize = 640;

/// JSON that is written already.
pub fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body.into()).into_response()
}

/// JSON of a value.
pub fn of(value: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(value).map_err(|error| Error::Internal(error.into()))?;
    Ok(json(StatusCode::OK, body))
}

/// One item as it stands.
pub fn item(item: &Transaction) -> Response {
    let mut response = json(StatusCode::OK, item.to_json());
    put_version(response.headers_mut(), item.version);
    response
}

/// One account as it stands.
pub fn account(holding: &Holding) -> Response {
    let mut response = json(StatusCode::OK, holding.to_json());
    put_version(response.headers_mut(), holding.account.version);
    response
}

/// One transfer as it stands.
pub fn transfer(transfer: &Transfer) -> Response {
    let mut response = json(StatusCode::OK, transfer.to_json());
    // An attempt that failed changes what is read without making a new version.
    let (version, attempts) = (transfer.version, transfer.retry_count);
    let tag = if attempts == 0 { version.to_string() } else { format!("{version}.{attempts}") };
    put_tag(response.headers_mut(), &tag);
    response
}

/// That the reader's copy is the newest one.
pub fn not_modified(version: u32) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    put_version(response.headers_mut(), version);
    response
}

/// What a write did.
pub fn done(done: &Done) -> Result<Response> {
    let mut response = match &done.outcome {
        Outcome::Created(recorded) => {
            let mut response = recorded_item(StatusCode::CREATED, recorded);
            let path = match recorded.subject {
                Subject::Item(id) => format!("/api/v1/transactions/{id}"),
                Subject::Account(id) => format!("/api/v1/accounts/{id}"),
                Subject::Transfer(id) => format!("/api/v1/transfers/{id}"),
                Subject::Key(id) => format!("/api/v1/keys/{id}"),
                // No request makes one.
                Subject::Audit => "/api/v1/health".to_owned(),
            };
            let location = HeaderValue::try_from(path).map_err(|e| Error::Internal(e.into()))?;
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Outcome::Updated(recorded) | Outcome::Unchanged(recorded) | Outcome::Ignored(recorded) => {
            recorded_item(StatusCode::OK, recorded)
        }
        Outcome::Deleted(_) => StatusCode::NO_CONTENT.into_response(),
    };
    let result = HeaderValue::from_static(result(&done.outcome));
    response.headers_mut().insert(RESULT, result);
    put_commit(response.headers_mut(), done.seq, done.replayed);
    Ok(response)
}

/// The word for what a write did.
pub fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Created(_) => "created",
        Outcome::Updated(_) => "updated",
        Outcome::Unchanged(_) => "unchanged",
        Outcome::Ignored(_) => "ignored",
        Outcome::Deleted(_) => "deleted",
    }
}

/// What a write did that leaves the rest to a worker.
pub fn accepted(done: &Done) -> Result<Response> {
    let mut response = self::done(done)?;
    if response.status() == StatusCode::CREATED {
        *response.status_mut() = StatusCode::ACCEPTED;
        let applied = HeaderValue::from_static(PrefersAsync::NAME);
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn recorded_item(status: StatusCode, recorded: &Recorded) -> Response {
    let mut response = json(status, recorded.body.as_bytes().to_vec());
    put_version(response.headers_mut(), recorded.version);
    response
}

/// Says in headers where in the log a write stands, and whether it was done before.
pub fn put_commit(headers: &mut HeaderMap, seq: EventSeq, replayed: bool) {
    headers.insert(COMMIT_SEQ, seq.0.into());
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

fn put_version(headers: &mut HeaderMap, version: u32) {
    put_tag(headers, &version.to_string());
}

fn put_tag(headers: &mut HeaderMap, tag: &str) {
    // Digits and quotes are always a header value.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{tag}\"")) {
        headers.insert(header::ETAG, tag);
    }
}

/// One page of a list; `place` is where an item stands in it.
pub fn list<T: Serialize>(
    list: &List<T>,
    place: impl Fn(&T) -> i64,
    digest: u128,
    limit: u32,
) -> Result<Response> {
    #[derive(Serialize)]
    struct Body<'a, T> {
        items: &'a [T],
        next_cursor: Option<String>,
        has_more: bool,
        limit: u32,
    }
    let last = list.items.last().filter(|_| list.has_more);
    let next_cursor = last.map(|last| cursor::encode_number(place(last), digest));
    of(&Body { items: &list.items, next_cursor, has_more: list.has_more, limit })
}

/// One page of a feed, by number or by cursor.
pub fn page(page: &Page, paging: &Paging, digest: u128) -> Result<Response> {
    let mut out = Vec::with_capacity(page.items.len() * ITEM_BYTES + 128);
    out.extend_from_slice(b"{\"items\":[");
    for (place, item) in page.items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, item).map_err(|error| Error::Internal(error.into()))?;
    }
    let rest = match paging {
        Paging::Page { page: number, size } => {
            let total = page.total.unwrap_or(0);
            let pages = total.div_ceil(u64::from(*size).max(1));
            format!(
                "],\"total\":{total},\"page\":{number},\"page_size\":{size},\
                 \"total_pages\":{pages}}}"
            )
        }
        Paging::Cursor { limit, .. } => {
            // A cursor is made of letters, digits, - and _.
            let next = page.next.map(|position| format!("\"{}\"", position.encode(digest)));
            format!(
                "],\"next_cursor\":{},\"has_more\":{},\"limit\":{limit}}}",
                next.as_deref().unwrap_or("null"),
                page.next.is_some(),
            )
        }
    };
    out.extend_from_slice(rest.as_bytes());
    Ok(json(StatusCode::OK, out))
}
