//! What every test needs: a server in memory, and requests in one line.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use daybook_core::UserId;
use daybook_server::app::{App, Auth, Settings};
use daybook_server::auth::{self, Scope, Subject, Trust};
use daybook_server::http::Entrance;
use daybook_server::keyring::KeySource;
use daybook_server::work::Settler;
use daybook_store::{MasterKey, Masters, Options, Sealing, Store};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::database::{self, Database};

pub const SECRET: &[u8] = b"a secret for tests, and for nothing else";
/// The master key of stores that seal.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub struct Api {
    pub app: App,
    router: Entrance,
    _place: Place,
}

/// Where the books of a test are, for as long as it runs: in a file, or in a database of its own
/// when the environment says that all tests are about PostgreSQL.
pub struct Place {
    pub url: String,
    _directory: Option<TempDir>,
    _database: Option<Database>,
}

impl Place {
    pub async fn new() -> Self {
        match std::env::var("TEST_STORE").as_deref() {
            Ok("postgres") => {
                let server = database::server().expect("a server that TEST_POSTGRES_URL names");
                let database = Database::make(&server).await.expect("a new database");
                Self { url: database.url.clone(), _directory: None, _database: Some(database) }
            }
            Ok("sqlite") | Err(_) => {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let url = format!("sqlite:{}", directory.path().join("test.db").display());
                Self { url, _directory: Some(directory), _database: None }
            }
            Ok(other) => panic!("TEST_STORE is sqlite or postgres, not {other}"),
        }
    }

    /// Opens the store that is there; it seals when the environment says that all do.
    pub async fn open(&self) -> Arc<dyn Store> {
        match std::env::var("TEST_SEALED").as_deref() {
            Ok("1") => self.open_sealed().await,
            Ok("0") | Err(_) => self.open_plain().await,
            Ok(other) => panic!("TEST_SEALED is 0 or 1, not {other}"),
        }
    }

    /// Opens the store, which keeps everything as it is sent.
    pub async fn open_plain(&self) -> Arc<dyn Store> {
        self.open_with(Options::default()).await
    }

    /// Opens the store, which seals what is sensitive.
    pub async fn open_sealed(&self) -> Arc<dyn Store> {
        let current = MasterKey::from_base64(MASTER_KEY).expect("a master key");
        let masters = Masters { current, older: Vec::new() };
        let sealing = Sealing { masters, secrets: Arc::default(), searched: false };
        self.open_with(Options { sealing: Some(sealing), ..Options::default() }).await
    }

    async fn open_with(&self, options: Options) -> Arc<dyn Store> {
        daybook_store::open(&self.url, options).await.expect("a new store")
    }
}

impl Api {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A server that asks for tokens.
    pub async fn guarded() -> Self {
        Self::with(Settings {
            auth: Auth::Trust(Box::new(Trust::secret(SECRET))),
            ..Settings::default()
        })
        .await
    }

    pub async fn with(settings: Settings) -> Self {
        LOGGING.call_once(log_by_thread);
        let place = Place::new().await;
        Self::over(place.open().await, settings, place)
    }

    /// A server over a store that seals what is sensitive.
    pub async fn sealed(settings: Settings) -> Self {
        LOGGING.call_once(log_by_thread);
        let master = serde_json::from_value(json!(MASTER_KEY)).expect("a text");
        let settings = Settings { masters: Some(KeySource::Text(master)), ..settings };
        let place = Place::new().await;
        Self::over(place.open_sealed().await, settings, place)
    }

    /// A server over this store.
    pub fn over(store: Arc<dyn Store>, settings: Settings, place: Place) -> Self {
        let app = App::new(store, settings).expect("an app");
        let router = daybook_server::http::router(app.clone());
        Self { app, router, _place: place }
    }

    /// Starts the ledger's worker; it ends with what this returns.
    pub fn settler(&self) -> DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(Settler::new(self.app.clone()).run(stop.clone()));
        stop.drop_guard()
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

    /// Opens an account with a balance.
    pub async fn open(&self, id: i64, user: Option<&str>, balance: &str) {
        let body = json!({"account_id": id, "user_id": user, "initial_balance": balance});
        self.post("/accounts", body.to_string()).expect(201).await;
    }

    /// The balance and what is available of it.
    pub async fn money(&self, id: i64) -> [String; 2] {
        let account = self.get(&format!("/accounts/{id}")).expect(200).await.json();
        ["balance", "available"].map(|name| account[name].as_str().expect(name).to_owned())
    }

    /// Waits until what is at the path says so.
    pub async fn until(&self, path: &str, says: impl Fn(&Value) -> bool) -> Value {
        let reading = async {
            loop {
                let found = self.get(path).expect(200).await.json();
                if says(&found) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), reading).await;
        found.unwrap_or_else(|_| panic!("{path} never came to say what was expected"))
    }

    /// Waits until a transfer has this status.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(&format!("/transfers/{id}"), |transfer| transfer["status"] == status).await
    }

    /// The value of a metric; `None` when there is no such series.
    pub async fn metric(&self, series: &str) -> Option<String> {
        let text = self.get("/metrics").expect(200).await.text();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map(str::to_owned)
    }

    /// Proves the ledger.
    pub async fn prove(&self) {
        let look = self.app.look_at_ledger().await.expect("a look");
        assert!(look.ok, "{:?}", look.differences);
    }
}

/// Ann has 100 dollars on account 1, bob has none on 2, and 3 belongs to nobody.
pub async fn ann_and_bob() -> Api {
    let api = Api::new().await;
    api.open(1, Some("ann"), "100.00").await;
    api.open(2, Some("bob"), "0").await;
    api.open(3, None, "0").await;
    api
}

/// Makes a transfer and gives back what was answered.
pub async fn make(api: &Api, body: &Value) -> Value {
    api.post("/transfers", body.to_string()).expect(201).await.json()
}

/// Holds ann's dollars for bob; gives back the transfer's id.
pub async fn hold(api: &Api, amount: &str) -> String {
    let mut body = transfer(1, 2, amount);
    body["pending"] = json!(true);
    make(api, &body).await["id"].as_str().expect("an id").to_owned()
}

/// Posts, voids or rolls back a transfer.
pub fn act<'a>(api: &'a Api, id: &str, action: &str) -> Call<'a> {
    api.call("POST", &format!("/transfers/{id}/{action}"))
}

/// What became of the items of a batch: how many were created, updated, unchanged and refused.
pub fn sums(results: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| results[name].as_u64().expect(name))
}

/// A transfer of dollars.
pub fn transfer(source: i64, destination: i64, amount: &str) -> Value {
    json!({"source_account_id": source, "destination_account_id": destination, "amount": amount})
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

    /// Sends it over a connection from this address.
    pub fn from(mut self, address: &str) -> Self {
        let ip: IpAddr = address.parse().expect(address);
        self.head = self.head.extension(ConnectInfo(SocketAddr::new(ip, 4_711)));
        self
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
            // The answer of an unhealthy server is its own.
            let own = self.json();
            assert!(own["status"].is_string(), "{own}");
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
