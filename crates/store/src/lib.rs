//! Where the books are kept. A store loads and writes what `daybook-core` decides; it never rules.
//! What the books say changes in exactly one method, [`Store::commit`].

mod chain;
mod codec;
mod copy;
mod dictionary;
mod fold;
mod group;
mod lease;
mod options;
mod outdated;
mod page;
mod postgres;
mod postings;
mod remote;
mod seal;
mod sql;
mod sqlite;
mod statistics;
mod verify;

pub use copy::{COPY_ROWS, Copied, copy};
pub use lease::{LeaseHolder, WorkLease};
pub use options::Options;
pub use remote::{CommandSocket, RemoteError};
pub use seal::{BadMasterKey, MasterKey, MasterStatus, Masters, RingStatus, Sealing};
pub use sqlite::backup_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daybook_core::cursor::Position;
use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery};
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transfer::Entry;
use daybook_core::write_set::Reply;
use daybook_core::{
    AccountId, ApiKey, Event, EventSeq, Holding, KeyId, Query, Submission, Timestamp, Transaction,
    TransactionId, Transfer, TransferId, UserId,
};

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
    /// The reason is for the log: it names hosts.
    #[error("the database cannot be reached")]
    Away { reason: String },
    #[error("a replica answers questions only")]
    ReadOnly,
    #[error("a database server makes its own copies; use its tools, such as pg_dump")]
    NoBackup,
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
    #[error("the books cannot be copied: {reason}")]
    CannotCopy { reason: String },
    #[error("'{url}' is no store; write sqlite:FILE or postgres://HOST/DATABASE")]
    BadUrl { url: String },
    #[error("the replica cannot be used: {reason}")]
    BadReplica { reason: String },
    #[error("nothing is sealed in this store; configure a master key first")]
    NotSealing,
    #[error("'{name}' has sealed values; give a master key of its ring to open it")]
    NoMasterKey { name: String },
    #[error("the ring of keys of '{name}' is missing; bring it back to open the books")]
    NoRing { name: String },
    #[error("the ring of keys beside '{name}' belongs to other books; bring back its own")]
    ForeignRing { name: String },
    #[error("keys in the ring are wrapped by master keys that were not given: {ids}")]
    UnknownMasters { ids: String },
    #[error("`metadata.{path}` may be sealed, so only equality can be asked of it")]
    Sealed { path: String },
    #[error(transparent)]
    Remote(RemoteError),
    #[error("the store is damaged: {what}")]
    Corrupt { what: String },
    #[error("the store failed")]
    Driver(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The same error once more, where all submissions of a group fail alike.
    fn for_all(&self) -> Option<Self> {
        match self {
            Self::Busy => Some(Self::Busy),
            Self::DiskFull => Some(Self::DiskFull),
            Self::Away { reason } => Some(Self::Away { reason: reason.clone() }),
            Self::Closed
            | Self::NoBackup
            | Self::ReadOnly
            | Self::TooBroad { .. }
            | Self::TooManyPoints { .. }
            | Self::Locked { .. }
            | Self::TooNew { .. }
            | Self::CannotOpen { .. }
            | Self::CannotCopy { .. }
            | Self::BadUrl { .. }
            | Self::BadReplica { .. }
            | Self::NotSealing
            | Self::NoMasterKey { .. }
            | Self::NoRing { .. }
            | Self::ForeignRing { .. }
            | Self::UnknownMasters { .. }
            | Self::Sealed { .. }
            | Self::Remote(_)
            | Self::Corrupt { .. }
            | Self::Driver(_) => None,
        }
    }
}

/// One page of an answer.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub items: Vec<Transaction>,
    /// How many items match in all; counted only where pages have numbers.
    pub total: Option<u64>,
    /// Where the next page begins; `None` when this one is the last.
    pub next: Option<Position>,
    /// Whether a search means more words than are looked for, so that items may be missing.
    pub is_cut: bool,
}

/// Part of a list that is paged by a position.
#[derive(Clone, Debug)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Whether the list goes on.
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), has_more: false }
    }
}

impl<T> List<T> {
    /// Keeps the page's items; one item more says that there is a next page.
    fn cut(mut items: Vec<T>, limit: u32) -> Self {
        let has_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self { items, has_more }
    }
}

/// Transfers that somebody must look at.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// To be tried.
    pub waiting: Vec<TransferId>,
    /// Whose hold is over.
    pub expired: Vec<TransferId>,
    /// When the first of those is due that are not due yet.
    pub next: Option<Timestamp>,
}

/// What a look at the whole ledger found.
#[derive(Clone, Debug, Default)]
pub struct LedgerVerified {
    pub accounts: u64,
    pub transfers: u64,
    pub differences: Vec<Difference>,
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

/// Asks for the lease of a follower: one who reads the event log and remembers its place in it.
/// It has one owner at a time, so that what it does with events is done once.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The follower's name.
    pub follower: String,
    /// Who asks; told apart from all others by this name.
    pub owner: String,
    /// How long nobody else gets the lease; nothing lets go of it.
    pub lease: Duration,
    /// The place before its first event when it is new.
    pub from: EventSeq,
    /// The newest event that is done, when there is news.
    pub done: Option<EventSeq>,
}

/// Who follows the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    pub name: String,
    /// The newest event that is done.
    pub place: EventSeq,
    /// Whose lease has not ended.
    pub owner: Option<String>,
}

impl Follower {
    /// How many events up to the newest are not done yet.
    #[must_use]
    pub fn lag(&self, newest: EventSeq) -> i64 {
        newest.0.saturating_sub(self.place.0).max(0)
    }
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
    /// Whether a write found no space, and none has found some since.
    pub is_full: bool,
    pub replica: Option<ReplicaStatus>,
}

/// How a replica is.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaStatus {
    /// The newest event that it has.
    pub seq: EventSeq,
    /// Whether it keeps up, so that it may answer.
    pub is_fresh: bool,
}

/// Who may answer a read.
pub enum Reader {
    /// The store itself.
    Itself,
    /// A copy that keeps up.
    Replica(Arc<dyn Store>),
    /// Nobody yet: there is no such event.
    Nobody,
}

/// A difference that `verify` found between what should be and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which part of the store: `statistics`, `search`, `events`, `chain`, `rows`, `ledger`,
    /// `replies`, `keys`, `seals`, `followers`, `file`.
    pub part: &'static str,
    pub what: String,
}

/// What `verify` looked at and found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub items: u64,
    pub events: u64,
    pub buckets: u64,
    pub accounts: u64,
    pub transfers: u64,
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

    async fn account(&self, id: AccountId) -> Result<Option<Holding>>;
    async fn accounts(&self, query: AccountsQuery) -> Result<List<Holding>>;
    /// The account with the balance that it had at a moment; what is held now stays as it is.
    async fn balance_at(&self, id: AccountId, at: Timestamp) -> Result<Option<Holding>>;
    /// A page of an account's statement; `None` when there is no such account.
    async fn entries(&self, query: EntriesQuery) -> Result<Option<List<Entry>>>;
    async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>>;
    async fn transfers(&self, query: TransfersQuery) -> Result<List<Transfer>>;
    /// The transfers that are to be tried or let go by now.
    async fn due(&self, at: Timestamp, limit: u32) -> Result<Due>;

    /// Every version of an item, oldest first, deleted ones included; empty when there never was one.
    async fn history(&self, id: TransactionId) -> Result<Vec<Event>>;
    /// The events of one user's items after a position.
    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes>;
    /// Events of everybody after a position, in commit order. None ever appears before one that was
    /// shown already.
    async fn events(&self, after: EventSeq, limit: u32) -> Result<Vec<Event>>;
    /// Takes or keeps the lease of a follower, and moves its place forward. Answers the place, or
    /// nothing while somebody else has the lease.
    async fn follow(&self, claim: Claim) -> Result<Option<EventSeq>>;
    /// By name.
    async fn followers(&self) -> Result<Vec<Follower>>;
    /// Forgets a follower whose lease has ended; says whether there was one.
    async fn unfollow(&self, name: String) -> Result<bool>;
    /// Takes or keeps the lease of work. A store that only one process has open needs none.
    async fn lease(&self, asked: WorkLease) -> Result<LeaseHolder> {
        drop(asked);
        Ok(LeaseHolder::Nobody)
    }
    /// Users in the order of their names.
    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>>;

    /// Who may answer a read that must see an event.
    async fn reader(&self, at_least: EventSeq) -> Result<Reader>;
    /// An API key, also one that is over.
    async fn api_key(&self, id: KeyId) -> Result<Option<ApiKey>>;
    /// API keys after an id, in the order of their ids.
    async fn api_keys(&self, after: KeyId, limit: u32) -> Result<List<ApiKey>>;
    /// Remembers when API keys were last seen, which is no change of them.
    async fn api_keys_used(&self, used: Vec<(KeyId, Timestamp)>) -> Result<()>;
    /// The link of the hash chain that an event has; `None` when there is no such event. Whoever
    /// knows it can tell later whether the event or any before it was changed.
    async fn link(&self, seq: EventSeq) -> Result<Option<[u8; 32]>>;
    /// The newest event that readers see.
    fn seq(&self) -> EventSeq;
    /// Answers when the store can be read.
    async fn status(&self) -> Result<Status>;

    /// How the ring of keys is; `None` where nothing is sealed.
    async fn ring(&self) -> Result<Option<RingStatus>> {
        Ok(None)
    }
    /// Wraps up to so many keys by the current master key that others wrap, in one durable step;
    /// answers how many are left.
    async fn rewrap(&self, limit: u32) -> Result<u64> {
        let _ = limit;
        Err(Error::NotSealing)
    }
    /// Takes other master keys, which must unwrap all that is wrapped.
    async fn use_masters(&self, masters: Masters) -> Result<()> {
        drop(masters);
        Err(Error::NotSealing)
    }
    /// Destroys the keys of a user and with them the user's sealed values, here and in every
    /// backup; answers how many keys that were.
    async fn shred(&self, user: UserId) -> Result<u64> {
        drop(user);
        Err(Error::NotSealing)
    }

    /// Writes a complete copy to a file that is not there yet, while the store is in use.
    async fn backup(&self, target: &Path, progress: Progress<'_>) -> Result<()>;
    /// Recomputes everything that follows from the items and names every difference.
    async fn verify(&self, progress: Progress<'_>) -> Result<Verified>;
    /// The part of [`Store::verify`] that is about accounts and transfers.
    async fn verify_ledger(&self) -> Result<LedgerVerified>;
    /// Finishes what was accepted and lets go of the file.
    async fn close(&self);
}

/// Links that are followed to a file; more are a circle.
const LINKS_MAX: usize = 40;

/// The URL of a store without user, password and options, for messages.
#[must_use]
pub fn public_name(url: &str) -> String {
    if url.starts_with("sqlite:") { url.to_owned() } else { postgres::public_name(url) }
}

/// The URL of a store with its password hidden, for a configuration that is shown.
#[must_use]
pub fn masked(url: &str) -> String {
    if url.starts_with("sqlite:") { url.to_owned() } else { postgres::masked(url) }
}

/// The file of a store that is one. Where a link leads to a file, this is the file: its lock and its
/// socket stand beside it, whatever name it is opened by.
#[must_use]
pub fn file_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:").filter(|path| !path.is_empty())?;
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS_MAX {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    Some(path)
}

/// Reaches the store of a server on this machine that holds the file; `None` when no server
/// listens beside it, or the store is no file.
///
/// # Errors
/// When the server cannot be talked to, as when it is of another version.
pub async fn connect(url: &str) -> Result<Option<Arc<dyn Store>>> {
    let Some(path) = file_of(url) else { return Ok(None) };
    let remote = remote::Remote::connect(&path).await?;
    Ok(remote.map(|remote| Arc::new(remote) as Arc<dyn Store>))
}

/// Opens a store, bringing its schema up to date: `sqlite:FILE` or `postgres://HOST/DATABASE`.
///
/// # Errors
/// When the URL names no store, or the file is another process's, read-only, damaged or newer.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Store>> {
    if let Some(path) = file_of(url) {
        if options.replica.is_some() {
            return Err(Error::BadReplica { reason: "only postgres:// has replicas".into() });
        }
        // Migrating and recovering a file take as long as they take.
        let opening = tokio::task::spawn_blocking(move || sqlite::Sqlite::open(&path, options));
        let opened = opening.await.map_err(|error| Error::Driver(Box::new(error)))?;
        return Ok(Arc::new(opened?));
    }
    match url.split_once(':') {
        Some(("postgres" | "postgresql", place)) if place.starts_with("//") => {
            Ok(Arc::new(postgres::Postgres::open(url, options).await?))
        }
        _ => Err(Error::BadUrl { url: public_name(url) }),
    }
}
