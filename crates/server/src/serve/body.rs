//! What is left of a request's body when its answer is there: a refusal does not wait for a body that it
//! does not need. The next request on the connection begins where the body ends, so a small rest is read
//! and forgotten, and of a large one the answer says that the connection ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Version, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest rest that is read so that the connection can be used again: as much as a body about one
/// item may have.
const REST_BYTES_MAX: u64 = 1024 * 1024;
/// How long an answer waits for the rest. Clients that are still sending take an early answer for the
/// end of the connection, so it is worth a moment, but no more: who sends a head alone waits for it.
const ANSWER_HELD_MAX: Duration = Duration::from_millis(250);
/// How much is read and forgotten of a body after whose answer the connection ends, so that a client that
/// only listens once it has sent everything hears the answer.
const FORGOTTEN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long a connection that ends waits for more of such a body.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// A request's body, which leaves its rest behind when it is dropped.
pub struct Tracked {
    body: Option<Incoming>,
    is_begun: bool,
    is_ended: bool,
    left: Arc<Mutex<Left>>,
}

#[derive(Default)]
enum Left {
    /// The handler has it still.
    #[default]
    Unknown,
    Nothing,
    Rest {
        body: Incoming,
        is_begun: bool,
    },
}

impl Tracked {
    fn new(body: Incoming, left: Arc<Mutex<Left>>) -> Self {
        Self { body: Some(body), is_begun: false, is_ended: false, left }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        self.is_begun = true;
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.is_ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended || self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let is_over = self.is_end_stream();
        let rest = self.body.take().filter(|_| !is_over);
        *self.left.lock() = match rest {
            Some(body) => Left::Rest { body, is_begun: self.is_begun },
            None => Left::Nothing,
        };
    }
}

/// The rest of a request's body.
pub struct Rest {
    left: Arc<Mutex<Left>>,
    is_multiplexed: bool,
    /// The client sends the body when it is told to (RFC 9110, 10.1.1).
    expects: bool,
    /// The client sends nothing after it.
    is_last: bool,
}

/// Whether the connection can be used again after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Stays,
    Ends,
}

impl Rest {
    /// Follows the body of a request, when it has one.
    pub fn of(request: Request<Incoming>) -> (Request<axum::body::Body>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request.map(axum::body::Body::new), None);
        }
        let left = Arc::new(Mutex::new(Left::default()));
        let rest = Self {
            left: Arc::clone(&left),
            is_multiplexed: request.version() == Version::HTTP_2,
            expects: request.headers().contains_key(header::EXPECT),
            is_last: leaves(&request),
        };
        let request = request.map(|body| axum::body::Body::new(Tracked::new(body, left)));
        (request, Some(rest))
    }

    /// Reads a small rest, or says that the connection ends; the answer is there. What comes later than
    /// the answer is read by a task, for at most as long as a body may take.
    pub async fn settle(self, readers: &Readers) -> Connection {
        let (mut body, is_begun) = match std::mem::take(&mut *self.left.lock()) {
            Left::Nothing => return Connection::Stays,
            Left::Unknown => return Connection::Ends,
            Left::Rest { body, is_begun } => (body, is_begun),
        };
        let length = body.size_hint().exact();
        if self.is_multiplexed {
            // Dropping it ends the stream; some clients then forget the answer that they have.
            if length.is_none_or(|length| length <= REST_BYTES_MAX) {
                readers.read(body, REST_BYTES_MAX);
            } else {
                readers.linger(body);
            }
            return Connection::Stays;
        }
        if self.expects && !is_begun {
            return Connection::Ends;
        }
        if self.is_last {
            readers.linger(body);
            return Connection::Ends;
        }
        let is_small = length.is_some_and(|length| length <= REST_BYTES_MAX);
        if is_small || length.is_none() {
            let limit = ANSWER_HELD_MAX.min(readers.limit);
            let held = timeout(limit, forget(&mut body, REST_BYTES_MAX, limit));
            if held.await == Ok(true) {
                return Connection::Stays;
            }
        }
        if is_small {
            readers.read(body, REST_BYTES_MAX);
            return Connection::Stays;
        }
        readers.linger(body);
        Connection::Ends
    }
}

/// Reads rests after their answers.
#[derive(Clone)]
pub struct Readers {
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    /// How long a rest may take.
    pub limit: Duration,
}

impl Readers {
    /// Reads what comes before the next request.
    fn read(&self, body: Incoming, max: u64) {
        self.spawn(body, max, self.limit);
    }

    /// Reads what comes before the connection ends, as long as something comes: one that is closed while
    /// its client sends may be reset, and the client never sees the answer.
    fn linger(&self, body: Incoming) {
        self.spawn(body, FORGOTTEN_BYTES_MAX, SILENCE_MAX.min(self.limit));
    }

    fn spawn(&self, mut body: Incoming, max: u64, silence: Duration) {
        let Self { stop, limit, .. } = self.clone();
        self.tasks.spawn(async move {
            let reading = timeout(limit, forget(&mut body, max, silence));
            // Either way the body is dropped, which is all that is left to do.
            let _ended_or_not = stop.run_until_cancelled(reading).await;
        });
    }
}

/// Reads up to so many bytes, as long as they do not stop coming; says whether the body ended.
async fn forget(body: &mut Incoming, max: u64, silence: Duration) -> bool {
    let mut read = 0;
    loop {
        match timeout(silence, body.frame()).await {
            Err(_elapsed) => return false,
            // A body that broke has broken its connection.
            Ok(None | Some(Err(_))) => return true,
            Ok(Some(Ok(frame))) => {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                if read > max {
                    return body.is_end_stream();
                }
            }
        }
    }
}

/// Whether the connection ends after a request of HTTP/1 because its client says so, or says nothing in
/// HTTP/1.0.
pub fn leaves<B>(request: &Request<B>) -> bool {
    let says = |wanted: &str| {
        let values = request.headers().get_all(header::CONNECTION).iter();
        let mut tokens = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    match request.version() {
        Version::HTTP_10 => !says("keep-alive") || says("close"),
        Version::HTTP_11 => says("close"),
        _ => false,
    }
}
