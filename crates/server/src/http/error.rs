//! The one HTTP error: every "no" that a client can be told, as `application/problem+json`
//! (RFC 9457). What a refusal means in HTTP is decided here and nowhere else.

mod inner;

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_core::query::{ParameterError, QueryError};
use daybook_core::record::{RecordConflict, RecordState};
use daybook_core::{EventSeq, FieldError, Rejection, UserId};
use daybook_store as store;
use serde::Serialize;

use super::coding;
use crate::auth::BadToken;
use crate::rate::{Budget, Party};
use inner::{refused, unasked, unstored};

pub type Result<T> = std::result::Result<T, Error>;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("there is nothing at this path; /docs lists every call")]
    NoRoute,
    #[error("this path does not know the method; the Allow header names those it knows")]
    MethodNotAllowed,
    #[error("Invalid transaction ID format: '{text}' is not a UUID")]
    BadTransactionId { text: String },
    #[error("Invalid account ID format: '{text}' is not a whole number")]
    BadAccountId { text: String },
    #[error("Invalid transfer ID format: '{text}' is not a UUID")]
    BadTransferId { text: String },
    #[error("Invalid key ID format: '{text}' is not sixteen hexadecimal digits")]
    BadKeyId { text: String },
    #[error("{detail}")]
    BadUserId { detail: String },
    #[error("the path is not UTF-8 once decoded")]
    BadPath,
    #[error("the query string is not UTF-8 once decoded")]
    BadQueryString,
    #[error("the header {name} cannot be read: {detail}")]
    BadHeader { name: &'static str, detail: String },
    #[error("the request cannot be read as HTTP; its line, a header or the body's length is wrong")]
    NotHttp,
    #[error(
        "the request's line and headers are more than {} bytes or {} headers; send less of them",
        super::HEAD_BYTES_MAX,
        crate::serve::HEADERS_MAX
    )]
    HeadTooLarge,
    #[error("the request's URI is too long; send less in it")]
    UriTooLong,
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body ended before its end; send it again")]
    BodyCut,
    #[error("the body took too long to arrive; send it again")]
    BodySlow,
    #[error("the body is larger than {max} bytes; send less at once")]
    BodyTooLarge { max: usize },
    #[error("the body's Content-Type must be {expected}")]
    UnsupportedMediaType { expected: &'static str },
    #[error(
        "the body's Content-Encoding must be one of gzip, deflate, br and zstd, or the body must come as \
         it is"
    )]
    UnsupportedEncoding,
    #[error("the body is not what its Content-Encoding says: it cannot be read as {name}")]
    BadEncoding { name: &'static str },
    #[error("the batch has no item")]
    EmptyBatch,
    #[error("the batch has more than {max} items; send several batches")]
    BatchTooLong { max: usize },
    /// With the members of the JSON that say why.
    #[error("{broken} of {items} items were refused, so nothing was recorded; `results` says why")]
    BatchRefused { broken: usize, items: usize, members: Vec<u8> },
    #[error("this call needs a token: send `Authorization: Bearer TOKEN`")]
    NoToken,
    #[error(transparent)]
    BadToken(#[from] BadToken),
    #[error("the token speaks for another user than '{user_id}'")]
    NotYou { user_id: UserId },
    #[error("a user's token may not {what}; a service's may")]
    NotForUsers { what: &'static str },
    #[error("this API key is narrowed; say in `user_id` or by an account's number what is meant")]
    NameUser,
    #[error(
        "this server makes no API keys, because it has no secret to hash them with; set `auth.key_secret` \
         (DAYBOOK_AUTH_KEY_SECRET) and start it again"
    )]
    KeysOff,
    #[error("the token lacks the scope {scope}")]
    MissingScope { scope: &'static str },
    #[error(
        "this server gives no tokens over HTTP, because it has a secret; \
         use the command `daybook token`"
    )]
    TokensOff,
    #[error(
        "this {} has used up its {} for now; send the request again in {wait_s} s",
        party.name(), budget.name().replace('-', " ")
    )]
    RateLimited { party: Party, budget: Budget, wait_s: u32 },
    #[error("this server has seen the log up to {seq} only; ask again shortly")]
    Behind { seq: EventSeq },
    #[error(
        "a page of {origin} may not call this server, because without a secret every page could; \
         set a secret, or list the origin in `cors.origins`"
    )]
    ForeignOrigin { origin: String },
    #[error(
        "this server does not answer to the name '{host}', because it has no secret and any page \
         could make up a name for it; call it localhost, or set a secret"
    )]
    ForeignHost { host: String },
    #[error(
        "the request came by way of a proxy (`{header}`), and without a secret whoever reaches the \
         proxy might do anything; set a secret, or ask on this machine"
    )]
    PassedOn { header: &'static str },
    #[error("the master keys in use stay: {reason}")]
    NoMasters { reason: String },
    #[error("the server has as much work as it can take; try again shortly")]
    Overloaded,
    #[error(
        "the answer took too long; a write may still happen, so repeat it with the same \
         Idempotency-Key"
    )]
    TimedOut,
    #[error("a handler panicked")]
    Panicked,
    #[error("the store gave no verdict that fits the action")]
    Unanswered,
    #[error("a part of the server that cannot fail did")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<crate::auth::IssueError> for Error {
    fn from(error: crate::auth::IssueError) -> Self {
        Self::Internal(Box::new(error))
    }
}

/// An error as it is published.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    detail: String,
    errors: Vec<Fault>,
    conflict: Option<Box<RecordConflict>>,
    retry_after_s: Option<u32>,
    /// Whether the answer names the codings that are read.
    names_codings: bool,
    /// More members of the published JSON, as they stand in it.
    members: Vec<u8>,
    /// For the log, never for the client.
    pub cause: Option<String>,
}

/// One field or parameter that breaks a rule.
#[derive(Clone, Debug, Serialize)]
struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    code: String,
    detail: String,
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        let (code, detail) = (error.code, sentence(&error.detail));
        Self { pointer: Some(error.pointer), parameter: None, code, detail }
    }
}

impl From<ParameterError> for Fault {
    fn from(error: ParameterError) -> Self {
        let (code, detail) = (error.code.to_owned(), sentence(&error.detail));
        Self { pointer: None, parameter: Some(error.parameter), code, detail }
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl AsRef<str>) -> Self {
        let detail = sentence(detail.as_ref());
        Self {
            status,
            code,
            detail,
            errors: Vec::new(),
            conflict: None,
            retry_after_s: None,
            names_codings: false,
            members: Vec::new(),
            cause: None,
        }
    }

    /// Says nothing to the client but the request's id; the log has the cause.
    fn ours(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            let _infallible = write!(chain, ": {source}");
            next = source.source();
        }
        let detail = "the server failed; the request id names what happened in its log";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail);
        Self { cause: Some(chain), ..problem }
    }

    /// The published JSON. An error inside a batch has no request id of its own.
    pub fn write(&self, request_id: Option<&str>, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: String,
            status: u16,
            detail: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a str>,
            #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
            errors: &'a [Fault],
            #[serde(skip_serializing_if = "Option::is_none")]
            differ: Option<&'a [String]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            stored: Option<&'a RecordState>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sent: Option<&'a RecordState>,
        }
        let conflict = self.conflict.as_deref();
        let words = self.code.to_ascii_lowercase();
        let body = Body {
            r#type: format!("urn:daybook:problem:{}", words.replace('_', "-")),
            title: capital(&words.replace('_', " ")),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
            differ: conflict.map(|conflict| conflict.differ.as_slice()),
            stored: conflict.map(|conflict| &conflict.stored),
            sent: conflict.map(|conflict| &conflict.sent),
        };
        // Writing to memory does not fail, and no key is anything but a text.
        if let Err(error) = serde_json::to_writer(&mut *out, &body) {
            tracing::error!(%error, "a problem could not be written");
        }
        if !self.members.is_empty() {
            out.pop();
            out.push(b',');
            out.extend_from_slice(&self.members);
            out.push(b'}');
        }
    }

    /// The answer, with the id of its request.
    pub fn answer(&self, request_id: &str) -> Response {
        let mut body = Vec::with_capacity(256);
        self.write(Some(request_id), &mut body);
        self.head().map(|_| body.into())
    }

    /// The answer without its body.
    pub fn head(&self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.names_codings {
            headers.insert(header::ACCEPT_ENCODING, coding::ACCEPTED);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(mut error: Error) -> Self {
        use StatusCode as S;
        let wait_s =
            if let Error::RateLimited { wait_s, .. } = &error { Some(*wait_s) } else { None };
        let (status, code) = match error {
            Error::Rejected(rejection) => return refused(rejection),
            Error::Query(error) => return unasked(error),
            Error::Store(error) => return unstored(&error),
            Error::BatchRefused { ref mut members, .. } => {
                let members = std::mem::take(members);
                let code = Rejection::BatchRefused.code();
                let problem = Self::new(S::UNPROCESSABLE_ENTITY, code, error.to_string());
                return Self { members, ..problem };
            }
            Error::NoRoute => (S::NOT_FOUND, "NOT_FOUND"),
            Error::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Error::BadTransactionId { .. } => (S::BAD_REQUEST, "INVALID_TRANSACTION_ID"),
            Error::BadKeyId { .. } => (S::BAD_REQUEST, "INVALID_KEY_ID"),
            Error::BadAccountId { .. } => (S::BAD_REQUEST, "INVALID_ACCOUNT_ID"),
            Error::BadTransferId { .. } => (S::BAD_REQUEST, "INVALID_TRANSFER_ID"),
            Error::BadUserId { .. } => (S::BAD_REQUEST, "INVALID_USER_ID"),
            Error::BadPath => (S::BAD_REQUEST, "INVALID_PATH"),
            Error::BadQueryString => (S::BAD_REQUEST, "INVALID_QUERY_STRING"),
            Error::BadHeader { .. } => (S::BAD_REQUEST, "INVALID_HEADER"),
            Error::NotHttp => (S::BAD_REQUEST, "MALFORMED_REQUEST"),
            Error::HeadTooLarge => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "HEAD_TOO_LARGE"),
            Error::UriTooLong => (S::URI_TOO_LONG, "URI_TOO_LONG"),
            Error::NotUtf8 => (S::BAD_REQUEST, "MALFORMED_JSON"),
            Error::BodyCut => (S::BAD_REQUEST, "INCOMPLETE_BODY"),
            Error::BodySlow => (S::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Error::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Error::UnsupportedMediaType { .. } => {
                (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")
            }
            Error::UnsupportedEncoding => {
                (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_CONTENT_ENCODING")
            }
            Error::BadEncoding { .. } => (S::BAD_REQUEST, "MALFORMED_ENCODING"),
            Error::EmptyBatch => (S::UNPROCESSABLE_ENTITY, "EMPTY_BATCH"),
            Error::BatchTooLong { .. } => (S::PAYLOAD_TOO_LARGE, "BATCH_TOO_LONG"),
            Error::NoToken => (S::UNAUTHORIZED, "UNAUTHENTICATED"),
            Error::BadToken(BadToken::KeysAway) => (S::SERVICE_UNAVAILABLE, "ISSUER_AWAY"),
            Error::BadToken(_) => (S::UNAUTHORIZED, "INVALID_TOKEN"),
            Error::NotYou { .. } => (S::FORBIDDEN, "NOT_YOUR_USER"),
            Error::NotForUsers { .. } => (S::FORBIDDEN, "NOT_FOR_USERS"),
            Error::MissingScope { .. } => (S::FORBIDDEN, "MISSING_SCOPE"),
            Error::NameUser => (S::FORBIDDEN, "KEY_IS_NARROWED"),
            Error::KeysOff => (S::CONFLICT, "KEYS_OFF"),
            Error::TokensOff => (S::FORBIDDEN, "TOKENS_OFF"),
            Error::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "RATE_LIMITED"),
            Error::ForeignOrigin { .. } => (S::FORBIDDEN, "FOREIGN_ORIGIN"),
            Error::ForeignHost { .. } => (S::FORBIDDEN, "FOREIGN_HOST"),
            Error::PassedOn { .. } => (S::FORBIDDEN, "PASSED_ON"),
            Error::Behind { .. } => (S::SERVICE_UNAVAILABLE, "NOT_YET_VISIBLE"),
            Error::NoMasters { .. } => (S::CONFLICT, "NO_MASTER_KEYS"),
            Error::Overloaded => (S::SERVICE_UNAVAILABLE, "OVERLOADED"),
            Error::TimedOut => (S::SERVICE_UNAVAILABLE, "TIMED_OUT"),
            Error::Panicked | Error::Unanswered | Error::Internal(_) => return Self::ours(&error),
        };
        let retry_after_s = wait_s.or((status == S::SERVICE_UNAVAILABLE).then_some(1));
        let detail = match status {
            // Clients of the feed before Daybook look for these words.
            S::UNAUTHORIZED => format!("Invalid authentication credentials: {error}"),
            _ => error.to_string(),
        };
        let names_codings = matches!(error, Error::UnsupportedEncoding);
        Self { retry_after_s, names_codings, ..Self::new(status, code, detail) }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// A message of the inner crates as a sentence.
fn sentence(text: &str) -> String {
    let mut sentence = capital(text);
    if !sentence.ends_with(['.', '?', '!', ')']) {
        sentence.push('.');
    }
    sentence
}

impl IntoResponse for Error {
    /// Carries the problem to the middleware, which knows the request's id and writes the body.
    fn into_response(self) -> Response {
        let problem = Problem::from(self);
        let mut response = problem.status.into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_trouble_of_the_store_has_its_status() {
        let path = std::path::PathBuf::from("/secret/place.db");
        let broken = || Box::new(std::io::Error::other("secret"));
        for (error, status, retry) in [
            (store::Error::Busy, 503, true),
            (store::Error::DiskFull, 503, true),
            (store::Error::Closed, 503, true),
            (store::Error::Away { reason: "secret".to_owned() }, 503, true),
            (store::Error::TooBroad { limit: Duration::from_secs(1) }, 422, false),
            (store::Error::TooManyPoints { points: 2, max: 1 }, 422, false),
            (store::Error::Locked { path }, 500, false),
            (store::Error::Corrupt { what: "secret".to_owned() }, 500, false),
            (store::Error::Driver(broken()), 500, false),
        ] {
            let response = Problem::from(Error::from(error)).answer("r1");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
        }
    }

    #[test]
    fn a_failure_tells_the_log_everything_and_the_client_nothing() {
        let source = Box::new(std::io::Error::other("disk 7 is on fire"));
        let problem = Problem::from(Error::from(store::Error::Driver(source)));
        assert_eq!(problem.cause.as_deref(), Some("the store failed: disk 7 is on fire"));
        let mut body = Vec::new();
        problem.write(Some("r1"), &mut body);
        let body = String::from_utf8(body).expect("UTF-8");
        assert!(body.contains("\"request_id\":\"r1\"") && !body.contains("fire"), "{body}");
    }

    #[test]
    fn messages_become_sentences() {
        for (text, expected) in [
            ("there is nothing", "There is nothing."),
            ("`tz` is unknown", "`tz` is unknown."),
            ("did you mean it?", "Did you mean it?"),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }
}
