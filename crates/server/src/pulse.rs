//! How the store is, asked once for all who want to know: nobody pays for `/health`, so it must cost
//! nothing to be asked often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_store::{Follower, Status};
use tokio::sync::Mutex;

use crate::app::App;

/// A store that does not say how it is within this time is away.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is good for.
const KEPT: Duration = Duration::from_millis(200);

/// How the store was a moment ago.
#[derive(Default)]
pub(crate) struct Found {
    /// `None` when it does not answer.
    pub status: Option<Status>,
    pub followers: Vec<Follower>,
}

/// The last answer, and when it was given.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, Arc<Found>)>>);

impl Pulse {
    /// How the store is, which the metrics are told too. Those who come together wait for one answer.
    pub async fn take(&self, app: &App) -> Arc<Found> {
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < KEPT
        {
            return Arc::clone(found);
        }
        let found = Arc::new(ask(app).await);
        *last = Some((Instant::now(), Arc::clone(&found)));
        found
    }
}

async fn ask(app: &App) -> Found {
    let status = match tokio::time::timeout(STORE_PATIENCE, app.store().status()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not say how it is");
            return Found::default();
        }
        Err(_elapsed) => {
            tracing::warn!("the store takes too long to say how it is");
            return Found::default();
        }
    };
    app.metrics().observe_store(&status);
    let followers = tokio::time::timeout(STORE_PATIENCE, app.store().followers()).await;
    let followers = followers.ok().and_then(Result::ok).unwrap_or_default();
    let newest = app.store().seq();
    for follower in &followers {
        app.metrics().observe_follower(&follower.name, follower.lag(newest));
    }
    Found { status: Some(status), followers }
}
