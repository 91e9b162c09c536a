//! The loop that accepts connections, and its orderly end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::app::App;
use crate::work::{Settler, Verifier};

/// The pause after the system refused to accept, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the counted durations are put into their buckets.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// Requests that one HTTP/2 connection may have in work.
const STREAMS_MAX: u32 = 256;

/// Serves until `stop`; then takes no new connection, finishes what was accepted within the
/// drain time of the settings, and closes the store.
///
/// # Errors
/// When a listener cannot say its address; what happens on one connection ends only that one.
pub async fn serve(
    listeners: Vec<TcpListener>,
    app: App,
    stop: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server {
        router: crate::http::router(app.clone()),
        builder: builder(app.settings().read_timeout),
        places: Arc::new(Semaphore::new(app.settings().connections_max)),
        connections: TaskTracker::new(),
        stop: stop.clone(),
        cut: CancellationToken::new(),
        head_timeout: app.settings().read_timeout,
    });
    let loops = TaskTracker::new();
    for listener in listeners {
        tracing::info!(address = %listener.local_addr()?, "listening");
        loops.spawn(server.clone().accept(listener));
    }
    loops.spawn(tidy(app.clone(), stop.clone()));
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
    app.store().close().await;
    Ok(())
}

struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    /// Finish what is in work.
    stop: CancellationToken,
    /// Finish at once.
    cut: CancellationToken,
    head_timeout: Duration,
}

fn builder(read_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(read_timeout).pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(read_timeout)
        .keep_alive_timeout(read_timeout);
    builder
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Some(place) =
                self.stop.run_until_cancelled(self.places.clone().acquire_owned()).await
            else {
                return;
            };
            let (stream, peer) = match self.stop.run_until_cancelled(listener.accept()).await {
                None => return,
                Some(Ok(accepted)) => accepted,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let server = self.clone();
            self.connections.spawn(async move {
                server.cut.run_until_cancelled(server.connection(stream, peer)).await;
                drop(place);
            });
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
        let begun = Arc::new(AtomicBool::new(false));
        let service = service_fn({
            let (begun, router) = (begun.clone(), self.router.clone());
            move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                begun.store(true, Ordering::Relaxed);
                router.clone().call(request)
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut first_head = pin!(tokio::time::sleep(self.head_timeout));
        let (mut stopping, mut waiting) = (false, true);
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
                () = first_head.as_mut(), if waiting => {
                    if !begun.load(Ordering::Relaxed) {
                        return;
                    }
                    waiting = false;
                }
            }
        }
    }
}

async fn tidy(app: App, stop: CancellationToken) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        app.metrics().tidy();
    }
}
