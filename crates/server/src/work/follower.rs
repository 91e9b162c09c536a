//! Follows the event log: hands out events in commit order, and remembers which of them are done.
//!
//! A follower has one owner at a time. Who owns it holds a lease that it renews; when it dies,
//! another one takes over from the last event that was said to be done. So each event is seen at
//! least once, and again only by the one who takes over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_core::transfer::Retry;
use daybook_core::{Event, EventSeq};
use daybook_store::{Claim, Error, Result, Store};

use super::is_passing;
use crate::app::{chance, new_id, now};

/// Events in one page; few enough that handling them takes less than a lease.
const PAGE: u32 = 500;
/// How long an owner that died keeps others waiting.
const LEASE: Duration = Duration::from_secs(10);
/// How often the lease is renewed while nothing happens, and asked for while it is another's.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often news is looked for.
const POLL: Duration = Duration::from_millis(50);
/// The pauses while the store cannot be reached.
const RETRY: Retry =
    Retry { attempts_max: u32::MAX, base_us: 200_000, cap_us: 5_000_000, chance: 0 };

/// One who follows the event log.
pub struct Follower {
    store: Arc<dyn Store>,
    name: String,
    /// Tells this one from all that have the same name.
    owner: String,
    from: EventSeq,
    held: Option<Held>,
    /// Calls that failed in a row.
    failed: u32,
}

#[derive(Clone, Copy)]
struct Held {
    /// The newest event that is done.
    place: EventSeq,
    renewed: Instant,
}

impl Follower {
    /// A follower that begins behind `from` when nobody followed by this name before.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, name: String, from: EventSeq) -> Self {
        Self { store, name, owner: new_id().to_string(), from, held: None, failed: 0 }
    }

    /// Waits for the lease, and then for events after the last that is done. A store that is away
    /// or busy is asked again.
    ///
    /// # Errors
    /// When the store fails for good.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        loop {
            match self.look().await {
                Ok(events) if events.is_empty() => {
                    let pause = if self.held.is_some() { POLL } else { RENEW_EVERY };
                    tokio::time::sleep(pause).await;
                }
                Ok(events) => {
                    self.failed = 0;
                    return Ok(events);
                }
                Err(error) => self.rest(error).await?,
            }
        }
    }

    /// The events that are there now; none too when another one has the lease, which
    /// [`Follower::is_owner`] tells.
    ///
    /// # Errors
    /// When the store fails or cannot be reached.
    pub async fn look(&mut self) -> Result<Vec<Event>> {
        let held = match self.held {
            Some(held) if held.renewed.elapsed() < RENEW_EVERY => Some(held),
            Some(_) | None => self.claim(LEASE, None).await?,
        };
        match held {
            Some(held) => self.store.events(held.place, PAGE).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether this one had the lease when it last asked.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.held.is_some()
    }

    /// Says that all events up to one are done. When the lease was lost meanwhile, whoever has it
    /// may see them again.
    ///
    /// # Errors
    /// When the store fails for good.
    pub async fn done(&mut self, last: EventSeq) -> Result<()> {
        loop {
            match self.claim(LEASE, Some(last)).await {
                Ok(_) => return Ok(()),
                Err(error) => self.rest(error).await?,
            }
        }
    }

    /// Lets somebody else take over at once.
    ///
    /// # Errors
    /// When the store cannot be told; the lease then ends by itself.
    pub async fn release(mut self) -> Result<()> {
        if self.held.is_some() {
            self.claim(Duration::ZERO, None).await?;
        }
        Ok(())
    }

    async fn claim(&mut self, lease: Duration, done: Option<EventSeq>) -> Result<Option<Held>> {
        let claim = Claim {
            follower: self.name.clone(),
            owner: self.owner.clone(),
            lease,
            from: self.from,
            done,
        };
        // The lease runs from before it was asked for.
        let renewed = Instant::now();
        let place = self.store.follow(claim).await?;
        let before = self.held.is_some();
        self.held = place.map(|place| Held { place, renewed });
        match (before, place) {
            (false, Some(place)) => {
                tracing::info!(follower = self.name, place = place.0, "following");
            }
            (true, None) => tracing::warn!(follower = self.name, "somebody else follows now"),
            (true, Some(_)) | (false, None) => {}
        }
        Ok(self.held)
    }

    /// Waits before the store is asked again, when that can help.
    async fn rest(&mut self, error: Error) -> Result<()> {
        if !is_passing(&error) || matches!(error, Error::Closed) {
            return Err(error);
        }
        self.failed = self.failed.saturating_add(1);
        let at = now();
        let next = Retry { chance: chance(), ..RETRY }.next(at, self.failed).unwrap_or(at);
        let pause = super::pause(at, next);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%error, follower = self.name, pause_ms, "following has to wait");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
