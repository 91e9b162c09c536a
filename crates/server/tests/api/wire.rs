//! What a connection carries: answers that come before the body, the next request after them, and what is
//! no HTTP. All of it over real sockets.

use std::future::poll_fn;
use std::time::Duration;

use daybook_server::app::{Auth, Settings};
use daybook_server::auth::{Scope, Trust};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificates::Pair;
use crate::serving::{BODY, h2, server, serving};
use crate::support::{SECRET, service_token};

/// More than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const NEXT: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// One connection of HTTP/1, whose answers are read one by one.
struct Wire<S> {
    stream: S,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n");
        let mut found = lines.filter_map(|line| line.split_once(": ")).filter(|(n, _)| *n == name);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} stands twice: {}", self.head);
        value
    }

    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json: Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(json["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{json}");
        assert_eq!(json["status"], self.status, "{json}");
        json["code"].as_str().expect("a code").to_owned()
    }

    fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// Reads more; says whether there was something.
    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.is_ok_and(|read| read > 0)
    }

    /// The next answer; `None` when the connection ends first.
    async fn answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.next_answer()).await.expect("an answer or the end")
    }

    async fn next_answer(&mut self) -> Option<Answer> {
        let end = loop {
            match self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at,
                None => self.more().await.then_some(())?,
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).expect("a text");
        let mut answer = Answer {
            status: head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status"),
            head: head.to_ascii_lowercase(),
            body: String::new(),
        };
        let length = answer.header("content-length").map_or(0, |n| n.parse().expect("a length"));
        while self.read.len() < length {
            self.more().await.then_some(())?;
        }
        let body = self.read.drain(..length).collect();
        answer.body = String::from_utf8(body).expect("a text");
        Some(answer)
    }

    /// Whether the server ends the connection, and sends nothing more before.
    async fn ends(&mut self) -> bool {
        let ended = timeout(PATIENCE, async { while self.more().await {} }).await;
        ended.is_ok() && self.read.is_empty()
    }

    /// Waits 10 ms for an answer to begin.
    async fn pause(&mut self) {
        drop(timeout(Duration::from_millis(10), self.more()).await);
    }

    /// Expects that another request on the connection is answered.
    async fn asks_again(&mut self, context: &str) {
        self.send(NEXT).await;
        let next = self.answer().await.unwrap_or_else(|| panic!("{context}: the connection ended"));
        assert_eq!(next.status, 200, "{context}: {next:?}");
        assert!(!next.closes(), "{context}: {next:?}");
    }
}

fn guarded() -> Settings {
    let auth = Auth::Trust(Box::new(Trust::secret(SECRET)));
    Settings { auth, names: daybook_server::http::Names::Any, ..Settings::default() }
}

/// Every refusal that does not need the body: the line and headers of a request, and its status.
fn early() -> Vec<(String, u16)> {
    let json = "content-type: application/json\r\n";
    let token = |scopes: &[Scope]| format!("authorization: Bearer {}\r\n", service_token(scopes));
    let (writer, reader) = (token(&[Scope::Admin]), token(&[Scope::FeedRead]));
    let id = "01900000-0000-7000-8000-000000000000";
    let line =
        |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}");
    let api =
        |method: &str, path: &str, headers: &str| line(&format!("{method} /api/v1{path}"), headers);
    vec![
        (api("POST", "/transactions", json), 401),
        (api("POST", "/transactions", &format!("{json}authorization: Bearer x\r\n")), 401),
        (api("POST", "/transactions/batch", json), 401),
        (api("POST", "/accounts", json), 401),
        (api("PATCH", &format!("/transactions/{id}"), json), 401),
        (api("POST", "/transactions", &format!("{json}{reader}")), 403),
        (api("POST", "/transfers", &format!("{json}{reader}")), 403),
        (api("POST", "/keys", &format!("{json}{reader}")), 403),
        (api("POST", "/nothing", json), 404),
        (line("PUT /", json), 405),
        (api("DELETE", &format!("/transactions/{id}"), &format!("{json}{writer}")), 404),
        (api("PUT", "/transactions", json), 405),
        (line("POST /livez", json), 405),
        (api("POST", "/transactions", &format!("content-type: text/plain\r\n{writer}")), 415),
        (api("POST", "/transactions/batch", &format!("content-type: text/csv\r\n{writer}")), 415),
        (api("POST", "/transactions", &format!("{json}{writer}content-encoding: lzma\r\n")), 415),
        (api("PATCH", "/transactions/1", &format!("{json}{writer}")), 400),
        (api("POST", "/transfers/x/void", &format!("{json}{writer}")), 400),
        (api("POST", "/transactions/batch?atomic=x", &format!("{json}{writer}")), 422),
        (api("POST", "/transactions", &format!("{json}{writer}idempotency-key: a b\r\n")), 400),
        (api("GET", "/transactions", &format!("{json}{writer}")), 400),
        ("POST /api/v1/transactions HTTP/1.1\r\n".to_owned(), 400),
    ]
}

/// A body with the headers that say how long it is.
fn framed(body: &str) -> [(String, String); 2] {
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    [
        (format!("content-length: {}\r\n\r\n", body.len()), body.to_owned()),
        ("transfer-encoding: chunked\r\n\r\n".to_owned(), chunked),
    ]
}

/// Sends the head, then the body 10 ms later or as soon as the answer begins, and asks again, for every
/// early refusal.
async fn keeps<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) {
    for (head, status) in early() {
        for (length, body) in framed(BODY) {
            let shown = head.lines().next().unwrap_or_default().to_owned();
            wire.send(format!("{head}{length}")).await;
            wire.pause().await;
            wire.send(&body).await;
            let context = format!("{shown} {length:?}");
            let answer = wire.answer().await.unwrap_or_else(|| panic!("{context}: no answer"));
            assert_eq!(answer.status, status, "{context}: {answer:?}");
            assert!(!answer.closes(), "{context}: {answer:?}");
            answer.code();
            wire.asks_again(&context).await;
        }
    }
}

#[tokio::test]
async fn after_an_early_refusal_the_next_request_is_answered() {
    let server = server(guarded()).await;
    let mut wire = Wire::new(server.connect().await);
    keeps(&mut wire).await;
    server.end().await;
}

#[tokio::test]
async fn after_an_early_refusal_the_next_request_is_answered_over_tls() {
    let (pair, folder) = (Pair::new(), tempfile::tempdir().expect("a folder"));
    let (certificate, key) = pair.write(folder.path());
    let files = daybook_server::tls::Files { certificate, key };
    let (tls, _) = daybook_server::tls::Tls::open(files).expect("good files");
    let tls = std::sync::Arc::new(tls);
    let server = serving(guarded(), |tcp| daybook_server::Listener::with_tls(tcp, tls)).await;
    let name = ServerName::try_from("localhost").expect("a name");
    let client = TlsConnector::from(pair.client(&[&TLS13], &[]));
    let stream = client.connect(name, server.connect().await).await.expect("TLS");
    keeps(&mut Wire::new(stream)).await;
    server.end().await;
}

/// A client that sends its body only once it has the answer has said how long it is, so that the next
/// request is found.
#[tokio::test]
async fn a_body_that_comes_after_the_answer_is_passed_over() {
    let server = server(guarded()).await;
    let mut wire = Wire::new(server.connect().await);
    for (head, status) in early() {
        wire.send(format!("{head}content-length: {}\r\n\r\n", BODY.len())).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, false), "{head}: {answer:?}");
        wire.send(BODY).await;
        wire.asks_again(&head).await;
    }
    server.end().await;
}

/// How long the rest of a chunked body is nobody knows; when it does not come, the answer says so.
#[tokio::test]
async fn a_body_whose_end_is_not_known_ends_the_connection() {
    let settings = Settings { read_timeout: Duration::from_millis(500), ..guarded() };
    let server = server(settings).await;
    for (head, status) in early() {
        let mut wire = Wire::new(server.connect().await);
        wire.send(format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, true), "{head}: {answer:?}");
        assert!(wire.ends().await, "{head}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_body_that_never_ends_ends_the_connection() {
    let settings = Settings { read_timeout: Duration::from_millis(500), ..guarded() };
    let server = server(settings).await;
    for (length, part) in [
        ("transfer-encoding: chunked\r\n\r\n", "1\r\na\r\n".to_owned()),
        ("transfer-encoding: chunked\r\n\r\n", format!("8000\r\n{}\r\n", "a".repeat(0x8000))),
        ("content-length: 10000000000\r\n\r\n", "a".repeat(0x8000)),
        ("content-length: 900000\r\n\r\n", "a".to_owned()),
    ] {
        let (mut answers, mut stream) = tokio::io::split(server.connect().await);
        let (head, status) = early().swap_remove(0);
        stream.write_all(format!("{head}{length}").as_bytes()).await.expect("sent");
        let dripping = tokio::spawn(async move {
            while stream.write_all(part.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut answer = Vec::new();
        // It may be a reset, because what still comes is not read.
        drop(timeout(PATIENCE, answers.read_to_end(&mut answer)).await.expect("the end"));
        let answer = String::from_utf8(answer).expect("a text").to_ascii_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{length}: {answer}");
        let is_small = length.contains("900000");
        assert_eq!(answer.contains("connection: close"), !is_small, "{length}: {answer}");
        timeout(PATIENCE, dripping).await.expect("the connection is gone").expect("no panic");
    }
    server.end().await;
}

#[tokio::test]
async fn a_small_body_that_never_comes_ends_the_connection() {
    let settings = Settings { read_timeout: Duration::from_millis(500), ..guarded() };
    let server = server(settings).await;
    let mut wire = Wire::new(server.connect().await);
    let (head, status) = early().swap_remove(0);
    wire.send(format!("{head}content-length: 100\r\n\r\n")).await;
    let answer = wire.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.closes()), (status, false), "{answer:?}");
    assert!(wire.ends().await);
    server.end().await;
}

#[tokio::test]
async fn a_server_that_stops_waits_for_no_forgotten_body() {
    let settings = Settings { read_timeout: PATIENCE * 10, drain: PATIENCE * 10, ..guarded() };
    let server = server(settings).await;
    let mut wire = Wire::new(server.connect().await);
    let (head, _) = early().swap_remove(0);
    wire.send(format!("{head}content-length: 100\r\n\r\n")).await;
    wire.answer().await.expect("an answer");
    server.end().await;
}

#[tokio::test]
async fn who_waits_to_be_told_to_send_is_told_that_the_connection_ends() {
    let server = server(guarded()).await;
    for (head, status) in early() {
        let mut wire = Wire::new(server.connect().await);
        wire.send(format!("{head}expect: 100-continue\r\ncontent-length: 100\r\n\r\n")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, true), "{head}: {answer:?}");
        assert!(wire.ends().await, "{head}");
    }
    // Who is right is told to send.
    let mut wire = Wire::new(server.connect().await);
    let token = service_token(&[Scope::FeedWrite]);
    wire.send(format!(
        "POST /api/v1/transactions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
         authorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    ))
    .await;
    assert_eq!(wire.answer().await.expect("an answer").status, 100);
    wire.send(BODY).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 201);
    wire.asks_again("after 100").await;
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_at_once() {
    let server = server(Settings::default()).await;
    for (path, length) in [
        ("/api/v1/transactions", "10000000000"),
        ("/api/v1/transactions/batch", "10000000000"),
        ("/api/v1/transactions", "9223372036854775807"),
        ("/api/v1/accounts", "1048577"),
        ("/api/v1/transfers/batch", "16777217"),
    ] {
        let mut wire = Wire::new(server.connect().await);
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
        // No byte of the body is sent, so nothing is waited for.
        wire.send(format!("{head}content-length: {length}\r\n\r\n")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.closes()), (413, true), "{length}: {answer:?}");
        assert_eq!(answer.code(), "BODY_TOO_LARGE");
    }
    server.end().await;
}

#[tokio::test]
async fn a_chunked_body_that_is_a_little_too_large_keeps_the_connection() {
    let settings = Settings { body_max: 1_000, ..Settings::default() };
    let server = server(settings).await;
    let mut wire = Wire::new(server.connect().await);
    let head = "POST /api/v1/transactions HTTP/1.1\r\nhost: localhost\r\n";
    for (length, body) in framed(&" ".repeat(100_000)) {
        wire.send(format!("{head}{length}{body}")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.closes()), (413, false), "{answer:?}");
        wire.asks_again(&length).await;
    }
    server.end().await;
}

#[tokio::test]
async fn http_1_0_stays_only_where_it_asks_to() {
    let server = server(Settings::default()).await;
    let get = "GET /livez HTTP/1.0\r\n";
    let bad = "POST /api/v1/nothing HTTP/1.0\r\ncontent-length: 1\r\n";
    let large = "POST /api/v1/nothing HTTP/1.0\r\ncontent-length: 10000000\r\n";
    // The description of the API is large enough to be compressed, to a length that is not known.
    let zipped = "GET /openapi.json HTTP/1.0\r\naccept-encoding: gzip\r\n";
    for (head, body, status, stays) in [
        (get, "", 200, true),
        (bad, "x", 404, true),
        (large, "", 404, false),
        (zipped, "", 200, false),
    ] {
        for (asks, connection) in
            [(false, ""), (true, "connection: keep-alive\r\n"), (false, "connection: close\r\n")]
        {
            let mut wire = Wire::new(server.connect().await);
            wire.send(format!("{head}{connection}\r\n")).await;
            wire.pause().await;
            wire.send(body).await;
            let answer = wire.answer().await.expect("an answer");
            let context = format!("{head} {connection}");
            assert_eq!(answer.status, status, "{context}");
            if asks && stays {
                assert_eq!(answer.header("connection"), Some("keep-alive"), "{context}");
                wire.send(format!("{get}connection: keep-alive\r\n\r\n")).await;
                assert_eq!(wire.answer().await.expect("another answer").status, 200, "{context}");
            } else {
                assert_eq!(answer.header("connection"), Some("close"), "{context}: {answer:?}");
                if head == large {
                    continue;
                }
                wire.read.clear();
                let rest = async { while wire.more().await {} };
                timeout(PATIENCE, rest).await.expect("the end");
            }
        }
    }
    server.end().await;
}

#[tokio::test]
async fn http_1_1_names_one_host() {
    let server = server(Settings::default()).await;
    for (hosts, status, code) in [
        ("", 400, "INVALID_HEADER"),
        ("host: localhost\r\nhost: localhost\r\n", 400, "INVALID_HEADER"),
        ("host: localhost\r\nhost: evil.example\r\n", 400, "INVALID_HEADER"),
        ("host: local host\r\n", 400, "INVALID_HEADER"),
        ("host: ann@localhost\r\n", 400, "INVALID_HEADER"),
        ("host: localhost:8000\r\n", 200, ""),
        ("host: [::1]:8000\r\n", 200, ""),
        ("host: evil.example\r\n", 403, "FOREIGN_HOST"),
        // It may be empty; a development server answers to names of this machine only.
        ("host:\r\n", 403, "FOREIGN_HOST"),
    ] {
        let mut wire = Wire::new(server.connect().await);
        wire.send(format!("GET /livez HTTP/1.1\r\n{hosts}\r\n")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{hosts:?}: {answer:?}");
        if status != 200 {
            assert_eq!(answer.code(), code, "{hosts:?}");
        }
        wire.asks_again(hosts).await;
    }
    server.end().await;
    let server = serving(guarded(), daybook_server::Listener::from).await;
    let mut wire = Wire::new(server.connect().await);
    wire.send("GET /livez HTTP/1.1\r\nhost:\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status, 200);
    server.end().await;
}

#[tokio::test]
async fn what_is_no_http_is_told_why() {
    let server = server(Settings::default()).await;
    let get = "GET /livez HTTP/1.1\r\nhost: localhost\r\n";
    let long = format!("{get}x-a: {}\r\n\r\n", "b".repeat(80 * 1024));
    let many = format!("{get}{}\r\n", "x-a: b\r\n".repeat(110));
    for (request, status, code) in [
        ("\u{1}\u{2}\u{3}\r\n\r\n", 400, "MALFORMED_REQUEST"),
        ("GET /livez HTTP/7.0\r\n\r\n", 400, "MALFORMED_REQUEST"),
        ("GET  /livez HTTP/1.1\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (&format!("{get}content-length: x\r\n\r\n"), 400, "MALFORMED_REQUEST"),
        (&format!("{get}bad header: x\r\n\r\n"), 400, "MALFORMED_REQUEST"),
        (&format!("{get}content-length: 1\r\ncontent-length: 2\r\n\r\n"), 400, "MALFORMED_REQUEST"),
        (&format!("{get}transfer-encoding: x\r\n\r\n"), 400, "MALFORMED_REQUEST"),
        (&long, 431, "HEAD_TOO_LARGE"),
        (&many, 431, "HEAD_TOO_LARGE"),
    ] {
        // Also after a request that was well.
        for before in ["", NEXT] {
            let mut wire = Wire::new(server.connect().await);
            if !before.is_empty() {
                wire.send(before).await;
                assert_eq!(wire.answer().await.expect("an answer").status, 200);
            }
            wire.send(request).await;
            let answer = wire.answer().await.expect("an answer");
            let shown = format!("{request:.60}");
            assert_eq!(answer.status, status, "{shown}: {answer:?}");
            assert_eq!(answer.code(), code, "{shown}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{shown}");
            // A head that is only too large has an end, behind which the next one begins.
            if answer.closes() {
                assert!(wire.ends().await, "{shown}");
            } else {
                assert_eq!(status, 431, "{shown}");
                wire.asks_again(&shown).await;
            }
        }
    }
    server.end().await;
}

#[tokio::test]
async fn a_slash_at_the_end_is_the_same_resource() {
    let server = server(Settings::default()).await;
    let mut wire = Wire::new(server.connect().await);
    for (line, body, status) in [
        ("POST /api/v1/transactions/", BODY, 201),
        ("GET /api/v1/transactions/?user_id=ann", "", 200),
        ("GET /livez/", "", 200),
        ("GET /api/v1/health/", "", 200),
        ("GET /docs/", "", 200),
        ("GET /redoc/", "", 200),
        ("GET /api/v1/nothing/", "", 404),
        ("PUT /api/v1/transactions/", "", 405),
    ] {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        wire.send(format!("{head}{body}")).await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        wire.asks_again(line).await;
    }
    server.end().await;
}

#[tokio::test]
async fn after_early_refusals_an_http_2_connection_goes_on() {
    let server = server(guarded()).await;
    let (client, _working) = h2(server.connect().await).await;
    let mut client = client.ready().await.expect("ready");
    for path in ["/api/v1/transactions", "/api/v1/nothing", "/livez"].repeat(100) {
        let request = http::Request::post(format!("http://localhost{path}")).body(());
        let (answer, mut body) =
            client.send_request(request.expect("a request"), false).expect("sent");
        let answer = timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
        assert!(answer.status().is_client_error(), "{path}");
        assert!(answer.headers().get("connection").is_none());
        // The stream may be over for the server, the connection is not.
        drop(body.send_data(bytes::Bytes::from_static(BODY.as_bytes()), true));
        client = client.ready().await.expect("the connection stays");
    }
    let request = http::Request::get("http://localhost/livez").body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    server.end().await;
}

#[tokio::test]
async fn a_body_of_http_2_that_is_too_large_is_read_so_that_its_answer_is_heard() {
    let server = server(Settings::default()).await;
    let (client, _working) = h2(server.connect().await).await;
    let mut client = client.ready().await.expect("ready");
    let bytes = 5 * 1024 * 1024;
    for path in ["/api/v1/transactions", "/api/v1/nothing"] {
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/json")
            .header("content-length", bytes);
        let (answer, mut body) =
            client.send_request(request.body(()).expect("a request"), false).expect("sent");
        let mut left = bytes;
        while left > 0 {
            body.reserve_capacity(left.min(64 * 1024));
            let capacity = poll_fn(|context| body.poll_capacity(context));
            let capacity = timeout(PATIENCE, capacity).await.expect("in time");
            let part = capacity.expect("the stream goes on").expect("it is not reset").min(left);
            left -= part;
            body.send_data(vec![b' '; part].into(), left == 0).expect("it is not reset");
        }
        let answer = timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
        assert!([413, 404].contains(&answer.status().as_u16()), "{path}: {answer:?}");
        client = client.ready().await.expect("the connection stays");
    }
    server.end().await;
}

#[tokio::test]
async fn a_head_of_http_2_that_is_too_large_is_told_so() {
    let server = server(Settings::default()).await;
    let (client, _working) = h2(server.connect().await).await;
    let mut client = client.ready().await.expect("ready");
    let request = http::Request::get("http://localhost/livez").header("x-a", "b".repeat(70_000));
    let (answer, _) =
        client.send_request(request.body(()).expect("a request"), true).expect("sent");
    let mut answer = answer.await.expect("an answer");
    assert_eq!(answer.status(), 431);
    let body = answer.body_mut().data().await.expect("a body").expect("read");
    assert!(String::from_utf8_lossy(&body).contains("HEAD_TOO_LARGE"), "{body:?}");
    server.end().await;
}
