//! Group commit: one thread owns the writing connection, takes all that waits, decides it as one
//! batch, commits it once, and answers only then.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use daybook_core::Submission;
use daybook_core::write_set::Reply;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Error, Options, Result};

/// How long the writer waits for work before it tidies up.
const IDLE: Duration = Duration::from_millis(250);

/// Where a group is written. All calls come from one thread.
pub trait Backend: Send + 'static {
    /// Loads, decides, writes and commits: the one way into the books.
    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>>;
    /// Forgets what a commit that failed may have left in memory.
    fn forget(&mut self);
    /// Between commits, and now and then without any.
    fn tidy(&mut self);
    /// While nothing waits, which the counter tells; it ends soon after something does.
    fn idle(&mut self, waiting: &AtomicUsize);
    /// After the last commit.
    fn finish(&mut self);
}

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
    pub fn start(backend: impl Backend, options: &Options) -> Result<Self> {
        let (line, jobs) = sync_channel(options.queue.max(1));
        let (end, ended) = oneshot::channel::<()>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut thread =
            Thread { backend, actions_max: options.commit_actions, waiting: Arc::clone(&waiting) };
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

struct Thread<B> {
    backend: B,
    actions_max: usize,
    waiting: Arc<AtomicUsize>,
}

impl<B: Backend> Thread<B> {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(first) => {
                    let group = self.gather(first, jobs);
                    self.commit_group(group);
                    self.backend.tidy();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.backend.tidy();
                    self.backend.idle(&self.waiting);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.backend.finish();
    }

    /// Takes what waits, up to the size of one commit.
    fn gather(&self, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
        let mut actions = first.submission.actions.len();
        let mut group = vec![first];
        while actions < self.actions_max {
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
    /// one. A disk that is full is full for all, and a database that is away is away for all.
    fn one_by_one(
        &mut self,
        submissions: &[Submission],
        answers: Vec<oneshot::Sender<Result<Reply>>>,
        error: Error,
    ) {
        tracing::error!(%error, source = ?std::error::Error::source(&error), "commit failed");
        let alone = submissions.len() == 1;
        let for_all = error.for_all();
        let mut first = Some(error);
        for (submission, answer) in submissions.iter().zip(answers) {
            let result = if let Some(error) = for_all.as_ref().and_then(Error::for_all) {
                Err(error)
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
        let attempt = AssertUnwindSafe(|| self.backend.commit(submissions));
        std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
            self.backend.forget();
            Err(Error::Driver("the commit panicked".into()))
        })
    }
}
