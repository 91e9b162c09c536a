//! The embedded store: one file, one writer, many readers.

mod backup;
mod chain;
mod checkpoint;
pub mod copy;
mod counts;
mod follow;
mod keys;
mod ledger;
mod outdated;
mod pool;
mod read;
mod ring;
mod schema;
mod statistics;
mod verify;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery};
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transfer::Entry;
use daybook_core::write_set::Reply;
use daybook_core::{
    AccountId, ApiKey, Event, EventSeq, Holding, KeyId, Query, Submission, Timestamp, Transaction,
    TransactionId, Transfer, TransferId, UserId,
};

pub use backup::backup_file;
use rusqlite::Connection;
pub use schema::beside;
use tokio::sync::watch;

use self::counts::Counts;
use self::pool::Pool;
use self::ring::Ring;
use self::writer::Writing;
use crate::group::Writer;
use crate::page;
use crate::seal::{Masters, RingStatus, Seal, Sealed};
use crate::{
    Changes, Claim, Due, Error, Follower, LedgerVerified, List, Options, Page, Progress, Reader,
    Result, Status, Store, Verified,
};

/// How many steps of SQLite's machine a long look takes between two looks at whether to end.
const STEPS_PER_LOOK: i32 = 20_000;

/// What the writer and the readers share.
#[derive(Debug)]
pub struct Shared {
    /// The newest event that is durable.
    seq: AtomicI64,
    /// How many items users have.
    counts: Counts,
    /// Whether the store is about to end, and long looks with it.
    closing: AtomicBool,
}

/// An open store.
pub struct Sqlite {
    path: PathBuf,
    shared: Arc<Shared>,
    writer: Writer<Writing>,
    pool: Pool,
    seal: Option<Arc<Seal>>,
    /// Whether it is only to be looked at.
    without_keys: bool,
}

impl Sqlite {
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        let mut opened = schema::open(path)?;
        schema::require_whole(&opened.conn, path)?;
        let shared = Arc::new(Shared {
            seq: AtomicI64::new(opened.seq.0),
            counts: Counts::default(),
            closing: AtomicBool::new(false),
        });
        let ring = ring::open(path, &opened.conn, &options)?;
        outdated::complete(&mut opened.conn, ring.as_ref())?;
        let seal = ring.as_ref().map(Ring::shared);
        let pool = Pool::open(path, &options)?;
        let writing = Writing::new(path, opened, ring, Arc::clone(&shared), options.replies_kept)?;
        let writer = Writer::start(writing, &options)?;
        let without_keys = options.without_keys;
        Ok(Self { path: path.to_owned(), shared, writer, pool, seal, without_keys })
    }

    /// Asks, and opens what is sealed in the answer.
    async fn ask<T: Sealed + Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.pool.run(opening(self.seal.clone(), question)).await
    }

    /// As [`Sqlite::ask`], for a question that is known to be short.
    async fn ask_quick<T: Sealed + Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.pool.run_quick(opening(self.seal.clone(), question)).await
    }
}

/// A question, with what is sealed in its answer opened.
fn opening<T: Sealed, Q: FnOnce(&Connection) -> Result<T>>(
    seal: Option<Arc<Seal>>,
    question: Q,
) -> impl FnOnce(&Connection) -> Result<T> + use<T, Q> {
    move |conn| {
        let Some(seal) = seal else { return question(conn) };
        let read = seal.known.now();
        ring::opened(conn, &seal, question(conn)?, read)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, submission: Submission) -> Result<Reply> {
        if self.without_keys {
            return Err(Error::NoMasterKey { name: self.path.display().to_string() });
        }
        self.writer.commit(submission).await
    }

    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>> {
        self.ask_quick(move |conn| read::transaction(conn, id)).await
    }

    async fn transactions(&self, query: Query) -> Result<Page> {
        self.seal.as_ref().map_or(Ok(()), |seal| seal.require_comparable(&query))?;
        let counts = &self.shared.counts;
        let begun = page::counts_all(&query).then(|| counts.get_or_begin(&query.user_id));
        let known = begun.and_then(std::result::Result::ok);
        let user = query.user_id.clone();
        let quick = read::is_quick(&query, known);
        let seal = self.seal.clone();
        let question = move |conn: &Connection| {
            let mut query = query;
            if let Some(seal) = seal.filter(|seal| seal.needs_key(&query)) {
                let read = seal.known.now();
                // The books first: whatever is sealed in what is read of them has its key in what
                // is read of the ring afterwards.
                read::user_number(conn, &query.user_id)?;
                if let Some(key) = ring::live(conn, &seal, query.user_id.as_str(), read)? {
                    seal.blind(&mut query, &key);
                }
            }
            read::page(conn, &query, known)
        };
        let page = if quick { self.ask_quick(question).await? } else { self.ask(question).await? };
        if let (Some(Err(ticket)), Some(total)) = (begun, page.total) {
            counts.finish(&user, ticket, total);
        }
        Ok(page)
    }

    async fn statistics(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
    ) -> Result<Vec<Statistics>> {
        self.pool.run(move |conn| statistics::totals(conn, &user, &span, &currencies)).await
    }

    async fn series(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
        interval: Interval,
        group_by: GroupBy,
    ) -> Result<Vec<Series>> {
        self.seal.as_ref().map_or(Ok(()), |seal| seal.require_groups(&group_by))?;
        self.pool
            .run(move |conn| {
                statistics::series(conn, &user, &span, &currencies, interval, &group_by)
            })
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Holding>> {
        self.ask_quick(move |conn| ledger::read::account(conn, id)).await
    }

    async fn accounts(&self, query: AccountsQuery) -> Result<List<Holding>> {
        self.ask(move |conn| ledger::read::accounts(conn, &query)).await
    }

    async fn balance_at(&self, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
        self.ask_quick(move |conn| ledger::read::balance_at(conn, id, at)).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<Option<List<Entry>>> {
        self.ask_quick(move |conn| ledger::read::entries(conn, &query)).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>> {
        self.ask_quick(move |conn| ledger::read::transfer(conn, id)).await
    }

    async fn transfers(&self, query: TransfersQuery) -> Result<List<Transfer>> {
        self.ask(move |conn| ledger::read::transfers(conn, &query)).await
    }

    async fn due(&self, at: Timestamp, limit: u32) -> Result<Due> {
        self.pool.run(move |conn| ledger::read::due(conn, at, limit)).await
    }

    async fn history(&self, id: TransactionId) -> Result<Vec<Event>> {
        self.ask(move |conn| read::history(conn, id)).await
    }

    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes> {
        self.ask(move |conn| read::changes(conn, &user, after, limit)).await
    }

    async fn events(&self, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
        self.ask(move |conn| read::events(conn, after, limit)).await
    }

    async fn follow(&self, claim: Claim) -> Result<Option<EventSeq>> {
        self.writer.run(move |writing| writing.follow(&claim)).await
    }

    async fn link(&self, seq: EventSeq) -> Result<Option<[u8; 32]>> {
        self.pool.run_quick(move |conn| chain::link(conn, seq)).await
    }

    async fn api_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        self.pool.run_quick(move |conn| keys::get(conn, id)).await
    }

    async fn api_keys(&self, after: KeyId, limit: u32) -> Result<List<ApiKey>> {
        self.pool.run(move |conn| keys::list(conn, after, limit)).await
    }

    async fn api_keys_used(&self, used: Vec<(KeyId, Timestamp)>) -> Result<()> {
        self.writer.run(move |writing| keys::used(&mut writing.opened.conn, &used)).await
    }

    async fn followers(&self) -> Result<Vec<Follower>> {
        self.writer.run(|writing| writing.followers()).await
    }

    async fn unfollow(&self, name: String) -> Result<bool> {
        self.writer.run(move |writing| writing.unfollow(&name)).await
    }

    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.pool.run(move |conn| read::users(conn, after.as_ref(), limit)).await
    }

    async fn reader(&self, at_least: EventSeq) -> Result<Reader> {
        Ok(if at_least <= self.seq() { Reader::Itself } else { Reader::Nobody })
    }

    fn seq(&self) -> EventSeq {
        EventSeq(self.shared.seq.load(Ordering::Acquire))
    }

    async fn status(&self) -> Result<Status> {
        let schema = self.pool.run(schema::version).await?;
        let wal = beside(&self.path, "-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        Ok(Status {
            seq: self.seq(),
            schema,
            waiting: self.writer.waiting(),
            bytes: size(&self.path) + size(&wal),
            is_full: self.writer.is_full(),
            replica: None,
        })
    }

    async fn ring(&self) -> Result<Option<RingStatus>> {
        match self.seal {
            Some(_) => self.writer.run(|writing| writing.ring()?.status()).await.map(Some),
            None => Ok(None),
        }
    }

    async fn rewrap(&self, limit: u32) -> Result<u64> {
        self.writer.run(move |writing| writing.ring()?.rewrap(limit)).await
    }

    async fn use_masters(&self, masters: Masters) -> Result<()> {
        self.writer.run(move |writing| writing.ring()?.use_masters(masters)).await
    }

    async fn shred(&self, user: UserId) -> Result<u64> {
        self.writer.run(move |writing| writing.ring()?.shred(&user)).await
    }

    async fn backup(&self, target: &Path, progress: Progress<'_>) -> Result<()> {
        backup::backup(&self.path, target, progress).await
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        let (path, shared, seal) = (self.path.clone(), Arc::clone(&self.shared), self.seal.clone());
        let wanted = Arc::new(());
        let gone = Arc::downgrade(&wanted);
        let (tell, mut told) = watch::channel((0, 0));
        let looking = tokio::task::spawn_blocking(move || {
            // A connection of its own, because this takes longer than a question may.
            let mut conn = pool::reader(&path)?;
            let ending = move || shared.closing.load(Ordering::Relaxed) || gone.strong_count() == 0;
            conn.progress_handler(STEPS_PER_LOOK, Some(ending))?;
            if seal.is_some() {
                ring::attach(&conn, &path)?;
            }
            verify::verify(&conn, seal.as_deref(), &|done, all| {
                tell.send_replace((done, all));
            })
        });
        while told.changed().await.is_ok() {
            let (done, all) = *told.borrow_and_update();
            progress(done, all);
        }
        let found = looking.await.map_err(|error| Error::Driver(Box::new(error)))?;
        drop(wanted);
        match found {
            Err(Error::TooBroad { .. }) => Err(Error::Closed),
            found => found,
        }
    }

    async fn verify_ledger(&self) -> Result<LedgerVerified> {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        let looking = tokio::task::spawn_blocking(move || {
            let mut conn = pool::reader(&path)?;
            let closing = move || shared.closing.load(Ordering::Relaxed);
            conn.progress_handler(STEPS_PER_LOOK, Some(closing))?;
            conn.execute_batch("begin")?;
            ledger::verify::verify(&conn, &|_, _| {})
        });
        match looking.await.map_err(|error| Error::Driver(Box::new(error)))? {
            Err(Error::TooBroad { .. }) => Err(Error::Closed),
            found => found,
        }
    }

    async fn close(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.pool.close();
        self.writer.close().await;
        tracing::debug!(path = %self.path.display(), "store closed");
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { what: error.to_string() }
            }
            // The only one who interrupts a statement is the clock of a question.
            Some(ErrorCode::OperationInterrupted) => {
                Self::TooBroad { limit: std::time::Duration::ZERO }
            }
            _ => Self::Driver(Box::new(error)),
        }
    }
}
