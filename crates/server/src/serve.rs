//! The loop that accepts connections, and its orderly end.

mod blank;
mod body;
mod patience;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Version, header};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::addresses::Addresses;
use crate::app::App;
use crate::http::{Entrance, HEAD_BYTES_MAX, OnWire, is_this_machine};
use crate::tls::Tls;
use crate::work::{Auditor, Settler, Verifier};
use blank::Explained;
use body::{Connection, Readers, Rest, leaves};
use patience::Patient;

/// The pause after the system refused to accept, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the counted durations are put into their buckets.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// Requests that one HTTP/2 connection may have in work.
const STREAMS_MAX: u32 = 256;
/// What the library takes of a head of HTTP/2: more than is served, so that a head that is a little too
/// large gets an answer with a reason. Beyond this the answer is a blank 431.
const HEAD_BYTES_READ: u32 = 2 * 64 * 1024;
const _: () = assert!(HEAD_BYTES_READ as usize > HEAD_BYTES_MAX);
/// The most headers of a request.
pub(crate) const HEADERS_MAX: usize = 100;
/// Requests that a client may begin and take back before the server sees them; more end the
/// connection (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// Streams that the server may have to reset because of what the client did wrong; more end the
/// connection (RUSTSEC-2024-0003).
const FAULTS_MAX: usize = 1_024;
/// How many read timeouts an HTTP/2 connection may ask nothing, which the library does not limit. It
/// is then told to end, and after as long again, ended.
const IDLE_TIMEOUTS: u32 = 6;
/// What browsers that came by TLS once keep to, for a year (RFC 6797).
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// A port that connections come in by.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// A port that speaks TLS only.
    #[must_use]
    pub fn with_tls(tcp: TcpListener, tls: Arc<Tls>) -> Self {
        Self { tcp, tls: Some(tls) }
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

/// Serves until `stop`; then takes no new connection, finishes what was accepted within the
/// drain time of the settings, and closes the store.
///
/// # Errors
/// When a listener cannot say its address; what happens on one connection ends only that one.
pub async fn serve(
    listeners: Vec<impl Into<Listener>>,
    app: App,
    stop: CancellationToken,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let read_timeout = app.settings().read_timeout;
    let server = Arc::new(Server {
        entrance: crate::http::router(app.clone()),
        readers: Readers { tasks: connections.clone(), stop: stop.clone(), limit: read_timeout },
        builder: builder(read_timeout),
        places: Arc::new(Semaphore::new(app.settings().connections_max)),
        addresses: Arc::new(Addresses::new(&app)),
        connections,
        stop: stop.clone(),
        cut: CancellationToken::new(),
        head_timeout: read_timeout,
    });
    let loops = TaskTracker::new();
    for listener in listeners {
        let listener: Listener = listener.into();
        let (address, tls) = (listener.tcp.local_addr()?, listener.tls.is_some());
        tracing::info!(%address, tls, "listening");
        loops.spawn(server.clone().accept(listener));
    }
    loops.spawn(tidy(app.clone(), stop.clone()));
    loops.spawn(Auditor::new(app.clone()).run(stop.clone()));
    loops.spawn(Settler::new(app.clone()).run(stop.clone()));
    if let Some(verifier) = Verifier::new(app.clone()) {
        loops.spawn(verifier.run(stop.clone()));
    }
    loops.close();
    stop.cancelled().await;
    app.stop();
    loops.wait().await;
    server.connections.close();
    if tokio::time::timeout(app.settings().drain, server.connections.wait()).await.is_err() {
        let left = server.connections.len();
        tracing::warn!(connections = left, "the drain time is over; cutting what is left");
        server.cut.cancel();
        server.connections.wait().await;
    }
    app.note_refusals().await;
    app.note_keys().await;
    app.store().close().await;
    Ok(())
}

struct Server {
    entrance: Entrance,
    builder: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    connections: TaskTracker,
    /// What reads the rests of bodies that nobody needs.
    readers: Readers,
    /// Finish what is in work.
    stop: CancellationToken,
    /// Finish at once.
    cut: CancellationToken,
    head_timeout: Duration,
}

fn builder(read_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_READ)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(FAULTS_MAX)
        .keep_alive_interval(read_timeout)
        .keep_alive_timeout(read_timeout);
    builder
}

impl Server {
    async fn accept(self: Arc<Self>, listener: Listener) {
        loop {
            let Some(place) =
                self.stop.run_until_cancelled(self.places.clone().acquire_owned()).await
            else {
                return;
            };
            let accepted = self.stop.run_until_cancelled(listener.tcp.accept()).await;
            let (stream, peer) = match accepted {
                None => return,
                Some(Ok(accepted)) => accepted,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(share) = self.addresses.enter(peer.ip()) else {
                tracing::debug!(%peer, "too many connections of one address; ended");
                continue;
            };
            let (server, tls) = (self.clone(), listener.tls.clone());
            self.connections.spawn(async move {
                let connection = server.connection(stream, peer, tls.as_deref());
                server.cut.run_until_cancelled(connection).await;
                drop((place, share));
            });
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, tls: Option<&Tls>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
        let Some(tls) = tls else {
            return self.talk(stream, peer, false).await;
        };
        // Whoever is still shaking hands when the server ends has not asked anything.
        let begin = tokio::time::timeout(self.head_timeout, tls.accept(stream));
        match self.stop.run_until_cancelled(begin).await {
            Some(Ok(Ok(Some(stream)))) => self.talk(stream, peer, true).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Err(_elapsed)) => tracing::debug!("a TLS handshake took too long"),
            Some(Ok(Ok(None))) | None => {}
        }
    }

    async fn talk<S>(&self, stream: S, peer: SocketAddr, encrypted: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = Arc::new(Asked::default());
        let service = service_fn({
            let (asked, entrance) = (asked.clone(), self.entrance.clone());
            let readers = self.readers.clone();
            move |request: Request<Incoming>| {
                asked.note(&request);
                let (mut request, rest) = Rest::of(request);
                request.extensions_mut().insert(ConnectInfo(peer));
                request.extensions_mut().insert(OnWire);
                // A browser that notes "localhost" would ask everything on this machine by TLS.
                let only_tls = encrypted && !is_this_machine(&request);
                let is_old = request.version() == Version::HTTP_10;
                let leaves = leaves(&request);
                let answer = entrance.clone().call(request);
                let readers = readers.clone();
                async move {
                    let mut answer: Response = answer.await?;
                    if only_tls {
                        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
                    }
                    let rest = match rest {
                        Some(rest) => rest.settle(&readers).await,
                        None => Connection::Stays,
                    };
                    // HTTP/1.0 has no other way to say where a body of unknown length ends.
                    let is_endless = is_old && answer.body().size_hint().exact().is_none();
                    if leaves || is_endless || rest == Connection::Ends {
                        say_close(&mut answer, is_old);
                    }
                    Ok::<_, Infallible>(answer)
                }
            }
        });
        let stream = Explained::new(Patient::new(stream, self.head_timeout));
        let stream = TokioIo::new(stream);
        let mut connection = pin!(self.builder.serve_connection(stream, service));
        let mut look = pin!(tokio::time::sleep(self.head_timeout));
        let (mut stopping, mut left, mut requests) = (false, false, 0);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !stopping => {
                    connection.as_mut().graceful_shutdown();
                    stopping = true;
                }
                // Which version of HTTP a connection speaks is read without a time limit of the
                // library's own; this one ends connections that never send a first head.
                () = look.as_mut() => {
                    let before = std::mem::replace(&mut requests, asked.requests());
                    let is_idle = before == requests && asked.is_multiplexed();
                    if requests == 0 || (is_idle && left) {
                        return;
                    }
                    if is_idle && !stopping {
                        connection.as_mut().graceful_shutdown();
                        (stopping, left) = (true, true);
                    }
                    let silence = self.head_timeout.saturating_mul(IDLE_TIMEOUTS);
                    look.set(tokio::time::sleep(silence));
                }
            }
        }
    }
}

/// Says that the connection ends after this answer.
fn say_close(answer: &mut Response, is_old: bool) {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if is_old {
        // The library would add "keep-alive" to an answer of a newer version.
        *answer.version_mut() = Version::HTTP_10;
    }
}

/// What was asked on a connection.
#[derive(Default)]
struct Asked {
    requests: AtomicU64,
    /// HTTP/2, where several requests share the connection.
    multiplexed: AtomicBool,
}

impl Asked {
    fn note<B>(&self, request: &Request<B>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.multiplexed.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }
}

async fn tidy(app: App, stop: CancellationToken) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        app.metrics().tidy();
    }
}
