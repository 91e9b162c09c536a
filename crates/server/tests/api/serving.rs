//! The accept loop: real sockets, slow clients, and an orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use daybook_server::app::{App, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::Place;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    _place: Place,
}

async fn server(settings: Settings) -> Server {
    let place = Place::new().await;
    let store = place.open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (app, stop) = (App::new(store, settings).expect("an app"), CancellationToken::new());
    let serving = tokio::spawn(daybook_server::serve(vec![listener], app, stop.clone()));
    Server { address, stop, serving, _place: place }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends and reads until the server closes.
    async fn say(&self, text: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text).await.expect("sent");
        read_all(&mut stream).await
    }

    async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.serving).await;
        ended.expect("in time").expect("no panic").expect("no error");
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    read.await.expect("the server closes").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

const BODY: &str = r#"{"user_id":"ann","transaction_type":"other","amount":1}"#;

fn post(body: &str, length: usize) -> String {
    format!(
        "POST /api/v1/transactions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
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
    let server = server(Settings { rate: Some(rate), ..Settings::default() }).await;
    let request = "GET /nowhere HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.9\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 404");
    drop(stream);
    let close = request.replace("host: x", "host: x\r\nconnection: close");
    let answer = server.say(close.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn a_client_that_sends_no_head_is_let_go() {
    let settings = Settings { read_timeout: Duration::from_millis(100), ..Settings::default() };
    let server = server(settings).await;
    for beginning in ["", "PR", "GET / HT", "GET /livez HTTP/1.1\r\nhost: x\r\n"] {
        let answer = server.say(beginning.as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{beginning}: {answer}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let settings = Settings { read_timeout: Duration::from_millis(100), ..Settings::default() };
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
