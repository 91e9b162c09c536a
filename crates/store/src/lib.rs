//! Where the books are kept. A store loads and writes what `daybook-core` decides; it never rules.
//! The books change in exactly one method, [`Store::commit`].

mod codec;
mod sql;
mod sqlite;

pub use sqlite::backup_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daybook_core::cursor::Position;
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::write_set::Reply;
use daybook_core::{Event, EventSeq, Query, Submission, Transaction, TransactionId, UserId};

pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the store has more work waiting than it may queue")]
    Busy,
    #[error("the disk is full; nothing was recorded")]
    DiskFull,
    #[error("the store is closed")]
    Closed,
    #[error("the question took longer than {limit:?}; ask for less, or page with a cursor")]
    TooBroad { limit: Duration },
    #[error("the answer has {points} points, more than {max}; ask for a longer interval")]
    TooManyPoints { points: usize, max: usize },
    #[error("'{}' is already open in another Daybook process", path.display())]
    Locked { path: PathBuf },
    #[error("'{}' was written by a newer Daybook (schema {found}; this one knows {known})", path.display())]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("'{}' cannot be opened: {reason}", path.display())]
    CannotOpen { path: PathBuf, reason: String },
    #[error("'{url}' is no store; write sqlite:FILE")]
    BadUrl { url: String },
    #[error("the store is damaged: {what}")]
    Corrupt { what: String },
    #[error("the store failed")]
    Driver(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One page of an answer.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub items: Vec<Transaction>,
    /// How many items match in all; counted only where pages have numbers.
    pub total: Option<u64>,
    /// Where the next page begins; `None` when this one is the last.
    pub next: Option<Position>,
}

/// What happened to a user's items after a position in the log.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// In commit order.
    pub events: Vec<Event>,
    /// Where the next answer begins.
    pub next: EventSeq,
    pub has_more: bool,
}

/// How a store is.
#[derive(Clone, Debug)]
pub struct Status {
    /// The newest event.
    pub seq: EventSeq,
    pub schema: i64,
    /// Submissions that wait to be committed.
    pub waiting: usize,
    /// Bytes on disk, the write-ahead log included.
    pub bytes: u64,
}

/// A difference that `verify` found between what should be and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which part of the store: `statistics`, `search`, `events`, `rows`, `file`.
    pub part: &'static str,
    pub what: String,
}

/// What `verify` looked at and found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub items: u64,
    pub events: u64,
    pub buckets: u64,
    pub differences: Vec<Difference>,
}

/// Called with how much of a long task is done and how much there is.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// A place for the books.
#[async_trait]
pub trait Store: Send + Sync {
    /// Decides a submission and writes all that follows from it in one durable commit. When this
    /// returns, what was accepted survives a crash.
    async fn commit(&self, submission: Submission) -> Result<Reply>;

    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>>;
    async fn transactions(&self, query: Query) -> Result<Page>;
    /// One entry per currency that the user has items in; `currencies` narrows it, empty is all.
    async fn statistics(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
    ) -> Result<Vec<Statistics>>;
    async fn series(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
        interval: Interval,
        group_by: GroupBy,
    ) -> Result<Vec<Series>>;

    /// Every version of an item, oldest first, deleted ones included; empty when there never was one.
    async fn history(&self, id: TransactionId) -> Result<Vec<Event>>;
    /// The events of one user's items after a position.
    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes>;
    /// Users in the order of their names.
    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>>;

    /// The newest event that readers see.
    fn seq(&self) -> EventSeq;
    /// Answers when the store can be read.
    async fn status(&self) -> Result<Status>;

    /// Writes a complete copy to a file that is not there yet, while the store is in use.
    async fn backup(&self, target: &Path, progress: Progress<'_>) -> Result<()>;
    /// Recomputes everything that follows from the items and names every difference.
    async fn verify(&self, progress: Progress<'_>) -> Result<Verified>;
    /// Finishes what was accepted and lets go of the file.
    async fn close(&self);
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Submissions that may wait; one more is refused as [`Error::Busy`].
    pub queue: usize,
    /// The most actions one commit takes.
    pub commit_actions: usize,
    /// Threads that answer questions.
    pub readers: usize,
    /// How long one question may take.
    pub query_time: Duration,
    /// How long replies to idempotency keys are kept.
    pub replies_kept: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4_096,
            commit_actions: 10_000,
            readers: 2,
            query_time: Duration::from_secs(10),
            replies_kept: Duration::from_secs(7 * 86_400),
        }
    }
}

/// Opens a store, bringing its schema up to date: `sqlite:FILE`.
///
/// # Errors
/// When the URL names no store, or the file is another process's, read-only, damaged or newer.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            let path = PathBuf::from(path);
            // Migrating and recovering a file take as long as they take.
            let opening = tokio::task::spawn_blocking(move || sqlite::Sqlite::open(&path, options));
            let opened = opening.await.map_err(|error| Error::Driver(Box::new(error)))?;
            Ok(Arc::new(opened?))
        }
        _ => Err(Error::BadUrl { url: url.to_owned() }),
    }
}
