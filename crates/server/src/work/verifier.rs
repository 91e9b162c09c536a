//! Looks at the whole ledger: when an operator asks, and every so often by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_core::Timestamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

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

/// Looks at the ledger every so often.
pub struct Verifier {
    app: App,
    every: Duration,
}

impl Verifier {
    /// The verifier that the settings ask for; `None` when they ask for none.
    #[must_use]
    pub fn new(app: App) -> Option<Self> {
        let every = app.settings().ledger.verify_every?;
        Some(Self { app, every })
    }

    /// Looks until it is stopped; for the first time after one interval.
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.app.look_at_ledger()).await {
                tracing::error!(%error, "cannot look at the ledger");
            }
        }
    }
}
