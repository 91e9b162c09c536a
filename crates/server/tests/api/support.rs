//! What every test needs: a server in memory, and requests in one line.

use std::cell::RefCell;
use std::io;
use std::sync::Once;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use daybook_core::UserId;
use daybook_server::app::{App, Auth, Settings};
use daybook_server::auth::{self, Scope, Subject};
use daybook_store::Options;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub const SECRET: &[u8] = b"a secret for tests, and for nothing else";

pub struct Api {
    pub app: App,
    router: Router,
    _directory: TempDir,
}

impl Api {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A server that asks for tokens.
    pub async fn guarded() -> Self {
        Self::with(Settings { auth: Auth::Secret(SECRET.to_vec()), ..Settings::default() }).await
    }

    pub async fn with(settings: Settings) -> Self {
        LOGGING.call_once(log_by_thread);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = daybook_store::open(&url, Options::default()).await.expect("a new store");
        let app = App::new(store, settings);
        let router = daybook_server::http::router(app.clone());
        Self { app, router, _directory: directory }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call("GET", path)
    }

    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Call<'_> {
        self.call("POST", path).json(body)
    }

    /// A call; the path stands under `/api/v1` unless it says so itself.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let path = match path.strip_prefix('^') {
            Some(root) => root.to_owned(),
            None => format!("/api/v1{path}"),
        };
        let head = Request::builder().method(method).uri(path);
        Call { api: self, head, body: Bytes::new() }
    }

    /// Records an item and gives back what was answered.
    pub async fn record(&self, body: Value) -> Value {
        let answer = self.post("/transactions", body.to_string()).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }
}

pub struct Call<'a> {
    api: &'a Api,
    head: Builder,
    body: Bytes,
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: impl Into<Bytes>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let request = self.head.body(Body::from(self.body)).expect("a request");
        let response = self.api.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends, and expects this status.
    pub async fn expect(self, status: u16) -> Answer {
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        if status >= 400 {
            answer.check_problem();
        }
        answer
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text"))
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The fields and parameters that a problem names, with their codes.
    pub fn faults(&self) -> Vec<(String, String)> {
        let json = self.json();
        let faults = json["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = |fault: &Value| match &fault["pointer"] {
            Value::Null => text(&fault["parameter"]),
            pointer => text(pointer),
        };
        faults.iter().map(|fault| (place(fault), text(&fault["code"]))).collect()
    }

    /// Every error has the shape that the contract promises.
    pub fn check_problem(&self) {
        if self.header("content-type") != Some("application/problem+json") {
            // The answer of a refused batch, and of an unhealthy server, is its own.
            let own = self.json();
            assert!(own["results"].is_array() || own["status"].is_string(), "{own}");
            return;
        }
        let json = self.json();
        for name in ["type", "title", "detail", "code", "request_id"] {
            assert!(json[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {json}");
        }
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"));
        assert!(json["detail"].as_str().expect("a text").ends_with(['.', '?', ')']), "{json}");
    }
}

pub fn user_token(user: &str) -> String {
    let user = UserId::parse(user).expect("a user id");
    auth::issue(SECRET, &Subject::User(user), Duration::from_secs(60)).expect("signed")
}

pub fn service_token(scopes: &[Scope]) -> String {
    let subject = Subject::Service(scopes.to_vec());
    auth::issue(SECRET, &subject, Duration::from_secs(60)).expect("signed")
}

/// The ids of the items of a page, in order.
pub fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// A card payment of ann.
pub fn card() -> Value {
    json!({"user_id": "ann", "transaction_type": "card", "amount": 150.00, "currency": "USD",
           "metadata": {"merchant_name": "Starbucks", "card_last_four": "5678"},
           "created_at": "2024-01-15T10:30:00Z"})
}

/// Which log lines anybody wants is decided once for the process, so each test's thread keeps its
/// own lines of one common log.
static LOGGING: Once = Once::new();

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_by_thread() {
    let level = tracing::Level::INFO;
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level);
    log.with_writer(|| Lines).init();
}

/// What this thread logged.
pub fn logged() -> String {
    LINES.with_borrow(|lines| String::from_utf8_lossy(lines).into_owned())
}
