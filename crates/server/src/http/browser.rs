//! What browsers are told with every answer, and whose pages may ask.

use std::net::IpAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use futures_util::future::Either;
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

use super::answer::{COMMIT_SEQ, REPLAYED, RESULT};
use super::books::MIN_COMMIT_SEQ;
use super::budget;
use super::caller::API_KEY;
use super::error::Error;
use super::observe::{PROCESS_TIME, REQUEST_ID};
use super::request::IDEMPOTENCY_KEY;
use crate::app::App;

/// Answers are data, which no browser may take for anything else, keep, or show inside a page.
/// Pages say for themselves what they need.
const TOLD: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const ASKED: [HeaderName; 11] = [
    header::AUTHORIZATION,
    API_KEY,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("prefer"),
    IDEMPOTENCY_KEY,
    MIN_COMMIT_SEQ,
    REQUEST_ID,
    header::ACCEPT,
];
const ANSWERED: [HeaderName; 15] = [
    header::ALLOW,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("preference-applied"),
    budget::RATE_LIMIT,
    budget::RATE_LIMIT_POLICY,
    budget::LIMIT,
    budget::REMAINING,
    budget::RESET,
    COMMIT_SEQ,
    REPLAYED,
    RESULT,
    PROCESS_TIME,
];
/// How long a browser need not ask again whether a page may call; none keeps it longer.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(7_200);
/// How much of what a client said is repeated to it.
const SHOWN_CHARS_MAX: usize = 64;

/// The origins besides the server's own whose pages may call in a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    Listed(Vec<HeaderValue>),
    /// All; a token is needed all the same.
    Any,
}

/// By which names a server may be called that lets everybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Those of the machine itself. Any other name was made to point here by somebody whose page
    /// would count as the server's own (DNS rebinding).
    ThisMachine,
    Any,
}

/// Lets pages of other origins call, when there are such. In development mode those of this machine are:
/// what somebody develops is served from another port.
pub fn cors(app: &App) -> Option<ForPages> {
    let origins = match &app.settings().origins {
        Origins::Listed(listed) if app.is_open() => {
            let listed = listed.clone();
            AllowOrigin::predicate(move |origin, _| {
                listed.contains(origin) || is_of_this_machine(origin)
            })
        }
        Origins::Listed(listed) if listed.is_empty() => return None,
        Origins::Listed(listed) => AllowOrigin::list(listed.iter().cloned()),
        Origins::Any => AllowOrigin::any(),
    };
    let exposed = ANSWERED.into_iter().chain([REQUEST_ID]);
    // Tokens travel in a header that pages set themselves, so nothing ambient is ever allowed.
    let layer = CorsLayer::new().allow_origin(origins).allow_methods(METHODS).allow_headers(ASKED);
    Some(ForPages(layer.expose_headers(exposed.collect::<Vec<_>>()).max_age(PREFLIGHT_KEPT)))
}

/// Tells pages what they may do, and spares others the words: a request without `Origin` is of no page
/// that would have to be let in.
#[derive(Clone)]
pub struct ForPages(CorsLayer);

/// A service with and without these words.
#[derive(Clone)]
pub struct ToldPages<S> {
    others: S,
    pages: Cors<S>,
}

impl<S: Clone> Layer<S> for ForPages {
    type Service = ToldPages<S>;

    fn layer(&self, inner: S) -> ToldPages<S> {
        ToldPages { pages: self.0.layer(inner.clone()), others: inner }
    }
}

impl<S, B, R> Service<Request<B>> for ToldPages<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, <Cors<S> as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.others.poll_ready(context))?;
        self.pages.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.headers().contains_key(header::ORIGIN) {
            Either::Right(self.pages.call(request))
        } else {
            Either::Left(self.others.call(request))
        }
    }
}

/// What proxies add, who may let in the whole world under a name of this machine.
const PASSED_ON: &[&str] =
    &["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Adds what every answer says, unless it says something else.
pub fn tell<B>(mut response: Response<B>) -> Response<B> {
    for (name, value) in TOLD {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Refuses what a foreign page asks of a server that would let it in: without a secret, whoever
/// sits at this machine may do anything, and so might every page that this person looks at.
pub fn refuse_foreign<B>(app: &App, request: &Request<B>) -> Result<(), Error> {
    if !app.is_open() {
        return Ok(());
    }
    if app.settings().names == Names::ThisMachine
        && let Some(host) = hosts(request).find(|host| !is_local(host))
    {
        return Err(Error::ForeignHost { host: shown(host) });
    }
    if app.settings().names == Names::ThisMachine
        && let Some(name) = PASSED_ON.iter().find(|name| request.headers().contains_key(**name))
    {
        return Err(Error::PassedOn { header: name });
    }
    let mut origins = request.headers().get_all(header::ORIGIN).iter().peekable();
    if origins.peek().is_none() && is_embedded(request) {
        return Err(Error::ForeignOrigin { origin: "another site".to_owned() });
    }
    let is_listed = |origin: &HeaderValue| match &app.settings().origins {
        Origins::Listed(listed) => listed.contains(origin),
        Origins::Any => false,
    };
    let is_let_in = |origin: &HeaderValue| is_of_this_machine(origin) || is_listed(origin);
    match origins.find(|origin| !is_own(origin, request) && !is_let_in(origin)) {
        Some(origin) => {
            Err(Error::ForeignOrigin { origin: shown(&String::from_utf8_lossy(origin.as_bytes())) })
        }
        None => Ok(()),
    }
}

/// Whether the request was sent to this machine by a name that only the machine itself knows so.
pub fn is_this_machine<B>(request: &Request<B>) -> bool {
    let mut hosts = hosts(request).peekable();
    hosts.peek().is_some() && hosts.all(is_local)
}

/// The names and ports that the request was sent to.
fn hosts<B>(request: &Request<B>) -> impl Iterator<Item = &str> {
    let named = request.headers().get_all(header::HOST).iter();
    let named = named.map(|host| host.to_str().unwrap_or(""));
    request.uri().authority().map(Authority::as_str).into_iter().chain(named)
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        // Such names never leave the machine (RFC 6761, 6.3).
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Whether a page was loaded from this machine itself, from whatever port: such a page is of whoever works
/// here, as everything else is that may call a server in development mode.
fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let Some((scheme, host)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        // What is behind the last colon of an address without a port is not one.
        Some((name, port)) if !port.ends_with(']') => {
            if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            name
        }
        Some(_) | None => host,
    };
    let is_bare = !name.contains(['/', '?', '#', '@', ' ']);
    let is_bare = is_bare && name.starts_with('[') == name.ends_with(']');
    matches!(scheme, "http" | "https") && is_bare && is_local(name)
}

fn is_own<B>(origin: &HeaderValue, request: &Request<B>) -> bool {
    let Some((scheme, origin)) = origin.to_str().ok().and_then(|text| text.split_once("://"))
    else {
        return false;
    };
    matches!(scheme, "http" | "https")
        && hosts(request).any(|host| host.eq_ignore_ascii_case(origin))
}

/// Whether a page of another site wants this as its image, script or the like; a link to here is
/// none of that.
fn is_embedded<B>(request: &Request<B>) -> bool {
    let says = |name, values: &[&str]| {
        request.headers().get(name).is_some_and(|found| values.iter().any(|value| found == value))
    };
    says("sec-fetch-site", &["cross-site", "same-site"]) && !says("sec-fetch-mode", &["navigate"])
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_this_machine_are_known() {
        for (origin, is_of_this_machine) in [
            ("http://localhost:3000", true),
            ("http://localhost", true),
            ("https://localhost:8443", true),
            ("http://app.localhost:3000", true),
            ("http://127.0.0.1:5173", true),
            ("http://[::1]:5173", true),
            ("http://[::1]", true),
            ("null", false),
            ("", false),
            ("file://", false),
            ("file://localhost", false),
            ("chrome-extension://localhost", false),
            ("http://localhost:8000.evil.example", false),
            ("http://localhost:", false),
            ("http://localhost.evil.example", false),
            ("http://evil.example#localhost", false),
            ("http://evil@localhost", false),
            ("http://evil.example/localhost", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://[::1].evil.example", false),
            ("http://[::2]:80", false),
            ("http://0.0.0.0:3000", false),
            ("http://192.168.0.1:3000", false),
            ("http://evil.example", false),
        ] {
            let value = HeaderValue::from_static(origin);
            assert_eq!(super::is_of_this_machine(&value), is_of_this_machine, "{origin}");
        }
    }

    #[test]
    fn the_names_of_this_machine_are_known() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost:8000", true),
            ("books.localhost:8000", true),
            ("127.0.0.1:8000", true),
            ("127.9.9.9", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("", false),
            ("0.0.0.0:8000", false),
            ("localhost.example.org:8000", false),
            ("127.0.0.1.example.org", false),
            ("notlocalhost", false),
            ("[::2]:8000", false),
            ("10.0.0.1:8000", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }
}
