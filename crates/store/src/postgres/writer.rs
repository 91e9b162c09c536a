//! What group commit needs of PostgreSQL: a connection of its own, the lock that gives each
//! commit its turn, and patience with a database that goes away.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use daybook_core::write_set::{Reply, WriteSet};
use daybook_core::{Submission, UserId, decide};
use futures_util::future::{join, try_join_all, try_join3};
use lru::LruCache;
use tokio::runtime::Runtime;

use super::buckets::Buckets;
use super::connect::Conn;
use super::load::load;
use super::locks::Lock;
use super::merge;
use super::ring::{self, Ring};
use super::target::Target;
use super::write;
use crate::chain::Link;
use crate::codec::corrupt;
use crate::dictionary::Remembered;
use crate::group::Backend;
use crate::seal::{DataKeys, Documents, Owners, Plan};
use crate::{Error, Options, Result, fold};

/// How long a commit waits for its turn, and how long a connection that died may hold the lock.
const TURN_MAX_MS: u64 = 10_000;
/// How long one commit may take.
const COMMIT_MAX: Duration = Duration::from_secs(60);
/// How long a commit is tried again.
const TRIES_MAX: Duration = Duration::from_secs(10);
/// The first and the longest pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(800);
/// How often replies that are too old are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Users whose numbers the writer remembers; about 10 MB.
const USERS_MAX: usize = 100_000;

pub struct Writing {
    /// The writer's own, on the writer's thread, so that what the database answers need not wait
    /// for requests to be worked on; made when it is needed.
    runtime: Option<Arc<Runtime>>,
    target: Target,
    /// `None` until it is needed, and after it broke.
    conn: Option<Conn>,
    begin: String,
    seq: Arc<AtomicI64>,
    /// Items that were written since the index of words and terms was last merged.
    unmerged: Arc<AtomicUsize>,
    replies_kept_us: i64,
    swept: Instant,
    interned: Interned,
    ring: Option<Ring>,
}

/// A commit that was sent and not answered.
type Unanswered = (Vec<Reply>, WriteSet, HashSet<u64>);

impl Writing {
    pub fn new(
        target: Target,
        seq: Arc<AtomicI64>,
        unmerged: Arc<AtomicUsize>,
        ring: Option<Ring>,
        options: &Options,
    ) -> Self {
        let lock = Lock::Commit.take();
        let begin = if target.keeps_settings() {
            format!("begin isolation level read committed; {lock}")
        } else {
            let settings = settings("set local");
            format!("begin isolation level read committed; {settings}; {lock}")
        };
        Self {
            runtime: None,
            target,
            conn: None,
            begin,
            seq,
            unmerged,
            replies_kept_us: i64::try_from(options.replies_kept.as_micros()).unwrap_or(i64::MAX),
            swept: Instant::now(),
            interned: Interned::default(),
            ring,
        }
    }

    /// Works on the ring, in a transaction that has the turn of a commit.
    pub fn in_turn<T>(&mut self, work: impl AsyncFnOnce(&Conn, &Ring) -> Result<T>) -> Result<T> {
        let runtime = self.runtime()?;
        runtime.block_on(async {
            let worked = self.try_in_turn(work).await;
            if worked.is_err() {
                self.tidy_up().await;
            }
            worked
        })
    }

    async fn try_in_turn<T>(
        &mut self,
        work: impl AsyncFnOnce(&Conn, &Ring) -> Result<T>,
    ) -> Result<T> {
        let conn = match self.conn.take().filter(|conn| !conn.is_broken()) {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        let conn = &*self.conn.insert(conn);
        let ring = self.ring.as_ref().ok_or(Error::NotSealing)?;
        conn.batch(&self.begin).await?;
        let done = work(conn, ring).await?;
        conn.batch("commit").await?;
        Ok(done)
    }

    fn runtime(&mut self) -> Result<Arc<Runtime>> {
        if let Some(runtime) = &self.runtime {
            return Ok(Arc::clone(runtime));
        }
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let made = Arc::new(made.map_err(|error| Error::Driver(Box::new(error)))?);
        Ok(Arc::clone(self.runtime.insert(made)))
    }

    /// Tries until it is done, refused, or too long ago.
    async fn persist(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>> {
        let mut unanswered = None;
        let mut pause = PAUSE_MIN;
        let mut failing: Option<Instant> = None;
        loop {
            let error = match self.attempt(submissions, &mut unanswered).await {
                Ok(replies) => {
                    if failing.is_some() {
                        tracing::info!("the database answers again");
                    }
                    return Ok(replies);
                }
                Err(error) => error,
            };
            // Nothing is left open on a connection that is used again.
            self.tidy_up().await;
            let error = if let Error::TooBroad { .. } = error { Error::Busy } else { error };
            let passes = matches!(error, Error::Away { .. } | Error::Busy);
            let since = *failing.get_or_insert_with(Instant::now);
            if !passes || since.elapsed() + pause > TRIES_MAX {
                return Err(error);
            }
            tracing::warn!(error = ?error, "a commit is tried again");
            tokio::time::sleep(jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn tidy_up(&mut self) {
        self.interned.users.clear();
        let Some(conn) = &self.conn else { return };
        if conn.is_broken() || conn.batch("rollback").await.is_err() {
            self.conn = None;
            // The database that answers next may have lost what this one had.
            self.interned.words.forget();
        }
    }

    async fn connect(&self) -> Result<Conn> {
        let conn = self.target.connect().await?.patient(COMMIT_MAX);
        if self.target.keeps_settings() {
            conn.batch(&settings("set")).await?;
        }
        Ok(conn)
    }

    /// One transaction: takes its turn, loads, decides and writes.
    async fn attempt(
        &mut self,
        submissions: &[Submission],
        unanswered: &mut Option<Unanswered>,
    ) -> Result<Vec<Reply>> {
        let conn = match self.conn.take().filter(|conn| !conn.is_broken()) {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        let conn = &*self.conn.insert(conn);
        if let Some((_, write, _)) = unanswered {
            // Whoever held the lock then has let go of it: what it did is done, or never will be.
            conn.batch(&self.begin).await?;
            let there = write::is_there(conn, write).await?;
            conn.batch("rollback").await?;
            if let Some((replies, write, fresh)) = unanswered.take().filter(|_| there) {
                tracing::info!("a commit whose answer was lost is in the database");
                self.finish_commit(&write, fresh);
                return Ok(replies);
            }
        }
        let numbers = |user: &UserId| self.interned.users.peek(user).copied();
        let (snapshot, buckets, newest) = load(conn, &self.begin, submissions, &numbers).await?;
        if newest.is_sealed && self.ring.is_none() {
            return Err(Error::NoMasterKey { name: self.target.name.clone() });
        }
        let owners = self.ring.as_ref().map(|_| Owners::of(&snapshot)).unwrap_or_default();
        let snapshot = ring::opened(conn, self.ring.as_ref().map(Ring::seal), snapshot).await?;
        let (replies, mut write) = decide(submissions, snapshot);
        if write.is_empty() {
            conn.batch("commit").await?;
            return Ok(replies);
        }
        let mut fresh = HashSet::new();
        let ring = self.ring.as_mut().map(|ring| (ring, owners));
        let written =
            send(conn, &mut write, (buckets, newest.link), &mut self.interned, &mut fresh, ring)
                .await;
        match written {
            Ok(()) => {
                self.finish_commit(&write, fresh);
                Ok(replies)
            }
            Err(error) => {
                if let Error::Away { .. } = error {
                    *unanswered = Some((replies, write, fresh));
                }
                Err(error)
            }
        }
    }

    fn finish_commit(&mut self, write: &WriteSet, fresh: HashSet<u64>) {
        self.interned.words.remember(fresh);
        if let Some(ring) = &mut self.ring {
            ring.committed();
        }
        self.unmerged.fetch_add(write.rows.len(), Ordering::Relaxed);
        if let Some(last) = write.events.last() {
            self.seq.fetch_max(last.seq.0, Ordering::AcqRel);
        }
    }
}

/// What holds for commits; `set` is how it is set.
fn settings(set: &str) -> String {
    // The tables grow from nothing while nobody has counted their rows yet, so that a plan might
    // read them whole; every question here is one that an index answers. New words and terms
    // stay in a list until they are merged, which is not to be done while others wait.
    [
        format!("{set} gin_pending_list_limit = {}", merge::LIST_KB_MAX),
        format!("{set} lock_timeout = {TURN_MAX_MS}"),
        format!("{set} statement_timeout = {}", COMMIT_MAX.as_millis()),
        format!("{set} idle_in_transaction_session_timeout = {TURN_MAX_MS}"),
        format!("{set} jit = off"),
        format!("{set} enable_seqscan = off"),
        format!("{set} plan_cache_mode = force_generic_plan"),
    ]
    .join("; ")
}

/// Sends all that is to be written, and the end of the transaction with it.
async fn send(
    conn: &Conn,
    write: &mut WriteSet,
    (buckets, link): (Buckets, Link),
    interned: &mut Interned,
    fresh: &mut HashSet<u64>,
    ring: Option<(&mut Ring, Owners)>,
) -> Result<()> {
    let (ring, plan) = match ring {
        Some((ring, owners)) => {
            let plan = Plan::of(write, ring.seal(), owners)?;
            (Some(ring), plan)
        }
        None => (None, Plan::default()),
    };
    let statistics = std::mem::take(&mut write.statistics);
    let changes = fold::sorted(&statistics);
    let parts = fold::parts(&changes);
    let mut batch = Batch::new(write, interned, fresh);
    let unknown = batch.unknown(write);
    let keys = async {
        match &ring {
            Some(ring) => ring.data_keys(conn, &plan.owners).await,
            None => Ok(DataKeys::new()),
        }
    };
    let (numbers, folded, keys) =
        try_join3(write::intern(conn, &unknown), buckets.fold(conn, &parts), keys).await?;
    batch.learn(numbers);
    let documents = match ring {
        Some(ring) => ring.write(conn, plan, write, &keys).await?,
        None => Documents::default(),
    };
    let statements = write::statements(write, (&documents, link), (&parts, &folded), &mut batch)?;
    let params: Vec<_> = statements.iter().map(write::Statement::params).collect();
    let prepared = statements
        .iter()
        .zip(&params)
        .map(|(statement, params)| conn.prepare(statement.sql, params));
    try_join_all(prepared).await?;
    // All are prepared, so each is sent as soon as its future is first asked, and the end of the
    // transaction last. After a failure the server takes the end as a rollback.
    let executed = statements
        .iter()
        .zip(&params)
        .map(|(statement, params)| conn.execute(statement.sql, params));
    let (executed, ended) = join(in_order(executed), conn.batch("commit")).await;
    executed?;
    ended
}

/// Polls futures in their order, all of them the first time, and tells the first failure.
async fn in_order<T>(futures: impl Iterator<Item = impl Future<Output = Result<T>>>) -> Result<()> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, done) in &mut futures {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(result) => *done = Some(result),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).find_map(Result::err).map_or(Ok(()), Err)
}

/// A pause of half to all of its length.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause / 2 + (pause / 2) * u32::try_from(random % 1_000).unwrap_or(0) / 1_000
}

impl Backend for Writing {
    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>> {
        self.runtime()?.block_on(self.persist(submissions))
    }

    fn forget(&mut self) {
        self.interned.users.clear();
        // A transaction may be open on it.
        self.conn = None;
    }

    /// Keeps the replies bounded. A failure is tried again later.
    fn tidy(&mut self) {
        if self.swept.elapsed() <= SWEEP_EVERY {
            return;
        }
        self.swept = Instant::now();
        let (Some(conn), Some(runtime)) = (&self.conn, &self.runtime) else { return };
        let swept = runtime.block_on(write::sweep(conn, self.replies_kept_us));
        if let Err(error) = swept {
            tracing::warn!(%error, "old replies stay for now");
        }
    }

    fn idle(&mut self, _: &AtomicUsize) {}

    fn finish(&mut self) {
        let Some((runtime, conn)) = self.runtime.clone().zip(self.conn.take()) else { return };
        runtime.block_on(async {
            drop(conn);
            // The connection takes its leave.
            tokio::task::yield_now().await;
        });
    }
}

/// What the writer knows to be in the database, so as not to look again.
struct Interned {
    users: LruCache<UserId, i64>,
    words: Remembered,
}

impl Default for Interned {
    fn default() -> Self {
        let room = NonZeroUsize::new(USERS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self { users: LruCache::new(room), words: Remembered::default() }
    }
}

/// What is known during one commit.
struct Batch<'a> {
    numbers: HashMap<UserId, i64>,
    interned: &'a mut Interned,
    fresh: &'a mut HashSet<u64>,
}

impl<'a> Batch<'a> {
    /// What is remembered of the users whom events name.
    fn new(write: &WriteSet, interned: &'a mut Interned, fresh: &'a mut HashSet<u64>) -> Self {
        let mut numbers = HashMap::new();
        for user in write.events.iter().filter_map(|event| event.user_id.as_ref()) {
            if let Some(number) = interned.users.get(user) {
                numbers.insert(user.clone(), *number);
            }
        }
        Self { numbers, interned, fresh }
    }

    /// The users whose numbers must be asked for.
    fn unknown<'w>(&self, write: &'w WriteSet) -> Vec<&'w str> {
        let users = write.events.iter().filter_map(|event| event.user_id.as_ref());
        let unknown = users.filter(|user| !self.numbers.contains_key(*user));
        unknown.map(UserId::as_str).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn learn(&mut self, numbers: Vec<(UserId, i64)>) {
        for (user, number) in numbers {
            self.interned.users.put(user.clone(), number);
            self.numbers.insert(user, number);
        }
    }
}

impl write::Known for Batch<'_> {
    fn user(&self, user: &UserId) -> Result<i64> {
        self.numbers.get(user).copied().ok_or_else(|| corrupt("number of a user"))
    }

    fn word(&mut self, hash: u64) -> bool {
        self.interned.words.contains(hash) || !self.fresh.insert(hash)
    }
}
