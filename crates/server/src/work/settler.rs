//! Does what waits: transfers that are to be tried, and holds whose time is over.
//!
//! Of all processes on a database one does it. All that must not be forgotten is in the store, and an attempt is one commit, so the settler
//! may be killed at any point. What it keeps in memory only slows it down where a store fails.

use std::collections::HashMap;
use std::time::Duration;

use daybook_core::transfer::{Failure, FailureKind, Retry};
use daybook_core::write_set::{Outcome, Verdict};
use daybook_core::{Action, EventSeq, Timestamp, TransferId, TransferStatus};
use daybook_store::{LeaseHolder, Result};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, RENEW_EVERY};
use super::{is_passing, pause};
use crate::app::{App, chance, now};

/// Transfers that are tried in one commit; few enough not to be in the way of requests.
const PAGE: u32 = 500;
/// Transfers that are put off in memory at the same time; one more forgets them all.
const PUT_OFF_MAX: usize = 1_000;
/// How often commits of other processes are looked for: any may have left something to do.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The worker of the ledger.
pub struct Settler {
    app: App,
    lease: Lease,
    /// The newest event before what is due was last looked for.
    seen: EventSeq,
    /// Transfers that the store can neither settle nor note as failed.
    put_off: HashMap<TransferId, PutOff>,
    /// Rounds that failed in a row.
    failed: u32,
}

struct PutOff {
    failures: u32,
    until: Timestamp,
}

/// A transfer and what is due for it.
type Task = (TransferId, Action);

impl Settler {
    #[must_use]
    pub fn new(app: App) -> Self {
        let lease = Lease::new(app.clone(), "due transfers");
        Self { app, lease, seen: EventSeq(0), put_off: HashMap::new(), failed: 0 }
    }

    /// Works until it is stopped; a commit that was begun is finished.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = self.round().await;
            stop.run_until_cancelled(self.rest(pause)).await;
        }
        self.lease.release().await;
    }

    /// Does what is due where that is this process's work, and says how long there is nothing to do.
    async fn round(&mut self) -> Duration {
        let at = now();
        self.seen = self.app.store().seq();
        let worked = match self.lease.hold().await {
            Ok(LeaseHolder::Another { .. }) => {
                self.failed = 0;
                return RENEW_EVERY;
            }
            Ok(LeaseHolder::Asker { .. } | LeaseHolder::Nobody) => self.work(at).await,
            Err(error) => Err(error),
        };
        match worked {
            Ok(next) => {
                self.failed = 0;
                let poll = self.app.settings().ledger.poll.min(RENEW_EVERY);
                next.map_or(poll, |next| pause(at, next).min(poll))
            }
            Err(error) => {
                self.failed = self.failed.saturating_add(1);
                let next = self.backoff(at, self.failed);
                let pause_ms = u64::try_from(pause(at, next).as_millis()).unwrap_or(u64::MAX);
                let source = std::error::Error::source(&error);
                tracing::warn!(%error, source, pause_ms, "what is due has to wait");
                pause(at, next)
            }
        }
    }

    async fn rest(&self, pause: Duration) {
        let asleep = tokio::time::sleep(pause);
        if self.failed > 0 {
            // News is no reason to ask a store again that has just failed.
            return asleep.await;
        }
        tokio::select! {
            () = asleep => {}
            () = self.app.settle().notified() => {}
            () = self.commit_of_another() => {}
        }
    }

    /// Waits for an event that another process may have written, and only the store tells of.
    async fn commit_of_another(&self) {
        if !self.lease.is_shared() {
            return std::future::pending().await;
        }
        while self.app.store().seq() == self.seen {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Settles a page of what is due; says when the next is.
    async fn work(&mut self, at: Timestamp) -> Result<Option<Timestamp>> {
        // Those that are put off must not fill the page.
        let limit = PAGE.saturating_add(u32::try_from(self.put_off.len()).unwrap_or(u32::MAX));
        let due = self.app.store().due(at, limit).await?;
        self.app.metrics().observe_due(due.waiting.len() + due.expired.len());
        let waiting = due.waiting.iter().map(|id| (*id, self.attempt(*id, None)));
        let expired = due.expired.iter().map(|id| (*id, Action::Expire { id: *id }));
        let ready = |task: &Task| self.put_off.get(&task.0).is_none_or(|put| put.until <= at);
        let tasks: Vec<Task> = waiting.chain(expired).filter(ready).collect();
        if tasks.is_empty() {
            return Ok(due.next);
        }
        match self.settle(at, &tasks).await {
            Ok(()) => {}
            Err(error) if is_passing(&error) => return Err(error),
            Err(_) => self.one_by_one(at, tasks).await?,
        }
        // What was tried may be due again before all others.
        Ok(Some(at))
    }

    fn attempt(&self, id: TransferId, failure: Option<Failure>) -> Action {
        let ledger = &self.app.settings().ledger;
        Action::Attempt { id, retry: Retry { chance: chance(), ..ledger.retry }, failure }
    }

    async fn settle(&mut self, at: Timestamp, tasks: &[Task]) -> Result<()> {
        let actions = tasks.iter().map(|(_, action)| action.clone()).collect();
        let reply = self.app.submit(None, false, actions).await?;
        for ((id, action), verdict) in tasks.iter().zip(&reply.verdicts) {
            match verdict {
                Ok(_) => {
                    self.put_off.remove(id);
                }
                Err(refusal) => {
                    tracing::error!(transfer.id = %id, %refusal, "cannot settle a transfer");
                    self.put_off(*id, at);
                }
            }
            self.count(action, verdict);
        }
        Ok(())
    }

    /// A page that the store refused is tried one by one, so that a bad neighbour sinks no one.
    /// What fails alone is noted as failed for an unknown reason; where not even that can be
    /// written, the store is left alone for a while.
    async fn one_by_one(&mut self, at: Timestamp, tasks: Vec<Task>) -> Result<()> {
        for (id, action) in tasks {
            let Err(error) = self.settle(at, &[(id, action.clone())]).await else { continue };
            if is_passing(&error) {
                return Err(error);
            }
            tracing::error!(transfer.id = %id, %error, "the store cannot settle a transfer");
            if matches!(action, Action::Attempt { .. }) {
                let failure = Failure {
                    kind: FailureKind::Unknown,
                    code: "STORE_FAILED".to_owned(),
                    detail: "the store failed to record the movement".to_owned(),
                };
                let noted = (id, self.attempt(id, Some(failure)));
                if self.settle(at, &[noted]).await.is_ok() {
                    continue;
                }
            }
            self.put_off(id, at);
            return Err(error);
        }
        Ok(())
    }

    fn put_off(&mut self, id: TransferId, at: Timestamp) {
        if self.put_off.len() >= PUT_OFF_MAX {
            self.put_off.clear();
        }
        let failures = self.put_off.get(&id).map_or(0, |put| put.failures).saturating_add(1);
        let until = self.backoff(at, failures);
        self.put_off.insert(id, PutOff { failures, until });
    }

    /// The pauses of the retry policy, without its end.
    fn backoff(&self, at: Timestamp, failures: u32) -> Timestamp {
        let ledger = &self.app.settings().ledger;
        let retry = Retry { attempts_max: u32::MAX, chance: chance(), ..ledger.retry };
        retry.next(at, failures).unwrap_or(at)
    }

    fn count(&self, action: &Action, verdict: &Verdict) {
        let attempts = &self.app.metrics().attempts;
        let expires = matches!(action, Action::Expire { .. });
        match verdict {
            Ok(Outcome::Updated(_)) if expires => attempts.expired.increment(1),
            Ok(Outcome::Updated(recorded)) => match status(&recorded.body) {
                Some(TransferStatus::Complete) => attempts.complete.increment(1),
                Some(TransferStatus::Pending) => attempts.held.increment(1),
                Some(TransferStatus::Failed) => attempts.failed.increment(1),
                Some(TransferStatus::Rollback) | None => {}
            },
            // Somebody else may have settled it meanwhile; then it does not wait any more.
            Ok(Outcome::Unchanged(recorded)) if !expires => {
                if status(&recorded.body) == Some(TransferStatus::Pending) {
                    attempts.retried.increment(1);
                }
            }
            Ok(
                Outcome::Created(_)
                | Outcome::Unchanged(_)
                | Outcome::Ignored(_)
                | Outcome::Deleted(_),
            )
            | Err(_) => {}
        }
    }
}

fn status(body: &str) -> Option<TransferStatus> {
    #[derive(Deserialize)]
    struct Transfer {
        status: TransferStatus,
    }
    serde_json::from_str::<Transfer>(body).ok().map(|transfer| transfer.status)
}
