//! All that a handler may reach: the store, the settings, the keys, the clock. The clock and the
//! source of ids are read here and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daybook_core::transaction::Vocabulary;
use daybook_core::transfer::Retry;
use daybook_core::{
    Action, EventSeq, IdempotencyKey, Outcome, Reply, Submission, Timestamp, TransactionId,
    TransferId,
};
use daybook_store::Store;
use rand::Rng;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::auth::api_keys::{ApiKeys, Pepper};
use crate::auth::{Checker, Signer, Trust};
use crate::checkpoint;
use crate::http::address::Proxies;
use crate::http::budget::Limits;
use crate::http::error::Error;
use crate::http::{Names, Origins};
use crate::keyring::KeySource;
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::rate::Rate;
use crate::work::{Audit, Looks};

/// Compressed bodies that are decoded at the same time; the others wait.
const DECODINGS_MAX: usize = 2;

/// Who may call.
#[derive(Clone)]
pub enum Auth {
    /// Anybody may name any user, and `POST /auth/token` gives tokens to all who ask; tokens are
    /// signed with a secret that lives as long as the process.
    Development,
    /// Every call needs a token of somebody who is trusted.
    Trust(Box<Trust>),
}

impl Auth {
    /// Whether anybody may name any user.
    #[must_use]
    pub fn is_development(&self) -> bool {
        match self {
            Self::Development => true,
            Self::Trust(_) => false,
        }
    }
}

/// What a deployment may change. The defaults are the ones to start from.
#[derive(Clone)]
pub struct Settings {
    pub vocabulary: Vocabulary,
    pub auth: Auth,
    /// How long a token of `POST /auth/token` is good for.
    pub token_ttl: Duration,
    /// The largest body of a call about one item, in bytes.
    pub body_max: usize,
    /// The largest body of a batch, in bytes: room for 10 000 items of 1.6 KB.
    pub batch_body_max: usize,
    /// How long a request may take before it is answered with 503.
    pub request_timeout: Duration,
    /// How long a body may take to arrive, and a head, and the pause before the next head.
    pub read_timeout: Duration,
    /// Requests that may be in work at the same time; one more is answered with 503 at once.
    pub concurrency_max: usize,
    /// Batches that may be in memory at the same time; the others wait unread.
    pub batches_max: usize,
    /// Connections that may be open at the same time; the others wait to be accepted.
    pub connections_max: usize,
    /// Connections that one address may have of them; one more is ended at once.
    pub connections_each_max: usize,
    /// How long a stopping server waits for what it accepted.
    pub drain: Duration,
    /// Proxies in front of the server, which have the connections of all who come by way of them.
    pub proxies: Option<Proxies>,
    /// How much callers may ask for; `None` is without limit.
    pub rate: Option<Rate>,
    pub ledger: Ledger,
    /// Whose pages may call in a browser.
    pub origins: Origins,
    /// What a server in development mode may be called.
    pub names: Names,
    /// Who signs checkpoints of the event log.
    pub checkpoints: Option<checkpoint::Signer>,
    /// Who makes and checks the secrets of API keys.
    pub keys: Option<Pepper>,
    /// Where the master keys are; `None` where nothing is sealed.
    pub masters: Option<KeySource>,
}

/// How the ledger's worker behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// How often and when a transfer that waits is tried again; its chance is drawn anew.
    pub retry: Retry,
    /// The longest that the worker does not look for what is due.
    pub poll: Duration,
    /// How often the whole ledger is looked at; `None` is only when an operator asks.
    pub verify_every: Option<Duration>,
}

impl Default for Ledger {
    fn default() -> Self {
        let retry = Retry { attempts_max: 8, base_us: 1_000_000, cap_us: 300_000_000, chance: 0 };
        let verify_every = Some(Duration::from_secs(3_600));
        Self { retry, poll: Duration::from_secs(1), verify_every }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vocabulary: Vocabulary::default(),
            auth: Auth::Development,
            token_ttl: Duration::from_secs(3_600),
            body_max: 1024 * 1024,
            batch_body_max: 16 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(20),
            concurrency_max: 1_024,
            batches_max: 4,
            connections_max: 8_192,
            connections_each_max: 4_096,
            drain: Duration::from_secs(30),
            proxies: None,
            rate: None,
            ledger: Ledger::default(),
            origins: Origins::Listed(Vec::new()),
            names: Names::ThisMachine,
            checkpoints: None,
            keys: None,
            masters: None,
        }
    }
}

/// The running application; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    settings: Settings,
    checker: Checker,
    signer: Option<Signer>,
    metrics: Metrics,
    limits: Option<Arc<Limits>>,
    working: AtomicUsize,
    batches: Semaphore,
    decodings: Arc<Semaphore>,
    stopping: AtomicBool,
    /// Says that there is news for the ledger's worker.
    settle: Notify,
    looks: Looks,
    audit: Audit,
    api_keys: ApiKeys,
    pulse: Pulse,
}

/// What one accepted action did.
#[derive(Debug)]
pub struct Done {
    pub outcome: Outcome,
    pub replayed: bool,
    pub seq: EventSeq,
}

/// A place among the requests in work; free again when dropped.
pub(crate) struct Place(App);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// Takes over the store and how to behave.
    ///
    /// # Errors
    /// As [`Checker::new`].
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Result<Self, reqwest::Error> {
        let trust = match &settings.auth {
            Auth::Development => {
                let mut secret = [0_u8; 32];
                rand::rng().fill_bytes(&mut secret);
                Trust::secret(&secret)
            }
            Auth::Trust(trust) => *trust.clone(),
        };
        let (checker, signer) = (Checker::new(&trust)?, Signer::new(&trust));
        let api_keys = ApiKeys::new(settings.keys.clone());
        let batches = Semaphore::new(settings.batches_max);
        let metrics = Metrics::new();
        let limits = settings.rate.clone().map(|rate| Arc::new(Limits::new(rate, &metrics)));
        Ok(Self(Arc::new(Inner {
            store,
            settings,
            checker,
            signer,
            metrics,
            limits,
            working: AtomicUsize::new(0),
            batches,
            decodings: Arc::new(Semaphore::new(DECODINGS_MAX)),
            stopping: AtomicBool::new(false),
            settle: Notify::new(),
            looks: Looks::default(),
            pulse: Pulse::default(),
            audit: Audit::default(),
            api_keys,
        })))
    }

    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The store, for who outlives a call.
    #[must_use]
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.0.settings.vocabulary
    }

    #[must_use]
    pub fn checker(&self) -> &Checker {
        &self.0.checker
    }

    /// How the store is.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    /// Who signs tokens here; nobody where only others are trusted to.
    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        self.0.signer.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn limits(&self) -> Option<&Arc<Limits>> {
        self.0.limits.as_ref()
    }

    pub(crate) fn settle(&self) -> &Notify {
        &self.0.settle
    }

    pub(crate) fn api_keys(&self) -> &ApiKeys {
        &self.0.api_keys
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.0.audit
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.0.looks
    }

    /// Whether anybody may name any user.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.settings.auth.is_development()
    }

    /// Whether the server takes no new work because it is about to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes a place among the requests in work; `None` when all are taken.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Place(self.clone());
        let before = self.0.working.fetch_add(1, Ordering::Relaxed);
        (before < self.0.settings.concurrency_max).then_some(place)
    }

    /// Waits until another batch may be in memory.
    pub(crate) async fn batch_place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.0.batches.acquire().await.ok()
    }

    /// Waits until another body may be decoded.
    pub(crate) async fn decoding_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.decodings).acquire_owned().await.ok()
    }

    /// Commits a submission: when this returns, what was accepted is durable.
    ///
    /// # Errors
    /// When the store could not take it; what is refused by a rule is inside the reply.
    pub async fn commit(
        &self,
        key: Option<IdempotencyKey>,
        atomic: bool,
        actions: Vec<Action>,
    ) -> Result<Reply, Error> {
        Ok(self.submit(key, atomic, actions).await?)
    }

    pub(crate) async fn submit(
        &self,
        key: Option<IdempotencyKey>,
        atomic: bool,
        actions: Vec<Action>,
    ) -> daybook_store::Result<Reply> {
        let settles_later = actions.iter().any(settles_later);
        let submission = Submission { at: now(), key, atomic, actions };
        let reply = self.0.store.commit(submission).await?;
        self.0.metrics.commits.increment(1);
        if settles_later {
            self.0.settle.notify_one();
        }
        Ok(reply)
    }

    /// Commits one action.
    ///
    /// # Errors
    /// As [`App::commit`], and when the action was refused.
    pub async fn commit_one(
        &self,
        key: Option<IdempotencyKey>,
        action: Action,
    ) -> Result<Done, Error> {
        let reply = self.commit(key, false, vec![action]).await?;
        let outcome = reply.verdicts.into_iter().next().ok_or(Error::Unanswered)??;
        Ok(Done { outcome, replayed: reply.replayed, seq: reply.seq })
    }
}

/// Whether the action leaves something to the ledger's worker.
fn settles_later(action: &Action) -> bool {
    match action {
        Action::Transfer(new) => new.queued || new.expires_in_us.is_some(),
        Action::Record(_)
        | Action::Amend { .. }
        | Action::Erase { .. }
        | Action::Open(_)
        | Action::Reform { .. }
        | Action::Post { .. }
        | Action::Void { .. }
        | Action::Rollback { .. }
        | Action::Attempt { .. }
        | Action::Expire { .. }
        | Action::Issue(_)
        | Action::Renew { .. }
        | Action::Revoke { .. }
        | Action::Note(_)
        | Action::Refused(_) => false,
    }
}

/// The time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A new id, later than all before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn new_id() -> TransactionId {
    TransactionId(Uuid::now_v7())
}

/// A new id of a transfer, later than all before it.
#[must_use]
pub fn new_transfer_id() -> TransferId {
    TransferId(new_id().0)
}

/// A random number, each as likely as any other.
#[must_use]
pub fn chance() -> u32 {
    rand::rng().next_u32()
}
