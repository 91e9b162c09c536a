//! The accept loop: real sockets, slow clients, and an orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use daybook_server::Listener;
use daybook_server::app::{App, Settings};
use daybook_server::http::Names;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::Place;

pub struct Server {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    _place: Place,
}

pub async fn server(settings: Settings) -> Server {
    serving(settings, Listener::from).await
}

/// A server whose port is made so.
pub async fn serving(settings: Settings, port: impl FnOnce(TcpListener) -> Listener) -> Server {
    let place = Place::new().await;
    let store = place.open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (app, stop) = (App::new(store, settings).expect("an app"), CancellationToken::new());
    let serving = tokio::spawn(daybook_server::serve(vec![port(listener)], app, stop.clone()));
    Server { address, stop, serving, _place: place }
}

impl Server {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends and reads until the server closes.
    pub async fn say(&self, text: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text).await.expect("sent");
        read_all(&mut stream).await
    }

    pub async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.serving).await;
        ended.expect("in time").expect("no panic").expect("no error");
    }
}

pub async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    // A server that closes before it has read everything resets the connection after its answer.
    if let Err(error) = read.await.expect("the server closes") {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub const BODY: &str = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;

pub fn post(body: &str, length: usize) -> String {
    format!(
        "POST /api/v1/transactions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_request_over_a_socket_is_answered() {
    let server = server(Settings::default()).await;
    let answer = server.say(post(BODY, BODY.len()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn a_request_counts_for_the_address_of_its_connection() {
    let (mut rate, _) = crate::rate::rate(60);
    rate.address.reads = 1;
    let settings = Settings { rate: Some(rate), names: Names::Any, ..Settings::default() };
    let server = server(settings).await;
    let request =
        "GET /nowhere HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 203.0.113.9\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 404");
    drop(stream);
    let close = request.replace("host: localhost", "host: localhost\r\nconnection: close");
    let answer = server.say(close.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn a_client_that_sends_no_head_is_let_go() {
    let settings = Settings { read_timeout: Duration::from_millis(100), ..Settings::default() };
    let server = server(settings).await;
    for beginning in ["", "PR", "GET / HT", "GET /livez HTTP/1.1\r\nhost: localhost\r\n"] {
        let answer = server.say(beginning.as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{beginning}: {answer}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let settings = Settings { read_timeout: Duration::from_millis(500), ..Settings::default() };
    let server = server(settings).await;
    let answer = server.say(post("{", 100).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("REQUEST_TIMEOUT"));
    server.end().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let settings = Settings { request_timeout: Duration::from_millis(50), ..Settings::default() };
    let server = server(settings).await;
    let answer = server.say(post("{", 100).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("TIMED_OUT") && answer.contains("retry-after: 1"), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn twenty_megabytes_hear_their_answer() {
    let server = server(Settings::default()).await;
    let body = " ".repeat(20 * 1024 * 1024);
    let answer = server.say(post(&body, body.len()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("BODY_TOO_LARGE"));
    server.end().await;
}

#[tokio::test]
async fn what_was_accepted_is_finished_before_the_end() {
    let server = server(Settings::default()).await;
    let mut stream = server.connect().await;
    let whole = post(BODY, BODY.len());
    let (head, rest) = whole.split_at(whole.len() - 10);
    stream.write_all(head.as_bytes()).await.expect("sent");
    // An answer on another connection shows that the loop runs; the first one is in work by then.
    let other = server.say(post(BODY, BODY.len()).as_bytes()).await;
    assert!(other.starts_with("HTTP/1.1 201 "), "{other}");
    server.stop.cancel();
    stream.write_all(rest.as_bytes()).await.expect("sent");
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let address = server.address;
    server.end().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_stays_does_not_hold_the_end() {
    let settings = Settings { drain: Duration::from_millis(100), ..Settings::default() };
    let server = server(settings).await;
    let mut stream = server.connect().await;
    stream.write_all(post("{", 100).as_bytes()).await.expect("sent");
    server.say(post(BODY, BODY.len()).as_bytes()).await;
    server.end().await;
}

#[tokio::test]
async fn http_2_without_tls_is_spoken() {
    let server = server(Settings::default()).await;
    let mut stream = server.connect().await;
    // The preface (RFC 9113, 3.4) and an empty SETTINGS frame.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("sent");
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(frame[3], 4, "the server's SETTINGS come first");
    drop(stream);
    server.end().await;
}

/// A server that soon loses patience.
fn impatient() -> Settings {
    Settings { read_timeout: Duration::from_millis(300), ..Settings::default() }
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let server = server(Settings { read_timeout: Duration::from_millis(300), ..impatient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n").await.expect("sent");
    let dripping = async {
        // Each byte comes in time; all of them together do not.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), dripping).await.expect("the server closes");
    server.end().await;
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let server = server(Settings { read_timeout: Duration::from_millis(300), ..impatient() }).await;
    let (mut answers, mut stream) = server.connect().await.into_split();
    stream.write_all(post("", 1_000).as_bytes()).await.expect("sent");
    let dripping = tokio::spawn(async move {
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let answer = read_all(&mut answers).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    dripping.abort();
    server.end().await;
}

#[tokio::test]
async fn heads_have_limits() {
    let server = server(Settings::default()).await;
    let get = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
    };
    let headers = |count: usize| "x-a: b\r\n".repeat(count);
    let long = |bytes: usize| format!("x-a: {}\r\n", "b".repeat(bytes));
    let query = |bytes: usize| format!("/livez?{}", "a".repeat(bytes));
    for (request, status) in [
        (get("/livez", ""), "200"),
        (get("/livez", &headers(90)), "200"),
        (get("/livez", &headers(110)), "431"),
        (get("/livez", &long(32 * 1024)), "200"),
        (get("/livez", &long(80 * 1024)), "431"),
        (get(&query(32 * 1024), ""), "200"),
        (get(&query(80 * 1024), ""), "431"),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n".to_owned(), "400"),
        (format!("{}transfer-encoding: x\r\n\r\n", post("", 5).trim_end()), "400"),
    ] {
        let answer = server.say(request.as_bytes()).await;
        let shown = format!("{} bytes, {:.60}", request.len(), request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {answer:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let server = server(Settings { connections_max: 4, ..Settings::default() }).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(server.connect().await);
    }
    // All places are taken by connections that say nothing.
    let mut late = server.connect().await;
    late.write_all(post(BODY, BODY.len()).as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(200), late.read_exact(&mut answer));
    assert!(early.await.is_err(), "nobody is served beyond the limit");
    drop(held);
    let answer = read_all(&mut late).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn one_address_does_not_get_all_connections() {
    let server = server(Settings { connections_each_max: 3, ..Settings::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(server.connect().await);
    }
    let mut one_more = server.connect().await;
    assert_eq!(one_more.read(&mut [0; 1]).await.expect("it is ended"), 0);
    drop(held.pop());
    // As soon as one has ended, another may begin.
    loop {
        let mut stream = server.connect().await;
        if stream.write_all(post(BODY, BODY.len()).as_bytes()).await.is_err() {
            continue;
        }
        let answer = read_all(&mut stream).await;
        if !answer.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
            break;
        }
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let server = server(impatient()).await;
    let mut stream = server.connect().await;
    let get = "GET /redoc/redoc-2.5.4.standalone.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // More answers than any buffer on the way holds, and none is read.
    let sending = async { while stream.write_all(get.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), sending).await.expect("the server closes");
    server.end().await;
}

/// A connection of HTTP/2, and the task that works on it.
pub async fn h2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (h2::client::SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    (client, tokio::spawn(connection))
}

#[tokio::test]
async fn heads_of_http_2_have_limits() {
    let server = server(Settings::default()).await;
    let (client, _working) = h2(server.connect().await).await;
    let mut client = client.ready().await.expect("ready");
    for (bytes, status) in [(1_000, 200), (60_000, 200), (70_000, 431)] {
        let request = http::Request::get("http://localhost/livez");
        let request = request.header("x-a", "b".repeat(bytes)).body(()).expect("a request");
        let (answer, _) = client.send_request(request, true).expect("sent");
        let answer = answer.await.map(|answer| answer.status().as_u16());
        assert!(matches!(answer, Ok(found) if found == status), "{bytes}: {answer:?}");
        client = client.ready().await.expect("ready");
    }
    assert_eq!(client.current_max_send_streams(), 256);
    server.end().await;
}

#[tokio::test]
async fn a_flood_of_requests_taken_back_ends_the_connection() {
    let server = server(Settings::default()).await;
    let (mut client, working) = h2(server.connect().await).await;
    for _ in 0..10_000 {
        let request = http::Request::get("http://localhost/livez").body(());
        client = match client.ready().await {
            Ok(client) => client,
            Err(_) => break,
        };
        let Ok((answer, mut stream)) = client.send_request(request.expect("a request"), false)
        else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    let ended = tokio::time::timeout(Duration::from_secs(30), working).await.expect("it ends");
    let error = ended.expect("no panic").expect_err("the server complains");
    // The reason may be lost when the server closes before it has read the rest of the flood.
    let calm = error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
    assert!(calm || error.is_io(), "{error}");
    let answer = server.say(post(BODY, BODY.len()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "others are served: {answer}");
    server.end().await;
}

#[tokio::test]
async fn an_http_2_connection_that_asks_nothing_any_more_is_ended() {
    let server = server(impatient()).await;
    let (client, working) = h2(server.connect().await).await;
    let mut client = client.ready().await.expect("ready");
    let request = http::Request::get("http://localhost/livez").body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    let ended = tokio::time::timeout(Duration::from_secs(10), working).await.expect("it ends");
    ended.expect("no panic").expect("no error: the server says goodbye");
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn a_server_does_what_an_earlier_one_left() {
    let api = crate::support::ann_and_bob().await;
    let body = crate::support::transfer(1, 2, "1").to_string();
    let left = api.post("/transfers", body).header("prefer", "respond-async").expect(202).await;
    let left = left.json()["id"].as_str().expect("an id").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let stop = CancellationToken::new();
    let serving =
        tokio::spawn(daybook_server::serve(vec![listener], api.app.clone(), stop.clone()));
    api.until_status(&left, "complete").await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
    ended.expect("in time").expect("no panic").expect("no error");
}
