//! Group commit: one thread owns the writing connection, takes all that waits, decides it as one
//! batch, commits it once, and answers only then.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use daybook_core::write_set::Reply;
use daybook_core::{EventSeq, Submission, decide};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Shared;
use super::checkpoint::Checkpoint;
use super::schema::Opened;
use super::write::{self, Interned};
use crate::{Error, Options, Result};

/// How long the writer waits for work before it tidies up.
const IDLE: Duration = Duration::from_millis(250);
/// How many pages of index are merged at once when there is nothing else to do: some milliseconds.
const MERGE_PAGES: i64 = 256;
/// How often replies that are too old are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

struct Job {
    submission: Submission,
    answer: oneshot::Sender<Result<Reply>>,
}

pub struct Writer {
    line: Mutex<Option<SyncSender<Job>>>,
    waiting: Arc<AtomicUsize>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    pub fn start(
        path: &Path,
        mut opened: Opened,
        shared: Arc<Shared>,
        options: Options,
    ) -> Result<Self> {
        let (line, jobs) = sync_channel(options.queue.max(1));
        let (end, ended) = oneshot::channel::<()>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let checkpoint = Checkpoint::follow(&mut opened.conn, path)?;
        let mut thread = Thread {
            checkpoint,
            opened,
            shared,
            options,
            waiting: Arc::clone(&waiting),
            interned: Interned::default(),
            swept: Instant::now(),
            unmerged: true,
        };
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                thread.run(&jobs);
                drop(thread);
                drop(end);
            })
            .map_err(|error| Error::Driver(Box::new(error)))?;
        Ok(Self { line: Mutex::new(Some(line)), waiting, ended: Mutex::new(Some(ended)) })
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub async fn commit(&self, submission: Submission) -> Result<Reply> {
        let (answer, answered) = oneshot::channel();
        let line = self.line.lock().clone().ok_or(Error::Closed)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(refused) = line.try_send(Job { submission, answer }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match refused {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Closed,
            });
        }
        drop(line);
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Refuses new work, finishes what waits and closes the file.
    pub async fn close(&self) {
        drop(self.line.lock().take());
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            // An error means that the thread is gone, which is what is waited for.
            drop(ended.await);
        }
    }
}

struct Thread {
    checkpoint: Checkpoint,
    opened: Opened,
    shared: Arc<Shared>,
    options: Options,
    waiting: Arc<AtomicUsize>,
    interned: Interned,
    swept: Instant,
    /// Whether the indexes may have pieces to merge.
    unmerged: bool,
}

impl Thread {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(first) => {
                    let group = self.gather(first, jobs);
                    self.commit_group(group);
                    self.unmerged = true;
                    self.tidy();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.tidy();
                    self.merge_while_idle();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.checkpoint.finish(&self.opened.conn);
    }

    /// Takes what waits, up to the size of one commit.
    fn gather(&self, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
        let mut actions = first.submission.actions.len();
        let mut group = vec![first];
        while actions < self.options.commit_actions {
            let Ok(job) = jobs.try_recv() else { break };
            actions += job.submission.actions.len();
            group.push(job);
        }
        self.waiting.fetch_sub(group.len(), Ordering::Relaxed);
        group
    }

    fn commit_group(&mut self, group: Vec<Job>) {
        let (submissions, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.submission, job.answer)).unzip();
        match self.commit(&submissions) {
            Ok(replies) => {
                for (answer, reply) in answers.into_iter().zip(replies) {
                    // Who asked may have gone; what it asked for is done all the same.
                    drop(answer.send(Ok(reply)));
                }
            }
            Err(error) => self.one_by_one(&submissions, answers, error),
        }
    }

    /// A group that the database refused is tried one by one, so that a bad neighbour sinks no
    /// one. A disk that is full is full for all.
    fn one_by_one(
        &mut self,
        submissions: &[Submission],
        answers: Vec<oneshot::Sender<Result<Reply>>>,
        error: Error,
    ) {
        tracing::error!(%error, source = ?std::error::Error::source(&error), "commit failed");
        let alone = submissions.len() == 1;
        let full = matches!(error, Error::DiskFull);
        let mut first = Some(error);
        for (submission, answer) in submissions.iter().zip(answers) {
            let result = if full {
                Err(Error::DiskFull)
            } else if alone {
                Err(first.take().unwrap_or(Error::Closed))
            } else {
                self.commit(std::slice::from_ref(submission))
                    .and_then(|mut replies| replies.pop().ok_or(Error::Closed))
            };
            drop(answer.send(result));
        }
    }

    /// Commits, and turns a panic into a refusal: the transaction is rolled back, and the one
    /// submission that caused it is found when the group is tried one by one.
    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>> {
        let attempt = AssertUnwindSafe(|| self.try_commit(submissions));
        std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
            self.interned.forget_users();
            Err(Error::Driver("the commit panicked".into()))
        })
    }

    /// Load, decide, write, commit: the one way into the books.
    fn try_commit(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>> {
        let next_seq = EventSeq(self.shared.seq.load(Ordering::Acquire) + 1);
        let conn = &mut self.opened.conn;
        let transaction =
            conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let snapshot = write::load(&transaction, submissions, next_seq)?;
        let (replies, write_set) = decide(submissions, snapshot);
        if write_set.is_empty() {
            transaction.commit()?;
            return Ok(replies);
        }
        let mut fresh = HashSet::new();
        let changed = match write::write(&transaction, &write_set, &self.interned, &mut fresh) {
            Ok(changed) => changed,
            Err(error) => {
                self.interned.forget_users();
                return Err(error);
            }
        };
        if let Err(error) = transaction.commit() {
            self.interned.forget_users();
            return Err(error.into());
        }
        self.interned.remember(fresh);
        if let Some(last) = write_set.events.last() {
            self.shared.seq.store(last.seq.0, Ordering::Release);
        }
        for (user, change) in &changed {
            self.shared.counts.changed(user, *change);
        }
        Ok(replies)
    }

    /// Merges pieces of the indexes, so that a later commit does not have to. It stops when work
    /// comes, which the counter of waiting submissions tells.
    fn merge_while_idle(&mut self) {
        while self.unmerged && self.waiting.load(Ordering::Relaxed) == 0 {
            match write::merge(&mut self.opened.conn, MERGE_PAGES) {
                Ok(merged) => self.unmerged = merged,
                Err(error) => {
                    tracing::warn!(%error, "the index stays in pieces for now");
                    self.unmerged = false;
                }
            }
            self.checkpoint.tend(&self.opened.conn);
        }
    }

    /// Keeps the write-ahead log and the replies bounded. A failure is tried again later.
    fn tidy(&mut self) {
        self.checkpoint.tend(&self.opened.conn);
        if self.swept.elapsed() > SWEEP_EVERY {
            self.swept = Instant::now();
            if let Err(error) = write::sweep(&self.opened.conn, self.options.replies_kept) {
                tracing::warn!(%error, "old replies stay for now");
            }
        }
    }
}
