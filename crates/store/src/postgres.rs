//! PostgreSQL as the store: one database, any number of Daybook processes.
//!
//! One commit at a time: each takes the same advisory lock first, so what it loads is what the
//! last one left, its events follow the last one's without a gap, and nobody sees them out of
//! order. Group commit makes each a batch, so that waiting for one's turn costs little.

mod ask;
mod buckets;
mod chain;
mod connect;
pub mod copy;
mod failure;
mod follow;
mod keys;
mod lease;
mod ledger;
mod load;
mod locks;
mod merge;
mod outdated;
pub mod param;
mod read;
mod replica;
mod ring;
mod schema;
mod search;
mod sift;
mod statistics;
mod target;
mod tls;
mod verify;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daybook_core::query::{AccountsQuery, EntriesQuery, TransfersQuery};
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::transfer::Entry;
use daybook_core::write_set::Reply;
use daybook_core::{
    AccountId, ApiKey, Event, EventSeq, Holding, KeyId, Query, Submission, Timestamp, Transaction,
    TransactionId, Transfer, TransferId, UserId,
};
use futures_util::future::{join, try_join};
use tokio::task::JoinHandle;

use self::connect::{Conn, Pool};
use self::replica::Replica;
use self::ring::Ring;
use self::target::Target;
pub use self::target::{masked, public_name};
use self::writer::Writing;
use crate::group::Writer;
use crate::seal::{Masters, RingStatus, Seal, Sealed};
use crate::{
    Changes, Claim, Due, Error, Follower, LeaseHolder, LedgerVerified, List, Options, Page,
    Progress, Reader, Result, Status, Store, Verified, WorkLease,
};

/// How often the newest event of other processes is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An open store.
pub struct Postgres {
    pool: Arc<Pool>,
    /// None where it is a replica.
    writer: Option<Writer<Writing>>,
    /// The newest event that is known here.
    seq: Arc<AtomicI64>,
    looking: JoinHandle<()>,
    replica: Option<Replica>,
    seal: Option<Arc<Seal>>,
    /// Whether values are sealed for which there are no keys here.
    is_closed: Arc<AtomicBool>,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// When the URL cannot be read, the server cannot be reached, or its schema is newer.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        let target = Target::parse(url, &options)?;
        schema::migrate(&target).await?;
        schema::require_whole(&target.connect().await?, &target).await?;
        let ring = ring::open(&target, &options).await?;
        let seal = ring.as_ref().map(Ring::shared);
        outdated::complete(&target, seal.as_deref()).await?;
        let pool = Arc::new(Pool::new(&target)?);
        let seq = Arc::new(AtomicI64::new(newest(&pool).await?));
        let replica = match &options.replica {
            Some(url) => Some(Replica::open(url, &options, &pool, (&seq, seal.as_ref())).await?),
            None => None,
        };
        let unmerged = Arc::new(AtomicUsize::new(0));
        let is_closed = Arc::new(AtomicBool::new(false));
        // Another process may begin to seal; without keys this one is of no use then.
        let closing = (seal.is_none() && !options.without_keys).then(|| Arc::clone(&is_closed));
        let following = look(Arc::clone(&pool), Arc::clone(&seq), closing);
        let merging = merge::run(Arc::clone(&pool), Arc::clone(&unmerged));
        let looking = tokio::spawn(async {
            join(following, merging).await;
        });
        let writing = Writing::new(target, Arc::clone(&seq), unmerged, ring, &options);
        let writer = Some(Writer::start(writing, &options)?);
        Ok(Self { pool, writer, seq, looking, replica, seal, is_closed })
    }

    fn seal(&self) -> Option<&Seal> {
        self.seal.as_deref()
    }

    /// Opens what is sealed in the answer that a connection gave.
    async fn opened<T: Sealed>(&self, conn: &Conn, found: T) -> Result<T> {
        self.require_keys()?;
        ring::opened(conn, self.seal(), found).await
    }

    /// Refuses what would show or record values that others have sealed.
    fn require_keys(&self) -> Result<()> {
        match self.is_closed.load(Ordering::Relaxed) {
            true => Err(Error::NoMasterKey { name: "the database".to_owned() }),
            false => Ok(()),
        }
    }

    fn writer(&self) -> Result<&Writer<Writing>> {
        self.writer.as_ref().ok_or(Error::ReadOnly)
    }
}

/// The newest event of the database.
async fn newest(pool: &Pool) -> Result<i64> {
    let newest = "select coalesce(max(seq), 0) from events";
    let row = pool.ask().await?.query_opt(newest, &[]).await?;
    row.map_or(Ok(0), |row| Ok(row.try_get(0)?))
}

/// Whether any process has sealed anything.
async fn is_sealed(pool: &Pool) -> Result<bool> {
    let row = pool.ask().await?.query_opt("select 1 from sealing", &[]).await?;
    Ok(row.is_some())
}

/// Follows the commits of other processes, and whether they seal where this one has no keys.
async fn look(pool: Arc<Pool>, seq: Arc<AtomicI64>, closing: Option<Arc<AtomicBool>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(is_closed) = &closing
            && let Ok(true) = is_sealed(&pool).await
        {
            is_closed.store(true, Ordering::Relaxed);
        }
        match newest(&pool).await {
            Ok(found) => {
                seq.fetch_max(found, Ordering::AcqRel);
            }
            Err(Error::Closed) => return,
            // Whoever asks for something hears of it; here it is tried again.
            Err(error) => tracing::debug!(%error, "the newest event is not known"),
        }
    }
}

#[async_trait]
impl Store for Postgres {
    async fn commit(&self, submission: Submission) -> Result<Reply> {
        self.writer()?.commit(submission).await
    }

    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>> {
        let conn = self.pool.ask().await?;
        self.opened(&conn, read::transaction(&conn, id).await?).await
    }

    async fn transactions(&self, query: Query) -> Result<Page> {
        self.require_keys()?;
        let (conn, mut query) = (self.pool.snapshot().await?, query);
        if let Some(seal) = self.seal() {
            seal.require_comparable(&query)?;
            if seal.needs_key(&query)
                && let Some(key) = ring::live(&conn, seal, query.user_id.as_str()).await?
            {
                seal.blind(&mut query, &key);
            }
        }
        // All keys of the user are asked for beside the items, so that nobody waits for them.
        let keys = ring::of_owner(&conn, self.seal(), &query.user_id);
        let (mut page, keys) = try_join(read::page(&conn, &query), keys).await?;
        if self.seal.is_some() {
            page.open(&keys)?;
        }
        Ok(page)
    }

    async fn statistics(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
    ) -> Result<Vec<Statistics>> {
        statistics::totals(&self.pool.snapshot().await?, &user, &span, &currencies).await
    }

    async fn series(
        &self,
        user: UserId,
        span: Span,
        currencies: Vec<String>,
        interval: Interval,
        group_by: GroupBy,
    ) -> Result<Vec<Series>> {
        self.seal().map_or(Ok(()), |seal| seal.require_groups(&group_by))?;
        let conn = self.pool.snapshot().await?;
        statistics::series(&conn, &user, &span, &currencies, interval, &group_by).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Holding>> {
        let conn = self.pool.ask().await?;
        self.opened(&conn, ledger::account(&conn, id).await?).await
    }

    async fn accounts(&self, query: AccountsQuery) -> Result<List<Holding>> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, ledger::accounts(&conn, &query).await?).await
    }

    async fn balance_at(&self, id: AccountId, at: Timestamp) -> Result<Option<Holding>> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, ledger::balance_at(&conn, id, at).await?).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<Option<List<Entry>>> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, ledger::entries(&conn, &query).await?).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>> {
        let conn = self.pool.ask().await?;
        self.opened(&conn, ledger::transfer(&conn, id).await?).await
    }

    async fn transfers(&self, query: TransfersQuery) -> Result<List<Transfer>> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, ledger::transfers(&conn, &query).await?).await
    }

    async fn due(&self, at: Timestamp, limit: u32) -> Result<Due> {
        ledger::due(&self.pool.snapshot().await?, at, limit).await
    }

    async fn history(&self, id: TransactionId) -> Result<Vec<Event>> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, read::history(&conn, id).await?).await
    }

    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes> {
        let conn = self.pool.snapshot().await?;
        self.opened(&conn, read::changes(&conn, &user, after, limit).await?).await
    }

    async fn events(&self, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
        let conn = self.pool.ask().await?;
        self.opened(&conn, read::events(&conn, after, limit).await?).await
    }

    async fn link(&self, seq: EventSeq) -> Result<Option<[u8; 32]>> {
        chain::link(&self.pool.ask().await?, seq).await
    }

    async fn follow(&self, claim: Claim) -> Result<Option<EventSeq>> {
        follow::follow(&self.pool.write().await?, &claim).await
    }

    async fn lease(&self, asked: WorkLease) -> Result<LeaseHolder> {
        lease::lease(&self.pool.write().await?, &asked).await
    }

    async fn api_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        Ok(keys::get(&self.pool.ask().await?, vec![id.0]).await?.pop())
    }

    async fn api_keys(&self, after: KeyId, limit: u32) -> Result<List<ApiKey>> {
        keys::list(&self.pool.ask().await?, after, limit).await
    }

    async fn api_keys_used(&self, used: Vec<(KeyId, Timestamp)>) -> Result<()> {
        keys::used(&self.pool.write().await?, &used).await
    }

    async fn followers(&self) -> Result<Vec<Follower>> {
        follow::followers(&self.pool.ask().await?).await
    }

    async fn unfollow(&self, name: String) -> Result<bool> {
        follow::unfollow(&self.pool.write().await?, &name).await
    }

    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        read::users(&self.pool.ask().await?, after.as_ref(), limit).await
    }

    async fn reader(&self, at_least: EventSeq) -> Result<Reader> {
        if let Some(replica) = self.replica.as_ref().and_then(|replica| replica.reader(at_least)) {
            return Ok(Reader::Replica(replica));
        }
        if at_least > self.seq() {
            // Another process may have written it a moment ago.
            self.seq.fetch_max(newest(&self.pool).await?, Ordering::AcqRel);
        }
        Ok(if at_least <= self.seq() { Reader::Itself } else { Reader::Nobody })
    }

    fn seq(&self) -> EventSeq {
        EventSeq(self.seq.load(Ordering::Acquire))
    }

    async fn status(&self) -> Result<Status> {
        let conn = self.pool.snapshot().await?;
        let schema = schema::version(&conn).await?;
        let size = conn.query_opt("select pg_database_size(current_database())", &[]).await?;
        let bytes: i64 = size.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(Status {
            seq: self.seq(),
            schema,
            waiting: self.writer.as_ref().map_or(0, Writer::waiting),
            bytes: u64::try_from(bytes).unwrap_or(0),
            is_full: self.writer.as_ref().is_some_and(Writer::is_full),
            replica: self.replica.as_ref().map(Replica::status),
        })
    }

    async fn ring(&self) -> Result<Option<RingStatus>> {
        match self.seal() {
            Some(seal) => ring::status(&self.pool.snapshot().await?, seal).await.map(Some),
            None => Ok(None),
        }
    }

    async fn rewrap(&self, limit: u32) -> Result<u64> {
        let rewrap =
            async move |conn: &Conn, ring: &Ring| ring::rewrap(conn, ring.seal(), limit).await;
        self.writer()?.run(move |writing| writing.in_turn(rewrap)).await
    }

    async fn use_masters(&self, masters: Masters) -> Result<()> {
        let seal = self.seal().ok_or(Error::NotSealing)?;
        ring::use_masters(&self.pool.ask().await?, seal, masters).await
    }

    async fn shred(&self, user: UserId) -> Result<u64> {
        let shred = async move |conn: &Conn, _: &Ring| ring::shred(conn, &user).await;
        let seal = self.seal.clone();
        // Also when nobody waits for the answer any more.
        let shred = move |writing: &mut Writing| {
            let destroyed = writing.in_turn(shred);
            if let Some(seal) = seal {
                seal.known.forget();
            }
            destroyed
        };
        let destroyed = self.writer()?.run(shred).await?;
        ring::clean(self.pool.target()).await;
        Ok(destroyed)
    }

    async fn backup(&self, _: &Path, _: Progress<'_>) -> Result<()> {
        Err(Error::NoBackup)
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        verify::verify(&self.pool.look().await?, self.seal(), progress).await
    }

    async fn verify_ledger(&self) -> Result<LedgerVerified> {
        verify::verify_ledger(&self.pool.look().await?, &|_, _| {}).await
    }

    async fn close(&self) {
        self.looking.abort();
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.pool.close();
        tracing::debug!("store closed");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
