//! An HTTP/1.1 client that keeps its connection open.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A server that is silent for longer hangs.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: String,
    body: String,
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: String::new(), body: String::new() }
    }

    pub fn create(item: &Value) -> Self {
        Self::json("POST", "/api/v1/transactions", item)
    }

    pub fn batch(items: &[Value]) -> Self {
        Self::json("POST", "/api/v1/transactions/batch", &Value::from(items))
    }

    pub fn post(path: impl AsRef<str>, body: &Value) -> Self {
        Self::json("POST", path.as_ref(), body)
    }

    pub fn patch(id: &str, change: &Value) -> Self {
        Self::json("PATCH", &format!("/api/v1/transactions/{id}"), change)
    }

    fn json(method: &'static str, path: &str, body: &Value) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self { method, path: path.to_owned(), headers, body: body.to_string() }
    }

    /// The same under an idempotency key.
    #[must_use]
    pub fn keyed(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    /// The same, which the server is to do later.
    #[must_use]
    pub fn later(self) -> Self {
        self.with("prefer", "respond-async")
    }

    /// The same, whose body is only sent once the server asks for it.
    #[must_use]
    pub fn expecting(self) -> Self {
        self.with("expect", "100-continue")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn head(&self) -> String {
        let Self { method, path, headers, body } = self;
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n"
        )
    }

    pub fn body(&self) -> &str {
        &self.body
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let first = line(from)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {first}")))?;
        let mut headers = BTreeMap::new();
        loop {
            let header = line(from)?;
            let Some((name, value)) = header.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Self { status, headers, body })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Expects to be told to come back later, and says the reason's code.
    pub fn come_back_later(&self) -> String {
        assert_eq!(self.status, 503, "{self:?}");
        let wait = self.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(wait.is_some_and(|seconds| seconds > 0), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let code = self.json()["code"].as_str().map(str::to_owned);
        code.unwrap_or_else(|| panic!("no code: {self:?}"))
    }
}

/// A whole line without its end; a line that breaks off is an error.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let whole = line.strip_suffix("\r\n").map(str::to_owned);
    whole.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

pub struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None }
    }

    /// Sends a request once and waits for its answer.
    ///
    /// # Errors
    /// When the connection broke: what became of the request is not known then.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let answer = self.exchange(request);
        let closes = |answer: &Answer| answer.header("connection") == Some("close");
        if answer.as_ref().map_or(true, closes) {
            self.connection = None;
        }
        answer
    }

    /// The same where the connection must not break.
    pub fn ask(&mut self, request: &Request) -> Answer {
        self.send(request).unwrap_or_else(|error| panic!("{error}: {}", request.head()))
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(BufReader::new(connect(&self.address)?)),
        };
        let message = request.head() + request.body();
        let sent = connection.get_mut().write_all(message.as_bytes());
        // A server may answer and close before it has heard all.
        let answer = Answer::read(connection);
        answer.or_else(|error| sent.and(Err(error)))
    }

    /// All items of a user's feed, read with cursors.
    pub fn feed(&mut self, user: &str) -> Vec<Value> {
        self.list(&format!("/api/v1/transactions?user_id={user}&limit=100"))
    }

    /// All items of a list, read with cursors.
    pub fn list(&mut self, first: &str) -> Vec<Value> {
        let (mut path, mut items) = (first.to_owned(), Vec::new());
        loop {
            let answer = self.ask(&Request::get(path));
            assert_eq!(answer.status, 200, "{answer:?}");
            let mut page = answer.json();
            let Value::Array(found) = page["items"].take() else { panic!("no items: {answer:?}") };
            items.extend(found);
            let Some(cursor) = page["next_cursor"].as_str() else { return items };
            path = format!("{first}&cursor={cursor}");
        }
    }
}

/// Opens a connection that fails rather than hangs.
pub fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
