//! A server and its database often start at the same time: the server waits for a while.

use std::sync::Arc;
use std::time::Duration;

use daybook_server::app;
use daybook_server::config::Config;
use daybook_store::{Error, Options, Store};
use tokio::time::Instant;

/// The first pause before it is tried again; each is twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often it is said that the database is away.
const SAY_EVERY: Duration = Duration::from_secs(3);

/// Opens the store as soon as its database answers. One that answers and refuses would refuse
/// again: a wrong password or name fails at once.
pub async fn open(config: &Config, options: Options) -> daybook_store::Result<Arc<dyn Store>> {
    let patience = Duration::from_secs(config.limits.start_wait_s);
    let begun = Instant::now();
    let mut pause = PAUSE_MIN;
    let mut say_next = begun;
    loop {
        let opened = daybook_store::open(&config.store, options.clone()).await;
        let error = match opened {
            Err(error @ (Error::Away { .. } | Error::Busy)) if begun.elapsed() < patience => error,
            opened => return opened,
        };
        let now = Instant::now();
        if say_next <= now {
            let left_s = patience.saturating_sub(begun.elapsed()).as_secs();
            match error {
                Error::Away { reason } => {
                    tracing::warn!(reason, left_s, "waiting for the database");
                }
                error => tracing::warn!(%error, left_s, "waiting for the database"),
            }
            say_next = now + SAY_EVERY;
        }
        // Servers that lost their database together should not come back together.
        tokio::time::sleep(pause * (512 + app::chance() % 512) / 1_024).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
