//! The server's end: accepts commands on the socket and does for each what it asks of the store.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::messages::{Answer, Request, Told};
use super::place::{self, Draft, SocketFile};
use super::wire::{Input, Wire};
use super::{ANSWER_BYTES_MAX, Pipe, REQUEST_BYTES_MAX, framed, greeting};
use crate::sqlite::beside;
use crate::{Error, Result, Store};

/// Commands that may be connected at once; the others wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 64;
/// How long a client may take to greet.
const GREETING_TIME: Duration = Duration::from_secs(10);
/// How long the rest of a request may take after its beginning has come.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to read an answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// A request of more bytes takes one of the places for large ones before it is read.
const LARGE_BYTES: usize = 1024 * 1024;
/// Large requests that may be in memory at once; the others wait unread.
const LARGE_MAX: usize = 4;
/// How often the progress of a long task is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// The pause after the system refused to accept, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a server that ends waits for clients to take their last answers.
const LEAVING_TIME: Duration = Duration::from_secs(5);

/// A socket beside a store's file, by which commands reach the process that holds the file.
pub struct CommandSocket {
    listener: UnixListener,
    file: SocketFile,
}

impl CommandSocket {
    /// Makes the socket. Only the process that holds the file may call this: a socket that is there
    /// is a dead process's, and is replaced.
    ///
    /// # Errors
    /// When the folder takes no sockets.
    pub fn beside(store: &Path) -> io::Result<Self> {
        let path = place::socket(store);
        let draft = Draft::make(beside(&path, ".new"))?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(draft.socket())?;
        // Nobody connects before it listens, and then only who may. It gets its name last, so that
        // whoever finds it may use it at once.
        place::share(draft.socket(), &std::fs::metadata(store)?)?;
        let listener = socket.listen(BACKLOG)?;
        std::fs::rename(draft.socket(), &path)?;
        Ok(Self { listener, file: SocketFile::at(path)? })
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Does what commands ask of the store until `stop`; what was begun is finished then.
    pub async fn serve(self, store: Arc<dyn Store>, stop: CancellationToken) {
        let Self { listener, file } = self;
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let large = Arc::new(Semaphore::new(LARGE_MAX));
        loop {
            let place = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await;
            let Some(Ok(place)) = place else { break };
            let stream = match stop.run_until_cancelled(listener.accept()).await {
                None => break,
                Some(Ok((stream, _))) => stream,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a command");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (store, stop, large) = (Arc::clone(&store), stop.clone(), Arc::clone(&large));
            connections.spawn(async move {
                let conversation = Conversation { pipe: Pipe::new(stream), store, stop, large };
                if let Err(error) = conversation.run().await {
                    tracing::debug!(%error, "the connection of a command broke");
                }
                drop(place);
            });
        }
        drop(file);
        drop(listener);
        connections.close();
        if timeout(LEAVING_TIME, connections.wait()).await.is_err() {
            tracing::warn!(commands = connections.len(), "commands do not take their answers");
        }
    }
}

/// One client.
struct Conversation {
    pipe: Pipe,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    large: Arc<Semaphore>,
}

impl Conversation {
    async fn run(mut self) -> io::Result<()> {
        let client = timeout(GREETING_TIME, self.pipe.greet()).await??;
        if client != greeting() {
            // Our own greeting has told the client.
            return Ok(());
        }
        loop {
            let stop = self.stop.clone();
            let Some(request) = stop.run_until_cancelled(self.request()).await else {
                return self.leave().await;
            };
            let Some((request, place)) = request? else { return Ok(()) };
            let answer = match request {
                Err(error) => {
                    return self.answer(&failed(error)).await;
                }
                Ok(Request::Verify) => match self.verify().await? {
                    Some(answer) => answer,
                    None => return Ok(()),
                },
                Ok(request) => call(&*self.store, request).await,
            };
            drop(place);
            self.answer(&answer).await?;
        }
    }

    async fn answer(&mut self, message: &[u8]) -> io::Result<()> {
        timeout(ANSWER_TIME, self.pipe.writer.write_all(message)).await?
    }

    /// Says that the request that may be under way is not begun.
    async fn leave(&mut self) -> io::Result<()> {
        self.answer(&leaving()?).await
    }

    /// Waits for a request, and for a place where it is a large one; `None` when the client has
    /// gone.
    async fn request(
        &mut self,
    ) -> io::Result<Option<(Result<Request>, Option<OwnedSemaphorePermit>)>> {
        if !self.pipe.begins().await? {
            return Ok(None);
        }
        let length = timeout(REQUEST_TIME, self.pipe.length(REQUEST_BYTES_MAX)).await??;
        let place = if length > LARGE_BYTES {
            Arc::clone(&self.large).acquire_owned().await.ok()
        } else {
            None
        };
        let message = timeout(REQUEST_TIME, self.pipe.rest(length)).await??;
        Ok(Some((Input::whole(&message).map_err(Error::from), place)))
    }

    /// Verifies the store, which takes long: tells how far it is, and ends when the client goes;
    /// then there is no answer.
    async fn verify(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (tell, mut told) = watch::channel((0, 0));
        let progress = |done, all| {
            tell.send_replace((done, all));
        };
        let mut verifying = pin!(self.store.verify(&progress));
        let mut every = tokio::time::interval(PROGRESS_EVERY);
        let Pipe { reader, writer } = &mut self.pipe;
        let verified = loop {
            tokio::select! {
                verified = &mut verifying => break verified,
                () = self.stop.cancelled() => return leaving().map(Some),
                // The client has nothing to say meanwhile, so it has gone.
                _ = reader.fill_buf() => return Ok(None),
                _ = every.tick() => {
                    if told.has_changed().unwrap_or(false) {
                        let now = *told.borrow_and_update();
                        writer.write_all(&progressed(now)?).await?;
                    }
                }
            }
        };
        let last = *told.borrow_and_update();
        writer.write_all(&progressed(last)?).await?;
        Ok(Some(done(&*self.store, verified)))
    }
}

fn leaving() -> io::Result<Vec<u8>> {
    framed(ANSWER_BYTES_MAX, |out| Answer::Leaving.encode(out)).map_err(io::Error::other)
}

fn progressed((done, all): (u64, u64)) -> io::Result<Vec<u8>> {
    let progress = Answer::Progress { done, all };
    framed(ANSWER_BYTES_MAX, |out| progress.encode(out)).map_err(io::Error::other)
}

/// Does what was asked; the answer is a message.
async fn call(store: &dyn Store, request: Request) -> Vec<u8> {
    match request {
        Request::Commit { submission } => done(store, store.commit(submission).await),
        Request::Transaction { id } => done(store, store.transaction(id).await),
        Request::Transactions { query } => done(store, store.transactions(query).await),
        Request::Account { id } => done(store, store.account(id).await),
        Request::Accounts { query } => done(store, store.accounts(query).await),
        Request::BalanceAt { id, at } => done(store, store.balance_at(id, at).await),
        Request::Entries { query } => done(store, store.entries(query).await),
        Request::Transfer { id } => done(store, store.transfer(id).await),
        Request::Transfers { query } => done(store, store.transfers(query).await),
        Request::Events { after, limit } => done(store, store.events(after, limit).await),
        Request::Follow { claim } => done(store, store.follow(claim).await),
        Request::Followers => done(store, store.followers().await),
        Request::Unfollow { name } => done(store, store.unfollow(name).await),
        Request::Users { after, limit } => done(store, store.users(after, limit).await),
        Request::Link { seq } => done(store, store.link(seq).await),
        Request::Seq => done(store, Ok(())),
        Request::Verify => done(store, store.verify(&|_, _| {}).await),
    }
}

fn done<T: Wire>(store: &dyn Store, answer: Result<T>) -> Vec<u8> {
    let answer = answer.and_then(|answer| {
        let head = Answer::Done { seq: store.seq() };
        let written = framed(ANSWER_BYTES_MAX, |out| {
            head.encode(out)?;
            answer.encode(out)
        });
        Ok(written?)
    });
    answer.unwrap_or_else(failed)
}

fn failed(error: Error) -> Vec<u8> {
    let told = Answer::Failed { error: Told::from(error) };
    // An error is a short text, which always fits.
    framed(ANSWER_BYTES_MAX, |out| told.encode(out)).unwrap_or_default()
}
