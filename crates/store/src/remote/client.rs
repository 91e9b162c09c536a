//! The client's end: a store whose every call is a question to the server.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery};
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transfer::Entry;
use daybook_core::{
    AccountId, ApiKey, Event, EventSeq, Holding, KeyId, Query, Reply, Submission, Timestamp,
    Transaction, TransactionId, Transfer, TransferId, UserId,
};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::messages::{Answer, Request};
use super::place::{self, Address};
use super::wire::{Input, Wire};
use super::{ANSWER_BYTES_MAX, Pipe, REQUEST_BYTES_MAX, RemoteError, described, framed, greeting};
use crate::seal::{Masters, RingStatus};
use crate::{
    Changes, Claim, Due, Error, Follower, LedgerVerified, List, Page, Progress, Reader, Result,
    Status, Store, Verified,
};

/// How long a server may take to greet.
const GREETING_TIME: Duration = Duration::from_secs(30);
/// The pauses before a server is asked again that has too much work; each is twice as long as the
/// one before.
const BUSY_PAUSE_MIN: Duration = Duration::from_millis(20);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(640);
/// How often it is asked again: about ten seconds long.
const BUSY_TRIES: u32 = 20;

/// What the connection to a server gave.
type Reached<T> = std::result::Result<T, RemoteError>;

/// A store that a server of this machine holds.
pub struct Remote {
    /// The store's file.
    path: PathBuf,
    /// Connections that nobody uses now. One whose call was given up is not among them.
    idle: Mutex<Vec<Pipe>>,
    /// The newest event that the server has told of.
    seq: AtomicI64,
}

impl Remote {
    /// Reaches the server that holds a file; `None` when none listens there.
    ///
    /// # Errors
    /// When it cannot be talked to.
    pub async fn connect(path: &Path) -> Result<Option<Self>> {
        let remote =
            Self { path: path.to_owned(), idle: Mutex::new(Vec::new()), seq: AtomicI64::new(0) };
        let Some(pipe) = remote.dial().await? else { return Ok(None) };
        remote.idle.lock().push(pipe);
        remote.ask::<()>(&Request::Seq).await?;
        Ok(Some(remote))
    }

    async fn dial(&self) -> Reached<Option<Pipe>> {
        let path = &self.path;
        let unreachable = |error: std::io::Error| RemoteError::Unreachable {
            path: path.clone(),
            reason: error.to_string(),
        };
        let address = match Address::of(&place::socket(path)) {
            Ok(address) => address,
            Err(error) if is_nobody(error.kind()) => return Ok(None),
            Err(error) => return Err(unreachable(error)),
        };
        let stream = match UnixStream::connect(address.path()).await {
            Ok(stream) => stream,
            // A socket that a killed server left refuses.
            Err(error) if is_nobody(error.kind()) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(RemoteError::Silent { path: path.clone() });
            }
            Err(error) => return Err(unreachable(error)),
        };
        let mut pipe = Pipe::new(stream);
        let server = match tokio::time::timeout(GREETING_TIME, pipe.greet()).await {
            Ok(Ok(server)) if server.is_empty() => return Ok(None),
            Ok(Ok(server)) => server,
            Ok(Err(_)) => return Ok(None),
            Err(_elapsed) => return Err(RemoteError::Silent { path: path.clone() }),
        };
        if server == greeting() {
            return Ok(Some(pipe));
        }
        let (server, own) = (described(&server), format!("Daybook {}", super::VERSION));
        Err(RemoteError::Version { path: path.clone(), server, own })
    }

    async fn ask<T: Wire>(&self, request: &Request) -> Result<T> {
        self.ask_watched(request, &|_, _| {}).await
    }

    async fn ask_watched<T: Wire>(&self, request: &Request, progress: Progress<'_>) -> Result<T> {
        let message = framed(REQUEST_BYTES_MAX, |out| request.encode(out))?;
        let (mut pause, mut tries_left) = (BUSY_PAUSE_MIN, BUSY_TRIES);
        loop {
            let idle = self.idle.lock().pop();
            let mut pipe = match idle {
                Some(pipe) => pipe,
                None => self.dial().await?.ok_or_else(|| self.lost())?,
            };
            let answer = self.exchange(&mut pipe, request, &message, progress).await?;
            self.idle.lock().push(pipe);
            match answer {
                // Nothing was done, so it can be asked again.
                Err(Error::Busy) if tries_left > 0 => tries_left -= 1,
                Err(error) => return Err(error),
                Ok(answer) => return Ok(Input::whole(&answer)?),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BUSY_PAUSE_MAX);
        }
    }

    fn lost(&self) -> RemoteError {
        RemoteError::Lost { path: self.path.clone() }
    }

    /// Sends a request and waits for its answer. An error is the connection's, which then is of no
    /// more use.
    async fn exchange(
        &self,
        pipe: &mut Pipe,
        request: &Request,
        message: &[u8],
        progress: Progress<'_>,
    ) -> Reached<Result<Vec<u8>>> {
        // A server that ends says so before it stops reading.
        let is_sent = pipe.writer.write_all(message).await.is_ok();
        // A request that did not arrive as a whole was not begun.
        let broken = || match request {
            Request::Commit { .. } if is_sent => {
                RemoteError::Unconfirmed { path: self.path.clone() }
            }
            _ => self.lost(),
        };
        loop {
            let Ok(Some(length)) = pipe.next(ANSWER_BYTES_MAX).await else {
                return Err(broken());
            };
            let Ok(mut answer) = pipe.rest(length).await else { return Err(broken()) };
            let (head, at) = Input::first::<Answer>(&answer)?;
            match head {
                Answer::Done { seq } => {
                    self.seq.fetch_max(seq.0, Ordering::Relaxed);
                    return Ok(Ok(answer.split_off(at)));
                }
                Answer::Failed { error } => return Ok(Err(error.into())),
                Answer::Progress { done, all } => progress(done, all),
                Answer::Leaving => return Err(self.lost()),
            }
        }
    }
}

/// Whether an error of connecting says that nobody listens.
fn is_nobody(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused)
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

/// What commands do not need is not asked by a socket.
fn not_asked<T>(what: &'static str) -> Result<T> {
    Err(RemoteError::NotAsked { what }.into())
}

#[async_trait]
impl Store for Remote {
    async fn commit(&self, submission: Submission) -> Result<Reply> {
        self.ask(&Request::Commit { submission }).await
    }

    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>> {
        self.ask(&Request::Transaction { id }).await
    }

    async fn transactions(&self, query: Query) -> Result<Page> {
        self.ask(&Request::Transactions { query }).await
    }

    async fn statistics(&self, _: UserId, _: Span, _: Vec<String>) -> Result<Vec<Statistics>> {
        not_asked("statistics")
    }

    async fn series(
        &self,
        _: UserId,
        _: Span,
        _: Vec<String>,
        _: Interval,
        _: GroupBy,
    ) -> Result<Vec<Series>> {
        not_asked("series")
    }

    async fn account(&self, id: AccountId) -> Result<Option<Holding>> {
        self.ask(&Request::Account { id }).await
    }

    async fn accounts(&self, query: AccountsQuery) -> Result<List<Holding>> {
        self.ask(&Request::Accounts { query }).await
    }

    async fn balance_at(&self, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
        self.ask(&Request::BalanceAt { id, at }).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<Option<List<Entry>>> {
        self.ask(&Request::Entries { query }).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>> {
        self.ask(&Request::Transfer { id }).await
    }

    async fn transfers(&self, query: TransfersQuery) -> Result<List<Transfer>> {
        self.ask(&Request::Transfers { query }).await
    }

    async fn due(&self, _: Timestamp, _: u32) -> Result<Due> {
        not_asked("what is due")
    }

    async fn history(&self, _: TransactionId) -> Result<Vec<Event>> {
        not_asked("a history")
    }

    async fn changes(&self, _: UserId, _: EventSeq, _: u32) -> Result<Changes> {
        not_asked("changes")
    }

    async fn events(&self, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
        self.ask(&Request::Events { after, limit }).await
    }

    async fn follow(&self, claim: Claim) -> Result<Option<EventSeq>> {
        self.ask(&Request::Follow { claim }).await
    }

    async fn followers(&self) -> Result<Vec<Follower>> {
        self.ask(&Request::Followers).await
    }

    async fn unfollow(&self, name: String) -> Result<bool> {
        self.ask(&Request::Unfollow { name }).await
    }

    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.ask(&Request::Users { after, limit }).await
    }

    async fn reader(&self, at_least: EventSeq) -> Result<Reader> {
        Ok(if at_least <= self.seq() { Reader::Itself } else { Reader::Nobody })
    }

    async fn api_key(&self, _: KeyId) -> Result<Option<ApiKey>> {
        not_asked("API keys")
    }

    async fn api_keys(&self, _: KeyId, _: u32) -> Result<List<ApiKey>> {
        not_asked("API keys")
    }

    async fn api_keys_used(&self, _: Vec<(KeyId, Timestamp)>) -> Result<()> {
        not_asked("API keys")
    }

    async fn link(&self, seq: EventSeq) -> Result<Option<[u8; 32]>> {
        self.ask(&Request::Link { seq }).await
    }

    fn seq(&self) -> EventSeq {
        EventSeq(self.seq.load(Ordering::Relaxed))
    }

    async fn status(&self) -> Result<Status> {
        not_asked("its status")
    }

    async fn ring(&self) -> Result<Option<RingStatus>> {
        not_asked("its keys")
    }

    async fn rewrap(&self, _: u32) -> Result<u64> {
        not_asked("its keys")
    }

    async fn use_masters(&self, _: Masters) -> Result<()> {
        not_asked("its keys")
    }

    async fn shred(&self, _: UserId) -> Result<u64> {
        not_asked("its keys")
    }

    async fn backup(&self, _: &Path, _: Progress<'_>) -> Result<()> {
        not_asked("a backup")
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        self.ask_watched(&Request::Verify, progress).await
    }

    async fn verify_ledger(&self) -> Result<LedgerVerified> {
        not_asked("its ledger alone")
    }

    async fn close(&self) {
        self.idle.lock().clear();
    }
}
