//! The embedded store: one file, one writer, many readers.

mod backup;
mod checkpoint;
mod counts;
mod pool;
mod read;
mod schema;
mod statistics;
mod verify;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use daybook_core::stats::{GroupBy, Interval, Series, Span, Statistics};
use daybook_core::write_set::Reply;
use daybook_core::{Event, EventSeq, Query, Submission, Transaction, TransactionId, UserId};

pub use backup::backup_file;

use self::counts::Counts;
use self::pool::Pool;
use self::writer::Writer;
use crate::{Changes, Error, Options, Page, Progress, Result, Status, Store, Verified};

/// What the writer and the readers share.
#[derive(Debug)]
pub struct Shared {
    /// The newest event that is durable.
    seq: AtomicI64,
    /// How many items users have.
    counts: Counts,
}

/// An open store.
pub struct Sqlite {
    path: PathBuf,
    shared: Arc<Shared>,
    writer: Writer,
    pool: Pool,
}

impl Sqlite {
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        let opened = schema::open(path)?;
        let shared =
            Arc::new(Shared { seq: AtomicI64::new(opened.seq.0), counts: Counts::default() });
        let pool = Pool::open(path, &options)?;
        let writer = Writer::start(path, opened, Arc::clone(&shared), options)?;
        Ok(Self { path: path.to_owned(), shared, writer, pool })
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, submission: Submission) -> Result<Reply> {
        self.writer.commit(submission).await
    }

    async fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>> {
        self.pool.run_quick(move |conn| read::transaction(conn, id)).await
    }

    async fn transactions(&self, query: Query) -> Result<Page> {
        let counts = &self.shared.counts;
        let begun = read::counts_all(&query).then(|| counts.get_or_begin(&query.user_id));
        let known = begun.and_then(std::result::Result::ok);
        let user = query.user_id.clone();
        let quick = read::is_quick(&query, known);
        let question = move |conn: &rusqlite::Connection| read::page(conn, &query, known);
        let page = if quick {
            self.pool.run_quick(question).await?
        } else {
            self.pool.run(question).await?
        };
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
        self.pool
            .run(move |conn| {
                statistics::series(conn, &user, &span, &currencies, interval, &group_by)
            })
            .await
    }

    async fn history(&self, id: TransactionId) -> Result<Vec<Event>> {
        self.pool.run(move |conn| read::history(conn, id)).await
    }

    async fn changes(&self, user: UserId, after: EventSeq, limit: u32) -> Result<Changes> {
        self.pool.run(move |conn| read::changes(conn, &user, after, limit)).await
    }

    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.pool.run(move |conn| read::users(conn, after.as_ref(), limit)).await
    }

    fn seq(&self) -> EventSeq {
        EventSeq(self.shared.seq.load(Ordering::Acquire))
    }

    async fn status(&self) -> Result<Status> {
        let schema = self.pool.run(schema::version).await?;
        let wal = schema::beside(&self.path, "-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        Ok(Status {
            seq: self.seq(),
            schema,
            waiting: self.writer.waiting(),
            bytes: size(&self.path) + size(&wal),
        })
    }

    async fn backup(&self, target: &Path, progress: Progress<'_>) -> Result<()> {
        backup::backup(&self.path, target, progress).await
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        // A connection of its own, because this takes longer than a question may.
        let conn = pool::reader(&self.path)?;
        tokio::task::block_in_place(|| verify::verify(&conn, progress))
    }

    async fn close(&self) {
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
