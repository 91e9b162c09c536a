//! Group commit: one thread owns the writing connection, takes all that waits, decides it as one
//! batch, commits it once, and answers only then.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use daybook_core::write_set::Reply;
use daybook_core::{Outcome, Submission};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Error, Options, Result};

/// How long the writer waits for work before it tidies up.
const IDLE: Duration = Duration::from_millis(250);

/// How often a full disk is looked at, while no commit shows that there is space again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How much space there must be then: more than a common commit takes.
pub const ROOM_BYTES: usize = 1024 * 1024;

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
    /// Tries whether there is space for [`ROOM_BYTES`], and leaves nothing of them.
    fn has_room(&mut self) -> bool;
    /// After the last commit.
    fn finish(&mut self);
}

struct Job {
    submission: Submission,
    answer: oneshot::Sender<Result<Reply>>,
}

/// Something else that only the writer may do.
type Errand<B> = Box<dyn FnOnce(&mut B) + Send>;

enum Task<B> {
    Commit(Job),
    Run(Errand<B>),
}

pub struct Writer<B> {
    line: Mutex<Option<SyncSender<Task<B>>>>,
    waiting: Arc<AtomicUsize>,
    is_full: Arc<AtomicBool>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl<B: Backend> Writer<B> {
    pub fn start(backend: B, options: &Options) -> Result<Self> {
        let (line, tasks) = sync_channel(options.queue.max(1));
        let (end, ended) = oneshot::channel::<()>();
        let (waiting, is_full) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut thread = Thread {
            backend,
            actions_max: options.commit_actions,
            waiting: Arc::clone(&waiting),
            is_full: Arc::clone(&is_full),
            looked: Instant::now(),
        };
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                thread.run(&tasks);
                drop(thread);
                drop(end);
            })
            .map_err(|error| Error::Driver(Box::new(error)))?;
        let (line, ended) = (Mutex::new(Some(line)), Mutex::new(Some(ended)));
        Ok(Self { line, waiting, is_full, ended })
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether a commit found no space, and none has found some since.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub async fn commit(&self, submission: Submission) -> Result<Reply> {
        let (answer, answered) = oneshot::channel();
        self.send(Task::Commit(Job { submission, answer }))?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Runs a small errand between two commits.
    pub async fn run<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut B) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        // Who asked may have gone; what it asked for is done all the same.
        let errand = Box::new(move |backend: &mut B| drop(answer.send(errand(backend))));
        self.send(Task::Run(errand))?;
        answered.await.map_err(|_| Error::Closed)?
    }

    fn send(&self, task: Task<B>) -> Result<()> {
        let line = self.line.lock().clone().ok_or(Error::Closed)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(refused) = line.try_send(task) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match refused {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Closed,
            });
        }
        Ok(())
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
    is_full: Arc<AtomicBool>,
    /// When the disk was last found full.
    looked: Instant,
}

impl<B: Backend> Thread<B> {
    fn run(&mut self, tasks: &Receiver<Task<B>>) {
        loop {
            match tasks.recv_timeout(IDLE) {
                Ok(Task::Commit(first)) => {
                    let (group, errand) = self.gather(first, tasks);
                    self.commit_group(group);
                    if let Some(errand) = errand {
                        self.run_errand(errand);
                    }
                    self.backend.tidy();
                }
                Ok(Task::Run(errand)) => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.run_errand(errand);
                    self.backend.tidy();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.backend.tidy();
                    self.backend.idle(&self.waiting);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_for_room();
        }
        self.backend.finish();
    }

    /// Finds out that there is space again though nobody writes, as those do who see that it is full.
    fn look_for_room(&mut self) {
        if self.is_full.load(Ordering::Relaxed) && self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.backend.has_room() {
                self.note_full(false);
            }
        }
    }

    fn note_full(&mut self, is_full: bool) {
        self.looked = Instant::now();
        if self.is_full.swap(is_full, Ordering::Relaxed) && !is_full {
            tracing::info!("there is space to write again");
        }
    }

    /// Takes what waits, up to the size of one commit or to the next errand.
    fn gather(&self, first: Job, tasks: &Receiver<Task<B>>) -> (Vec<Job>, Option<Errand<B>>) {
        let mut actions = first.submission.actions.len();
        let mut group = vec![first];
        let mut next = None;
        while actions < self.actions_max && next.is_none() {
            match tasks.try_recv() {
                Ok(Task::Commit(job)) => {
                    actions += job.submission.actions.len();
                    group.push(job);
                }
                Ok(Task::Run(errand)) => next = Some(errand),
                Err(_) => break,
            }
        }
        self.waiting.fetch_sub(group.len() + usize::from(next.is_some()), Ordering::Relaxed);
        (group, next)
    }

    fn run_errand(&mut self, errand: Errand<B>) {
        let backend = &mut self.backend;
        if std::panic::catch_unwind(AssertUnwindSafe(|| errand(backend))).is_err() {
            self.backend.forget();
        }
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
        let done = std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
            self.backend.forget();
            Err(Error::Driver("the commit panicked".into()))
        });
        match &done {
            Err(Error::DiskFull) => self.note_full(true),
            Ok(replies) if self.is_full.load(Ordering::Relaxed) && wrote(replies) => {
                self.note_full(false);
            }
            Ok(_) | Err(_) => {}
        }
        done
    }
}

/// Whether anything was written: answers that were given before and refusals take no space.
fn wrote(replies: &[Reply]) -> bool {
    let fresh = replies.iter().filter(|reply| !reply.replayed);
    fresh.flat_map(|reply| &reply.verdicts).any(|verdict| {
        matches!(verdict, Ok(Outcome::Created(_) | Outcome::Updated(_) | Outcome::Deleted(_)))
    })
}
