//! Looks at the whole ledger: when an operator asks, and every so often by itself. Of all processes on a
//! database one does the latter, and tells the others what it found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_core::Timestamp;
use daybook_store::LeaseHolder;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, RENEW_EVERY};
use crate::app::{App, now};
use crate::http::error::Error;

/// What a look at the ledger found.
#[derive(Debug, Serialize)]
pub struct Look {
    pub accounts: u64,
    pub transfers: u64,
    pub ok: bool,
    pub differences: Vec<Difference>,
    pub verified_at: Timestamp,
    /// How long it took.
    pub seconds: f64,
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub part: &'static str,
    pub what: String,
}

type Found = Result<Arc<Look>, Arc<daybook_store::Error>>;

/// The look that is under way, so that all who ask meanwhile share it.
#[derive(Default)]
pub(crate) struct Looks(Mutex<Option<Shared<BoxFuture<'static, Found>>>>);

impl App {
    /// Proves the ledger, or waits for the proof that is under way.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn look_at_ledger(&self) -> Result<Arc<Look>, Error> {
        let look = self.begin_look();
        look.await.map_err(|error| Error::Internal(Box::new(error)))
    }

    fn begin_look(&self) -> Shared<BoxFuture<'static, Found>> {
        let mut running = self.looks().0.lock();
        if let Some(look) = running.as_ref().filter(|look| look.peek().is_none()) {
            return look.clone();
        }
        let app = self.clone();
        // A task of its own, which goes on when those who asked are gone.
        let looking = tokio::spawn(async move { app.look().await.map(Arc::new) });
        let look = async move {
            match looking.await {
                Ok(found) => found.map_err(Arc::new),
                Err(error) => Err(Arc::new(daybook_store::Error::Driver(error.into()))),
            }
        };
        let look = look.boxed().shared();
        *running = Some(look.clone());
        look
    }

    async fn look(&self) -> daybook_store::Result<Look> {
        let (begun, verified_at) = (Instant::now(), now());
        let found = self.store().verify_ledger().await?;
        let named = |difference: daybook_store::Difference| Difference {
            part: difference.part,
            what: difference.what,
        };
        let differences: Vec<Difference> = found.differences.into_iter().map(named).collect();
        self.metrics().observe_ledger(differences.len(), verified_at);
        if let Some(first) = differences.first() {
            let differences = differences.len();
            tracing::error!(differences, first = first.what, "the ledger does not add up");
        }
        Ok(Look {
            accounts: found.accounts,
            transfers: found.transfers,
            ok: differences.is_empty(),
            differences,
            verified_at,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

/// What the process that looks tells the others.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    differences: usize,
    verified_at: Timestamp,
}

/// Looks at the ledger every so often.
pub struct Verifier {
    app: App,
    every: Duration,
    lease: Lease,
    /// When the next look is due.
    due: Instant,
    /// When the ledger was last looked at, here or elsewhere.
    verified_at: Option<Timestamp>,
}

impl Verifier {
    /// The verifier that the settings ask for; `None` when they ask for none.
    #[must_use]
    pub fn new(app: App) -> Option<Self> {
        let every = app.settings().ledger.verify_every?;
        let lease = Lease::new(app.clone(), "verification of the ledger");
        Some(Self { app, every, lease, due: Instant::now() + every, verified_at: None })
    }

    /// Looks until it is stopped; for the first time after one interval.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = self.due.saturating_duration_since(Instant::now()).min(RENEW_EVERY);
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            let is_ours = match self.lease.hold().await {
                Ok(LeaseHolder::Nobody) => true,
                Ok(LeaseHolder::Asker { note }) => {
                    self.hear(&note);
                    true
                }
                Ok(LeaseHolder::Another { note }) => {
                    self.hear(&note);
                    // Whoever has the lease may die before its look is due.
                    self.due = self.due.max(Instant::now() + RENEW_EVERY);
                    false
                }
                Err(error) => {
                    tracing::warn!(%error, "looking at the ledger has to wait");
                    self.due = self.due.max(Instant::now() + RENEW_EVERY.min(self.every));
                    false
                }
            };
            if is_ours && self.due <= Instant::now() {
                stop.run_until_cancelled(self.look()).await;
            }
        }
        self.lease.release().await;
    }

    /// Takes what another process found, and lets an interval pass from then on.
    fn hear(&mut self, note: &str) {
        let Ok(told) = serde_json::from_str::<Told>(note) else { return };
        if self.verified_at.is_some_and(|known| known >= told.verified_at) {
            return;
        }
        self.verified_at = Some(told.verified_at);
        self.app.metrics().observe_ledger(told.differences, told.verified_at);
        let ago = super::pause(told.verified_at, now());
        self.due = Instant::now() + self.every.saturating_sub(ago);
    }

    /// Looks once; the lease is kept meanwhile, however long that takes.
    async fn look(&mut self) {
        let app = self.app.clone();
        let mut looking = std::pin::pin!(app.look_at_ledger());
        let found = loop {
            tokio::select! {
                found = &mut looking => break found,
                () = tokio::time::sleep(RENEW_EVERY) => {
                    if let Err(error) = self.lease.hold().await {
                        tracing::warn!(%error, "the lease of looking at the ledger is not renewed");
                    }
                }
            }
        };
        self.due = Instant::now() + self.every;
        match found {
            Ok(look) => {
                let (differences, verified_at) = (look.differences.len(), look.verified_at);
                self.verified_at = Some(verified_at);
                self.tell(&Told { differences, verified_at }).await;
            }
            Err(error) => tracing::error!(%error, "cannot look at the ledger"),
        }
    }

    async fn tell(&mut self, told: &Told) {
        if !self.lease.is_shared() {
            return;
        }
        let note = serde_json::to_string(told).unwrap_or_default();
        if let Err(error) = self.lease.note(note).await {
            tracing::warn!(%error, "other processes do not hear what the look at the ledger found");
        }
    }
}
