//! Threads that answer questions, each with a read-only connection whose statements stay prepared.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use daybook_core::Json;
use daybook_core::query::{Compare, CompareOp};
use parking_lot::{Condvar, Mutex};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::ring;
use crate::{Error, Options, Result};

/// Questions that may wait; one more is refused.
const QUEUE_MAX: usize = 4_096;
/// The page cache of a reader for short questions, in KiB; what it does not hold the operating
/// system does, at the cost of a system call.
const QUICK_CACHE_KIB: i64 = 48 * 1024;
/// The page cache of a reader for long questions, which touch most pages once.
const CACHE_KIB: i64 = 8 * 1024;
/// How many steps of SQLite's machine lie between two looks at the clock.
const STEPS_PER_LOOK: i32 = 20_000;

type Task = Box<dyn FnOnce(&Connection) + Send>;

struct Line {
    tasks: VecDeque<Task>,
    open: bool,
}

/// A connection and the clock of its questions.
struct Reader {
    conn: Connection,
    clock: Clock,
}

struct Queue {
    line: Mutex<Line>,
    wake: Condvar,
}

pub struct Pool {
    queue: Arc<Queue>,
    /// Readers for questions that cost no more than a few dozen index steps.
    quick: Mutex<Vec<Reader>>,
    limit: Duration,
}

impl Pool {
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let open = |cache_kib| Reader::open(path, options, cache_kib);
        let line = Line { tasks: VecDeque::new(), open: true };
        let queue = Arc::new(Queue { line: Mutex::new(line), wake: Condvar::new() });
        for number in 0..options.readers.max(1) {
            let reader = open(CACHE_KIB)?;
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("reader-{number}"))
                .spawn(move || serve(&reader, &queue))
                .map_err(|error| Error::Driver(Box::new(error)))?;
        }
        let quick = (0..options.readers.max(1)).map(|_| open(QUICK_CACHE_KIB));
        let quick = Mutex::new(quick.collect::<Result<_>>()?);
        Ok(Self { queue, quick, limit: options.query_time })
    }

    /// Runs a question that is known to be short on the calling thread: a change of threads would
    /// cost more than the answer. Where no reader is free it waits in the line like any other.
    pub async fn run_quick<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let free = self.quick.lock().pop();
        let Some(reader) = free else {
            return self.run(question).await;
        };
        let result = reader.ask(|conn| in_one_state(conn, question));
        let mut quick = self.quick.lock();
        if self.queue.line.lock().open {
            quick.push(reader);
        }
        drop(quick);
        result.ok_or_else(panicked)?.map_err(|error| self.limited(error))
    }

    /// Runs a question in one read transaction, so that all of it sees one state of the books.
    pub async fn run<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |conn| {
            // The caller may have gone; then nobody needs the answer.
            drop(answer.send(in_one_state(conn, question)));
        });
        {
            let mut line = self.queue.line.lock();
            if !line.open {
                return Err(Error::Closed);
            }
            if line.tasks.len() >= QUEUE_MAX {
                return Err(Error::Busy);
            }
            line.tasks.push_back(task);
        }
        self.queue.wake.notify_one();
        // Whoever takes a question answers it, also when the pool is closed meanwhile.
        answered.await.map_err(|_| panicked())?.map_err(|error| self.limited(error))
    }

    /// Says how long a question may take that took longer.
    fn limited(&self, error: Error) -> Error {
        match error {
            Error::TooBroad { .. } => Error::TooBroad { limit: self.limit },
            other => other,
        }
    }

    /// Refuses new questions; those that wait are still answered.
    pub fn close(&self) {
        self.queue.line.lock().open = false;
        self.quick.lock().clear();
        self.queue.wake.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn in_one_state<T>(
    conn: &Connection,
    question: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    conn.prepare_cached("begin")?.execute([])?;
    let result = question(conn);
    conn.prepare_cached("commit")?.execute([])?;
    result
}

fn serve(reader: &Reader, queue: &Queue) {
    loop {
        let task = {
            let mut line = queue.line.lock();
            loop {
                if let Some(task) = line.tasks.pop_front() {
                    break task;
                }
                if !line.open {
                    return;
                }
                queue.wake.wait(&mut line);
            }
        };
        reader.ask(task);
    }
}

fn panicked() -> Error {
    Error::Driver("the question panicked".into())
}

impl Reader {
    fn open(path: &Path, options: &Options, cache_kib: i64) -> Result<Self> {
        let mut conn = reader(path)?;
        conn.pragma_update(None, "cache_size", -cache_kib)?;
        if options.sealing.is_some() {
            ring::attach(&conn, path)?;
        }
        let clock = Clock::on(&mut conn, options.query_time)?;
        Ok(Self { conn, clock })
    }

    /// Asks a question. One that panics has no answer, and leaves the reader fit for the next.
    fn ask<T>(&self, question: impl FnOnce(&Connection) -> T) -> Option<T> {
        self.clock.begin();
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| question(&self.conn)));
        if answer.is_err() {
            tracing::error!("a question panicked");
            // The transaction that it had begun must end before the next one begins.
            drop(self.conn.execute_batch("rollback"));
        }
        answer.ok()
    }
}

/// Interrupts a question that takes too long.
struct Clock {
    made: Instant,
    limit: Duration,
    /// When the running question must end, in microseconds since the clock was made.
    end_us: Arc<AtomicU64>,
}

impl Clock {
    fn on(conn: &mut Connection, limit: Duration) -> Result<Self> {
        let clock =
            Self { made: Instant::now(), limit, end_us: Arc::new(AtomicU64::new(u64::MAX)) };
        let (made, end_us) = (clock.made, Arc::clone(&clock.end_us));
        let late = move || micros(made.elapsed()) > end_us.load(Ordering::Relaxed);
        conn.progress_handler(STEPS_PER_LOOK, Some(late))?;
        Ok(clock)
    }

    fn begin(&self) {
        self.end_us.store(micros(self.made.elapsed() + self.limit), Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Keeps prepared statements: without this SQLite plans anew whenever a value is bound that might
/// have changed a plan.
pub fn keep_plans(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens a connection that cannot write.
pub fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    keep_plans(&conn)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.set_prepared_statement_cache_capacity(64);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("metadata_compares", 2, flags, |context| {
        let metadata = context.get_raw(0).as_str()?;
        let compares: Arc<Vec<Compare>> =
            context.get_or_create_aux(1, |value| value.as_str().map(read_compares))?;
        let metadata = Json::parse(metadata, usize::MAX)
            .map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))?;
        Ok(compares.iter().all(|compare| compare.matches(&metadata)))
    })?;
    Ok(conn)
}

/// Writes comparisons as the one text that the SQL function takes: lines of operator, path, value.
pub fn write_compares(compares: &[Compare]) -> String {
    let parts = compares.iter().map(|compare| {
        let op = match compare.op {
            CompareOp::Gte => "gte",
            CompareOp::Gt => "gt",
            CompareOp::Lte => "lte",
            CompareOp::Lt => "lt",
        };
        format!("{op}\u{1f}{}\u{1f}{}", compare.path, compare.value)
    });
    parts.collect::<Vec<_>>().join("\u{1e}")
}

fn read_compares(text: &str) -> Vec<Compare> {
    let compare = |part: &str| {
        let (op, rest) = part.split_once('\u{1f}')?;
        let (path, value) = rest.split_once('\u{1f}')?;
        let op = match op {
            "gte" => CompareOp::Gte,
            "gt" => CompareOp::Gt,
            "lte" => CompareOp::Lte,
            _ => CompareOp::Lt,
        };
        Some(Compare { path: path.to_owned(), op, value: value.to_owned() })
    };
    text.split('\u{1e}').filter_map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READERS: usize = 2;
    /// Counts for longer than any question may take.
    const ENDLESS: &str = "with recursive n (i) as (select 1 union all select i + 1 from n) \
        select count(*) from n";

    fn pool(query_time: Duration) -> (tempfile::TempDir, Pool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("daybook.db");
        let file = Connection::open(&path).expect("a file");
        file.execute_batch("create table t (n); insert into t values (7)").expect("a table");
        let options = Options { readers: READERS, query_time, ..Options::default() };
        let pool = Pool::open(&path, &options).expect("a pool");
        (folder, pool)
    }

    fn seven(conn: &Connection) -> Result<i64> {
        Ok(conn.query_row("select n from t", [], |row| row.get(0))?)
    }

    fn panics(conn: &Connection) -> Result<i64> {
        seven(conn)?;
        panic!("a question that panics");
    }

    #[tokio::test]
    async fn readers_outlive_more_panics_than_there_are_readers() {
        let (_folder, pool) = pool(Duration::from_secs(60));
        for _ in 0..2 * READERS + 1 {
            for answer in [pool.run_quick(panics).await, pool.run(panics).await] {
                let error = answer.expect_err("it panicked");
                assert!(matches!(error, Error::Driver(_)), "{error:?}");
            }
            assert_eq!(pool.run(seven).await.expect("an answer"), 7);
            assert_eq!(pool.run_quick(seven).await.expect("an answer"), 7);
        }
        assert_eq!(pool.quick.lock().len(), READERS, "each quick reader is back");
    }

    #[tokio::test]
    async fn a_question_that_takes_too_long_says_how_long_it_may_take() {
        let limit = Duration::from_millis(20);
        let (_folder, pool) = pool(limit);
        let endless = |conn: &Connection| -> Result<i64> {
            Ok(conn.query_row(ENDLESS, [], |row| row.get(0))?)
        };
        for answer in [pool.run_quick(endless).await, pool.run(endless).await] {
            let error = answer.expect_err("it has no end");
            assert!(matches!(error, Error::TooBroad { limit: said } if said == limit), "{error:?}");
        }
        assert_eq!(pool.run_quick(seven).await.expect("the reader is back"), 7);
    }
}
