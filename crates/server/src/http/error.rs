//! The one HTTP error: every "no" that a client can be told, as `application/problem+json`
//! (RFC 9457). What a refusal means in HTTP is decided here and nowhere else.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_core::query::{ParameterError, QueryError};
use daybook_core::{EventSeq, FieldError, Rejection, UserId};
use daybook_store as store;
use serde::Serialize;

use crate::auth::BadToken;

pub type Result<T> = std::result::Result<T, Error>;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub enum Error {
    Rejected(Rejection),
    Query(QueryError),
    Store(store::Error),
    NoRoute,
    MethodNotAllowed,
    BadTransactionId { text: String },
    BadUserId { detail: String },
    BadPath,
    BadQueryString,
    BadHeader { name: &'static str, detail: String },
    NotUtf8,
    BodyCut,
    BodySlow,
    BodyTooLarge { max: usize },
    UnsupportedMediaType { expected: &'static str },
    EmptyBatch,
    BatchTooLong { max: usize },
    NoToken,
    BadToken(BadToken),
    NotYou { user_id: UserId },
    MissingScope { scope: &'static str },
    TokensOff,
    Behind { seq: EventSeq },
    Overloaded,
    TimedOut,
    Panicked,
    /// The store answered a submission with no verdict.
    Unanswered,
    /// A part of the server that cannot fail did.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<BadToken> for Error {
    fn from(error: BadToken) -> Self {
        Self::BadToken(error)
    }
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
    retry_after_s: Option<u32>,
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
        Self { status, code, detail, errors: Vec::new(), retry_after_s: None, cause: None }
    }

    fn retry_after_s(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// Says nothing to the client but the request's id; the log has the cause.
    fn ours(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            let _infallible = write!(chain, ": {source}");
            next = source.source();
        }
        Self { cause: Some(chain), ..Self::blank() }
    }

    fn blank() -> Self {
        let detail = "the server failed; the request id names what happened in its log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail)
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
        }
        let words = self.code.to_ascii_lowercase();
        let body = Body {
            r#type: format!("urn:daybook:problem:{}", words.replace('_', "-")),
            title: capital(&words.replace('_', " ")),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        // Writing to memory does not fail, and no key is anything but a text.
        if let Err(error) = serde_json::to_writer(out, &body) {
            tracing::error!(%error, "a problem could not be written");
        }
    }

    /// The answer, with the id of its request.
    pub fn answer(&self, request_id: &str) -> Response {
        let mut body = Vec::with_capacity(256);
        self.write(Some(request_id), &mut body);
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use StatusCode as S;
        match error {
            Error::Rejected(rejection) => refused(rejection),
            Error::Query(error) => unasked(error),
            Error::Store(error) => unstored(error),
            Error::NoRoute => Self::new(
                S::NOT_FOUND,
                "NOT_FOUND",
                "there is nothing at this path; /docs lists every call",
            ),
            Error::MethodNotAllowed => Self::new(
                S::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path does not know the method; the Allow header names those it knows",
            ),
            Error::BadTransactionId { text } => Self::new(
                S::BAD_REQUEST,
                "INVALID_TRANSACTION_ID",
                format!("Invalid transaction ID format: '{text}' is not a UUID"),
            ),
            Error::BadUserId { detail } => Self::new(S::BAD_REQUEST, "INVALID_USER_ID", detail),
            Error::BadPath => {
                Self::new(S::BAD_REQUEST, "INVALID_PATH", "the path is not UTF-8 once decoded")
            }
            Error::BadQueryString => Self::new(
                S::BAD_REQUEST,
                "INVALID_QUERY_STRING",
                "the query string is not UTF-8 once decoded",
            ),
            Error::BadHeader { name, detail } => {
                Self::new(S::BAD_REQUEST, "INVALID_HEADER", format!("{name}: {detail}"))
            }
            Error::NotUtf8 => Self::new(S::BAD_REQUEST, "MALFORMED_JSON", "the body is not UTF-8"),
            Error::BodyCut => {
                Self::new(S::BAD_REQUEST, "INCOMPLETE_BODY", "the body ended before its end")
            }
            Error::BodySlow => Self::new(
                S::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                "the body took too long to arrive; send it again",
            ),
            Error::BodyTooLarge { max } => Self::new(
                S::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                format!("the body is larger than {max} bytes; send less at once"),
            ),
            Error::UnsupportedMediaType { expected } => Self::new(
                S::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                format!("the body's Content-Type must be {expected}"),
            ),
            Error::EmptyBatch => {
                Self::new(S::UNPROCESSABLE_ENTITY, "EMPTY_BATCH", "the batch has no item")
            }
            Error::BatchTooLong { max } => Self::new(
                S::PAYLOAD_TOO_LARGE,
                "BATCH_TOO_LONG",
                format!("the batch has more than {max} items; send several batches"),
            ),
            Error::NoToken => Self::new(
                S::UNAUTHORIZED,
                "UNAUTHENTICATED",
                "this call needs a token: send `Authorization: Bearer TOKEN`",
            ),
            Error::BadToken(error) => {
                Self::new(S::UNAUTHORIZED, "INVALID_TOKEN", error.to_string())
            }
            Error::NotYou { user_id } => Self::new(
                S::FORBIDDEN,
                "NOT_YOUR_USER",
                format!("the token speaks for another user than '{user_id}'"),
            ),
            Error::MissingScope { scope } => Self::new(
                S::FORBIDDEN,
                "MISSING_SCOPE",
                format!("the token lacks the scope {scope}"),
            ),
            Error::TokensOff => Self::new(
                S::FORBIDDEN,
                "TOKENS_OFF",
                "this server gives no tokens over HTTP, because it has a secret; \
                 use the command `daybook token`",
            ),
            Error::Behind { seq } => Self::new(
                S::SERVICE_UNAVAILABLE,
                "NOT_YET_VISIBLE",
                format!("this server has seen the log up to {seq} only; ask again shortly"),
            )
            .retry_after_s(1),
            Error::Overloaded => Self::new(
                S::SERVICE_UNAVAILABLE,
                "OVERLOADED",
                "the server has as much work as it can take; try again shortly",
            )
            .retry_after_s(1),
            Error::TimedOut => Self::new(
                S::SERVICE_UNAVAILABLE,
                "TIMED_OUT",
                "the answer took too long; a write may still happen, so repeat it with the same \
                 Idempotency-Key",
            )
            .retry_after_s(1),
            Error::Panicked | Error::Unanswered => Self::blank(),
            Error::Internal(error) => Self::ours(&*error),
        }
    }
}

fn refused(rejection: Rejection) -> Problem {
    use StatusCode as S;
    let status = match &rejection {
        Rejection::Malformed(_) => S::BAD_REQUEST,
        Rejection::NotFound { .. } => S::NOT_FOUND,
        Rejection::NotYours { .. } | Rejection::NotYourUser { .. } => S::FORBIDDEN,
        Rejection::IllegalMove { .. } | Rejection::StaleVersion { .. } => S::CONFLICT,
        Rejection::Invalid(_) | Rejection::KeyReused | Rejection::BatchRefused => {
            S::UNPROCESSABLE_ENTITY
        }
    };
    let mut problem = Problem::new(status, rejection.code(), rejection.to_string());
    if let Rejection::Invalid(errors) = rejection {
        problem.errors = errors.into_iter().map(Fault::from).collect();
    }
    problem
}

fn unasked(error: QueryError) -> Problem {
    use StatusCode as S;
    match error {
        QueryError::UnknownParameter { name, known } => {
            let nearest = nearest(&name, known.split(", "));
            let hint = nearest.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            let known = if known.is_empty() { "it takes none".to_owned() } else { known };
            let shown: String = name.chars().take(64).collect();
            let detail = format!("there is no parameter '{shown}' here{hint} (known: {known})");
            Problem::new(S::BAD_REQUEST, "UNKNOWN_PARAMETER", detail)
        }
        error @ QueryError::MissingUser => {
            Problem::new(S::BAD_REQUEST, "MISSING_USER_ID", error.to_string())
        }
        error @ QueryError::BadCursor => {
            Problem::new(S::BAD_REQUEST, "INVALID_CURSOR", error.to_string())
        }
        QueryError::Invalid(errors) => {
            let detail = match errors.as_slice() {
                [one] => one.detail.clone(),
                many => format!("{} parameters break a rule; see `errors`", many.len()),
            };
            let errors = errors.into_iter().map(Fault::from).collect();
            let problem = Problem::new(S::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED", detail);
            Problem { errors, ..problem }
        }
    }
}

fn unstored(error: store::Error) -> Problem {
    use StatusCode as S;
    let away = |code, error: &store::Error, seconds| {
        let detail = format!("{error}; try again in a while");
        let problem = Problem::new(S::SERVICE_UNAVAILABLE, code, detail);
        Problem { cause: Some(error.to_string()), ..problem.retry_after_s(seconds) }
    };
    match error {
        store::Error::Busy => away("STORE_BUSY", &error, 1),
        store::Error::DiskFull => away("DISK_FULL", &error, 30),
        store::Error::Closed => away("STORE_CLOSED", &error, 5),
        store::Error::TooBroad { .. } => {
            Problem::new(S::UNPROCESSABLE_ENTITY, "TOO_BROAD", error.to_string())
        }
        store::Error::TooManyPoints { .. } => {
            Problem::new(S::UNPROCESSABLE_ENTITY, "TOO_MANY_POINTS", error.to_string())
        }
        store::Error::Locked { .. }
        | store::Error::TooNew { .. }
        | store::Error::CannotOpen { .. }
        | store::Error::BadUrl { .. }
        | store::Error::Corrupt { .. }
        | store::Error::Driver(_) => Problem::ours(&error),
    }
}

/// The known name that a mistyped one was meant to be.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
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
