//! All that is done for every request, in one layer: its id, its place among the others, its time
//! limit, the net under panics, the body of an error, one log line and the metrics.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::{Layer, Service};

use super::batch::Forbidden;
use super::browser;
use super::budget::Meter;
use super::caller::{API_KEY, Speaker};
use super::error::{Error, Problem};
use super::request::is_visible;
use super::wire;
use crate::app::{App, Place};
use crate::metrics::Routes;
use crate::work::Refused;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
/// The longest request id of a client that is taken over.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Makes [`Observed`] services.
#[derive(Clone)]
pub(crate) struct Observe {
    pub app: App,
    pub routes: Arc<Routes>,
}

/// A service with everything done around it.
#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    with: Observe,
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, with: self.clone() }
    }
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Observe { app, routes } = self.with.clone();
        let mut seen = Seen::new(&app, &mut request);
        let admitted = seen.admit(&app, &mut request);
        let answer = admitted.map(|place| (place, self.inner.call(request)));
        Box::pin(async move {
            let response = match answer {
                Err(error) => error.into_response(),
                Ok((_place, answer)) => within(app.settings().request_timeout, answer).await,
            };
            Ok(seen.finish(response, &app, &routes))
        })
    }
}

/// Runs the handler to its answer, to the time limit, or to its panic.
async fn within(
    limit: Duration,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    let caught = AssertUnwindSafe(answer).catch_unwind();
    match tokio::time::timeout(limit, caught).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(_panic)) => Error::Panicked.into_response(),
        Err(_elapsed) => Error::TimedOut.into_response(),
    }
}

/// What must be remembered of a request until it is answered.
struct Seen {
    begun: Instant,
    method: Method,
    route: Option<MatchedPath>,
    id: HeaderValue,
    address: Option<IpAddr>,
    /// Whether a credential came with the request.
    has_credential: bool,
    speaker: Speaker,
    /// Only when requests are limited.
    meter: Option<Arc<Meter>>,
}

impl Seen {
    fn new(app: &App, request: &mut Request) -> Self {
        let speaker = Speaker::default();
        request.extensions_mut().insert(speaker.clone());
        Self {
            begun: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            id: request_id(request.headers()),
            address: address(app, request),
            has_credential: [header::AUTHORIZATION, API_KEY]
                .iter()
                .any(|name| request.headers().contains_key(name)),
            speaker,
            meter: None,
        }
    }

    /// Lets the request pay, and take a place among the others. Who has used up a budget takes
    /// none.
    fn admit(&mut self, app: &App, request: &mut Request) -> Result<Option<Place>, Error> {
        if let Some(limits) = app.limits().filter(|_| !self.is_operational()) {
            let meter = self.meter.insert(Meter::begin(limits, self.route(), request));
            meter.pay_as_address(request)?;
        }
        wire::check(request)?;
        browser::refuse_foreign(app, request)?;
        if self.is_operational() {
            return Ok(None);
        }
        app.enter().map(Some).ok_or(Error::Overloaded)
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// Calls that must be answered when nothing else is.
    fn is_operational(&self) -> bool {
        let path = self.route().unwrap_or("");
        matches!(
            path.strip_prefix("/api/v1").unwrap_or(path),
            "/" | "/health" | "/livez" | "/readyz" | "/metrics"
        )
    }

    fn finish(self, mut response: Response, app: &App, routes: &Routes) -> Response {
        let forbidden: Option<Forbidden> = response.extensions_mut().remove();
        let problem = response.extensions_mut().remove::<Problem>().or_else(|| {
            let unnamed = response.status() == StatusCode::METHOD_NOT_ALLOWED;
            unnamed.then(|| Problem::from(Error::MethodNotAllowed))
        });
        if let Some(problem) = &problem {
            let mut answer = problem.answer(self.id.to_str().unwrap_or(""));
            if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
                answer.headers_mut().insert(header::ALLOW, allow);
            }
            response = answer;
        }
        let duration = self.begun.elapsed();
        let headers = response.headers_mut();
        let seconds = format!("{}.{:06}", duration.as_secs(), duration.subsec_micros());
        if let Ok(seconds) = HeaderValue::try_from(seconds) {
            headers.insert(PROCESS_TIME, seconds);
        }
        headers.insert(REQUEST_ID, self.id.clone());
        if let Some(meter) = &self.meter {
            meter.put(headers);
        }
        let status = response.status();
        self.audit(app, status, problem.as_ref().map(|problem| (problem.code, 1)));
        if let Some(Forbidden { code, items }) = forbidden {
            self.audit(app, StatusCode::FORBIDDEN, Some((code, items)));
        }
        routes.get(self.route()).count(status, duration);
        self.log(status, duration, problem.as_ref());
        response
    }

    /// Counts what an auditor wants to know: a credential that is no good, and a right that lacks,
    /// be it for one item of a batch.
    fn audit(&self, app: &App, status: StatusCode, told: Option<(&'static str, u64)>) {
        let is_told = match status {
            StatusCode::UNAUTHORIZED => self.has_credential,
            StatusCode::FORBIDDEN => true,
            _ => false,
        };
        let Some((code, times)) = told.filter(|_| is_told) else { return };
        let refused = Refused {
            status: status.as_u16(),
            code,
            method: self.method.clone(),
            route: self.route().unwrap_or("").to_owned(),
            address: self.address,
            user_id: self.speaker.user().cloned(),
            key_id: self.speaker.key(),
        };
        app.audit().add(refused, times);
    }

    #[expect(clippy::float_arithmetic, reason = "a measured time, no money")]
    fn log(&self, status: StatusCode, duration: Duration, problem: Option<&Problem>) {
        let (user, key) = (self.speaker.user(), self.speaker.key());
        let code = problem.map(|problem| problem.code);
        let cause = problem.and_then(|problem| problem.cause.as_deref());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "daybook::request",
                    method = self.method.as_str(),
                    path = self.route().unwrap_or("none"),
                    status = status.as_u16(),
                    duration_ms = duration.as_secs_f64() * 1e3,
                    request_id = self.id.to_str().unwrap_or(""),
                    user.id = user.map(daybook_core::UserId::as_str),
                    key.id = key.map(tracing::field::display),
                    code,
                    cause,
                )
            };
        }
        if status.is_server_error() {
            line!(error);
        } else {
            line!(info);
        }
    }
}

/// Where the request comes from; proxies are believed only where requests are limited, because that
/// is what names them.
fn address(app: &App, request: &Request) -> Option<IpAddr> {
    match app.limits() {
        Some(limits) => limits.address(request),
        None => {
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
            peer.map(|ConnectInfo(peer)| peer.ip())
        }
    }
}

/// The client's own id of the request when it is one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID);
    if let Some(id) = given.filter(|id| is_visible(id.as_bytes(), REQUEST_ID_CHARS_MAX)) {
        return id.clone();
    }
    let mut text = uuid::Uuid::encode_buffer();
    let id = crate::app::new_id().0.simple().encode_lower(&mut text);
    // Hexadecimal digits are always a header value.
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
}
