//! A copy of the database that the server keeps by itself (streaming replication), which answers
//! reads while it keeps up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use daybook_core::EventSeq;

use super::connect::Pool;
use super::target::{Target, public_name};
use super::{LOOK_EVERY, Postgres, newest, schema};
use crate::seal::Seal;
use crate::{Error, Options, ReplicaStatus, Result, Store};

/// How far a replica may be behind; one further behind answers nothing.
const LAG_MAX: Duration = Duration::from_secs(5);

/// A replica, which may be away or behind.
pub struct Replica {
    store: Arc<Postgres>,
    is_fresh: Arc<AtomicBool>,
}

impl Replica {
    /// Begins to follow a replica. One that is away is used as soon as it is there.
    ///
    /// # Errors
    /// When the URL cannot be read, or is no replica of the same database.
    pub async fn open(
        url: &str,
        options: &Options,
        primary: &Arc<Pool>,
        (written, seal): (&Arc<AtomicI64>, Option<&Arc<Seal>>),
    ) -> Result<Self> {
        let target = Target::parse(url, options)?;
        let pool = Pool::new(&target)?;
        let reading = Arc::new(pool.or(Arc::clone(primary)));
        let mut watch = Watch {
            name: public_name(url),
            pool,
            original: Original::of(primary).await?,
            written: Arc::clone(written),
            seq: Arc::new(AtomicI64::new(0)),
            is_fresh: Arc::new(AtomicBool::new(false)),
            is_known: false,
            due: VecDeque::from([(Instant::now(), written.load(Ordering::Acquire))]),
        };
        if let Err(error @ Error::BadReplica { .. }) = watch.look().await {
            return Err(error);
        }
        let (seq, is_fresh) = (Arc::clone(&watch.seq), Arc::clone(&watch.is_fresh));
        let looking = tokio::spawn(watch.run());
        let seal = seal.cloned();
        let is_closed = Arc::default();
        let (writer, replica) = (None, None);
        let store = Postgres { pool: reading, writer, seq, looking, replica, seal, is_closed };
        let store = Arc::new(store);
        Ok(Self { store, is_fresh })
    }

    /// The replica, when it keeps up and has the event.
    pub fn reader(&self, at_least: EventSeq) -> Option<Arc<dyn Store>> {
        let may = self.is_fresh.load(Ordering::Acquire) && at_least <= self.store.seq();
        may.then(|| Arc::clone(&self.store) as Arc<dyn Store>)
    }

    pub fn status(&self) -> ReplicaStatus {
        let is_fresh = self.is_fresh.load(Ordering::Acquire);
        ReplicaStatus { seq: self.store.seq(), is_fresh }
    }

    pub async fn close(&self) {
        self.store.close().await;
    }
}

/// By what a copy of a database is known.
#[derive(PartialEq, Eq)]
struct Original {
    database: String,
    /// Unknown where the server does not tell everybody.
    system: Option<i64>,
}

impl Original {
    async fn of(pool: &Pool) -> Result<Self> {
        let conn = pool.ask().await?;
        let about = "select current_database()::text, \
             has_function_privilege('pg_control_system()', 'execute')";
        let row = conn.query_opt(about, &[]).await?.ok_or(Error::Closed)?;
        let (database, tells): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        let system = "select system_identifier from pg_control_system()";
        let system = match tells {
            true => conn.query_opt(system, &[]).await?.map(|row| row.try_get(0)).transpose()?,
            false => None,
        };
        Ok(Self { database, system })
    }
}

/// Looks at a replica again and again.
struct Watch {
    name: String,
    pool: Pool,
    original: Original,
    /// The newest event of the original.
    written: Arc<AtomicI64>,
    /// The newest event of the replica.
    seq: Arc<AtomicI64>,
    is_fresh: Arc<AtomicBool>,
    /// Whether it is known to be a replica of the original.
    is_known: bool,
    /// Since when the original is known to have an event, oldest first.
    due: VecDeque<(Instant, i64)>,
}

impl Watch {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let was_fresh = self.is_fresh.load(Ordering::Acquire);
            match self.look().await {
                Ok(is_fresh) if is_fresh == was_fresh => {}
                Ok(true) => tracing::info!(replica = self.name, "the replica answers"),
                Ok(false) => tracing::warn!(replica = self.name, "the replica is behind"),
                Err(Error::Closed) => return,
                Err(error) if was_fresh => {
                    tracing::warn!(replica = self.name, ?error, "the replica is away");
                }
                Err(error) => tracing::debug!(replica = self.name, ?error, "still away"),
            }
        }
    }

    /// Looks whether the replica keeps up.
    async fn look(&mut self) -> Result<bool> {
        let is_fresh = self.keeps_up().await;
        // What comes back may be something else.
        self.is_known &= is_fresh.is_ok();
        self.is_fresh.store(is_fresh.as_ref().is_ok_and(|fresh| *fresh), Ordering::Release);
        is_fresh
    }

    async fn keeps_up(&mut self) -> Result<bool> {
        if !self.is_known {
            self.is_known = self.is_replica().await?;
        }
        if !self.is_known {
            return Ok(false);
        }
        let now = Instant::now();
        self.due.push_back((now, self.written.load(Ordering::Acquire)));
        while self.due.get(1).is_some_and(|(since, _)| now.duration_since(*since) >= LAG_MAX) {
            self.due.pop_front();
        }
        let found = newest(&self.pool).await?;
        self.seq.store(found, Ordering::Release);
        Ok(self.due.front().is_none_or(|(_, due)| found >= *due))
    }

    /// Whether it is a replica of the original, and has its schema already.
    async fn is_replica(&self) -> Result<bool> {
        let copy = Original::of(&self.pool).await?;
        let conn = self.pool.ask().await?;
        let row = conn.query_opt("select pg_is_in_recovery()", &[]).await?;
        let is_copy: bool = row.map_or(Ok(false), |row| row.try_get(0))?;
        if !is_copy || copy != self.original {
            let reason = format!("{} is no replica of the store's database", self.name);
            return Err(Error::BadReplica { reason });
        }
        Ok(schema::version(&conn).await? >= schema::known())
    }
}
