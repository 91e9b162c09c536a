//! The way in from a connection: what the protocol asks of a request before any route is looked for.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::task::{Context, Poll};

use axum::Router;
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, Request, StatusCode, Uri, Version, header};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use hyper::body::Body;
use tower::{BoxError, Service};

use super::browser;
use super::error::{Error, Problem, Result};
use super::observe::REQUEST_ID;

/// The largest head of a request with its URI, in bytes: room for a long search and a large token.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What a header of HTTP/1 counts for besides its name and value: a colon, a space and the line's end.
const HEADER_BYTES: usize = 4;
/// The same for HTTP/2 (RFC 9113, 6.5.2).
const FIELD_BYTES: usize = 32;
/// Pages that load what they need by its place beside them.
const PAGES: &str = "/docs";

/// Everything that the server answers. A path with a slash at its end is the path without it.
#[derive(Clone)]
pub struct Entrance(pub(super) Router);

impl<B> Service<Request<B>> for Entrance
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Infallible>> {
        <Router as Service<Request<B>>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(uri) = without_slash(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.0.call(request)
    }
}

/// The URI without the slash at the end of its path; `None` where there is none, or it counts.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    if path.starts_with(PAGES) {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

/// Marks requests that came over a connection, which must be whole messages of HTTP.
#[derive(Clone, Copy)]
pub struct OnWire;

/// Refuses a message that the library lets pass and the protocol does not.
pub fn check<B>(request: &Request<B>) -> Result<()> {
    if request.extensions().get::<OnWire>().is_none() {
        return Ok(());
    }
    // The library looks at the size only of what it has not read whole.
    if head_bytes(request) > HEAD_BYTES_MAX {
        return Err(Error::HeadTooLarge);
    }
    if request.version() == Version::HTTP_11 { check_host(request.headers()) } else { Ok(()) }
}

/// One `Host`, which may be empty (RFC 9112, 3.2).
fn check_host(headers: &HeaderMap) -> Result<()> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let bad = |detail: &str| Error::BadHeader { name: "Host", detail: detail.to_owned() };
    let host = hosts.next().ok_or_else(|| bad("every request of HTTP/1.1 has one"))?;
    if hosts.next().is_some() {
        return Err(bad("it stands more than once"));
    }
    let named = |text: &str| !text.contains('@') && text.parse::<Authority>().is_ok();
    match host.to_str() {
        Ok(text) if text.is_empty() || named(text) => Ok(()),
        Ok(_) | Err(_) => Err(bad("a name or an address is expected, with a port or without")),
    }
}

fn head_bytes<B>(request: &Request<B>) -> usize {
    let more = if request.version() == Version::HTTP_2 { FIELD_BYTES } else { HEADER_BYTES };
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + more);
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    headers.sum::<usize>() + target + uri.authority().map_or(0, |name| name.as_str().len())
}

/// The whole answer to what could not be read as a request, after which the connection ends.
pub fn explain(status: StatusCode) -> Vec<u8> {
    let error = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Error::HeadTooLarge,
        StatusCode::URI_TOO_LONG => Error::UriTooLong,
        _ => Error::NotHttp,
    };
    let id = crate::app::new_id().0.simple().to_string();
    let problem = Problem::from(error);
    let mut body = Vec::with_capacity(256);
    problem.write(Some(&id), &mut body);
    let answer = browser::tell(problem.head());
    let reason = problem.status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", problem.status.as_u16());
    for (name, value) in answer.headers() {
        // Writing to memory does not fail; these values are texts.
        let _infallible = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let length = body.len();
    let _infallible =
        write!(head, "{REQUEST_ID}: {id}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.append(&mut body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_no_other_path() {
        for (uri, expected) in [
            ("/api/v1/transactions/", Some("/api/v1/transactions")),
            ("/api/v1/transactions/?user_id=a/", Some("/api/v1/transactions?user_id=a/")),
            ("http://h:1/livez/?", Some("http://h:1/livez?")),
            ("/api/v1/transactions", None),
            ("/api/v1/transactions//", Some("/api/v1/transactions/")),
            ("/", None),
            ("//", Some("/")),
            ("http://h/", None),
            ("/docs/", None),
        ] {
            let uri: Uri = uri.parse().expect(uri);
            let found = without_slash(&uri).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }
}
