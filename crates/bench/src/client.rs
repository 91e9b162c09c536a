//! Load over HTTP/1.1. All keep-alive connections share one thread and reuse their buffers, so
//! that the generator takes as little as it can of the machine that it measures. The loop is
//! closed: a connection sends its next request when it has the answer to the last one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer that is read: a page or the results of a batch are far below it.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a whole measurement may hang before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much of a refusal is shown.
const EXCERPT_CHARS: usize = 300;

/// When a measurement is over.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this long, following a warm-up of a tenth of it.
    Elapsed(Duration),
    /// When the requests are used up; nothing is warmed up.
    Exhausted,
}

/// Writes the request of this number into an empty buffer, or says that there are no more.
pub trait Requests: FnMut(u64, &mut Vec<u8>) -> bool {}
impl<F: FnMut(u64, &mut Vec<u8>) -> bool> Requests for F {}

/// What a measurement saw.
#[derive(Debug)]
pub struct Measured {
    pub requests: u64,
    pub elapsed: Duration,
    /// In nanoseconds.
    pub latency: Histogram<u64>,
    /// Answers that were no success.
    pub refused: u64,
    pub first_refusal: Option<String>,
}

/// An empty histogram of nanoseconds, exact to a thousandth, from a microsecond to ten minutes.
pub fn latencies() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1_000, 600_000_000_000, 3)?)
}

/// A server's address and how many connections press on it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: SocketAddr,
    /// A second process on the same store, which every other connection presses on.
    pub also: Option<SocketAddr>,
    pub connections: usize,
}

impl Client {
    /// Sends requests over all connections until the measurement is over.
    ///
    /// # Errors
    /// When a connection fails or an answer cannot be read; a refusal is counted, not an error.
    pub fn measure(&self, until: Until, requests: impl Requests) -> Result<Measured> {
        runtime()?.block_on(async {
            let running = tokio::time::timeout(PATIENCE, self.press(until, requests));
            running.await.context("the server stopped answering")?
        })
    }

    async fn press(&self, until: Until, requests: impl Requests) -> Result<Measured> {
        let mut streams = Vec::with_capacity(self.connections);
        let addresses = [self.address, self.also.unwrap_or(self.address)];
        for address in addresses.into_iter().cycle().take(self.connections) {
            streams.push(connect(address).await?);
        }
        let clock = RefCell::new(Clock::start(until, requests)?);
        try_join_all(streams.into_iter().map(|stream| converse(stream, &clock))).await?;
        Ok(clock.into_inner().finish())
    }

    /// Sends one request and returns the status and the body.
    ///
    /// # Errors
    /// When the connection fails or the answer cannot be read.
    pub fn ask(&self, request: &[u8]) -> Result<(u16, String)> {
        let asking = async {
            let mut stream = connect(self.address).await?;
            stream.write_all(request).await?;
            let mut reader = Reader::default();
            let answer = reader.read(&mut stream).await?;
            Ok((answer.status, String::from_utf8_lossy(answer.body).into_owned()))
        };
        runtime()?.block_on(async {
            let asked = tokio::time::timeout(PATIENCE, asking).await;
            asked.context("the server did not answer")?
        })
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One connection: a request, its answer, and again.
async fn converse<R: Requests>(mut stream: TcpStream, clock: &RefCell<Clock<R>>) -> Result<()> {
    let mut request = Vec::new();
    let mut reader = Reader::default();
    loop {
        request.clear();
        if !clock.borrow_mut().next(&mut request) {
            return Ok(());
        }
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let answer = reader.read(&mut stream).await?;
        clock.borrow_mut().answered(sent, &answer);
    }
}

/// What the connections of one measurement share.
struct Clock<R> {
    requests: R,
    sent: u64,
    until: Until,
    from: Instant,
    last: Instant,
    measured: Measured,
}

impl<R: Requests> Clock<R> {
    fn start(until: Until, requests: R) -> Result<Self> {
        let now = Instant::now();
        let from = match until {
            Until::Elapsed(time) => now + time / 10,
            Until::Exhausted => now,
        };
        let measured = Measured {
            requests: 0,
            elapsed: Duration::ZERO,
            latency: latencies()?,
            refused: 0,
            first_refusal: None,
        };
        Ok(Self { requests, sent: 0, until, from, last: from, measured })
    }

    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        match self.until {
            Until::Elapsed(time) if self.from.elapsed() >= time => return false,
            Until::Elapsed(_) | Until::Exhausted => {}
        }
        let number = self.sent;
        self.sent += 1;
        (self.requests)(number, request)
    }

    fn answered(&mut self, sent: Instant, answer: &Answer<'_>) {
        let now = Instant::now();
        let warming = now < self.from;
        let late = matches!(self.until, Until::Elapsed(time) if now - self.from > time);
        if !(200..300).contains(&answer.status) {
            self.measured.refused += 1;
            self.measured.first_refusal.get_or_insert_with(|| {
                let body = String::from_utf8_lossy(answer.body);
                let excerpt: String = body.chars().take(EXCERPT_CHARS).collect();
                format!("{} {excerpt}", answer.status)
            });
        } else if !warming && !late {
            let ns = u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX);
            self.measured.latency.saturating_record(ns);
            self.measured.requests += 1;
            self.last = now;
        }
    }

    fn finish(mut self) -> Measured {
        self.measured.elapsed = match self.until {
            Until::Elapsed(time) => time,
            Until::Exhausted => self.last - self.from,
        };
        self.measured
    }
}

/// An answer, as far as a load generator cares.
struct Answer<'a> {
    status: u16,
    body: &'a [u8],
}

/// Reads answers into one buffer that grows to the largest of them.
#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    async fn read(&mut self, stream: &mut TcpStream) -> Result<Answer<'_>> {
        self.buffer.clear();
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
            self.fill(stream).await?;
        };
        let end = head.length + head.content;
        if end > ANSWER_BYTES_MAX {
            bail!("an answer of {end} bytes is larger than {ANSWER_BYTES_MAX}");
        }
        self.buffer.reserve(end.saturating_sub(self.buffer.len()));
        while self.buffer.len() < end {
            self.fill(stream).await?;
        }
        let body = self.buffer.get(head.length..end).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> Result<()> {
        self.buffer.reserve(8 * 1024);
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(anyhow!("the server closed the connection in the middle of an answer")),
            _ => Ok(()),
        }
    }
}

/// The part of an answer before its body.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: usize,
    content: usize,
}

impl Head {
    /// Reads the head; `None` while it is not complete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = bytes.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head).context("the head of an answer is no text")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3));
        let status: u16 = status.context("an answer is not HTTP/1.1")?.parse()?;
        let mut content = matches!(status, 204 | 304).then_some(0);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                content = Some(value.trim().parse()?);
            }
        }
        let content = content.context("an answer has no Content-Length")?;
        Ok(Some(Self { status, length: end + 4, content }))
    }
}

/// Writes a request that has no body.
pub fn get(path: &str, out: &mut Vec<u8>) {
    get_with(path, "", out);
}

/// The same with further header lines, each ended by CR LF.
pub fn get_with(path: &str, headers: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\n");
    out.extend_from_slice(headers.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a request with a JSON body and further header lines, each ended by CR LF.
pub fn post(path: &str, headers: &str, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"POST ");
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    out.extend_from_slice(headers.as_bytes());
    out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
}

/// Writes a text as the value of a query parameter.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let text = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\nx: y\r\n\r\nbody";
        let head = Head { status: 201, length: text.len() - 4, content: 12 };
        assert_eq!(Head::parse(text).unwrap(), Some(head));
        assert_eq!(Head::parse(&text[..30]).unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"SMTP\r\n\r\n").is_err());
    }

    #[test]
    fn a_value_is_encoded_for_the_query() {
        assert_eq!(encode("a b&é+1"), "a%20b%26%C3%A9%2B1");
    }

    #[test]
    fn every_request_is_sent_once_and_every_refusal_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut served = Vec::new();
            let mut buffer = [0; 1024];
            while served.len() < 5 {
                let read = stream.read(&mut buffer).unwrap();
                served.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                let status = if served.len() == 3 { "503 Busy" } else { "200 OK" };
                // In two pieces, as a network may deliver it.
                stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-").as_bytes()).unwrap();
                stream.write_all(b"length: 2\r\n\r\nok").unwrap();
            }
            served
        });
        let client = Client { address, also: None, connections: 1 };
        let measured = client.measure(Until::Exhausted, |number, out: &mut Vec<u8>| {
            post(&format!("/{number}"), "", b"{}", out);
            number < 5
        });
        let measured = measured.unwrap();
        assert_eq!((measured.requests, measured.refused), (4, 1));
        assert_eq!(measured.first_refusal.as_deref(), Some("503 ok"));
        let served = serving.join().unwrap();
        assert!(served[4].starts_with("POST /4 HTTP/1.1\r\n"), "{served:?}");
    }
}
