//! Work that one of all processes on a database does. Its owner holds a lease and renews it; when the
//! owner dies, another process takes over once the lease has ended. Where two owners overlap for a
//! moment, what they do twice does no harm.

use std::time::{Duration, Instant};

use daybook_store::{LeaseHolder, Result, WorkLease};

use crate::app::{App, new_id};

/// How long an owner that died keeps others waiting.
const LEASE: Duration = Duration::from_secs(10);
/// How often the lease is renewed, and asked for while it is another's.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);

/// The lease of one kind of work, as this process asks for it.
pub struct Lease {
    app: App,
    name: &'static str,
    owner: String,
    /// The last answer, and when it was asked for.
    known: Option<(Instant, LeaseHolder)>,
}

impl Lease {
    #[must_use]
    pub fn new(app: App, name: &'static str) -> Self {
        Self { app, name, owner: new_id().to_string(), known: None }
    }

    /// Takes or renews the lease, unless that was asked a moment ago.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn hold(&mut self) -> Result<LeaseHolder> {
        match &self.known {
            Some((asked, known)) if asked.elapsed() < RENEW_EVERY => Ok(known.clone()),
            Some(_) | None => self.ask(LEASE, None).await,
        }
    }

    /// Leaves word of the work for the other processes, with the lease.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn note(&mut self, note: String) -> Result<LeaseHolder> {
        self.ask(LEASE, Some(note)).await
    }

    /// Whether other processes may have the same store open.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.known.as_ref().is_none_or(|(_, known)| *known != LeaseHolder::Nobody)
    }

    /// Lets another process take over at once.
    pub async fn release(mut self) {
        let is_ours = matches!(&self.known, Some((_, LeaseHolder::Asker { .. })));
        if is_ours && let Err(error) = self.ask(Duration::ZERO, None).await {
            tracing::warn!(%error, work = self.name, "the lease of work ends by itself");
        }
    }

    async fn ask(&mut self, lease: Duration, note: Option<String>) -> Result<LeaseHolder> {
        // The lease runs from before it was asked for.
        let asked = Instant::now();
        let (name, owner) = (self.name.to_owned(), self.owner.clone());
        let found = self.app.store().lease(WorkLease { name, owner, lease, note }).await?;
        let is_ours = |known: &LeaseHolder| matches!(known, LeaseHolder::Asker { .. });
        let was_ours = self.known.as_ref().is_some_and(|(_, known)| is_ours(known));
        match (was_ours, is_ours(&found)) {
            (false, true) => tracing::info!(work = self.name, "this process does the work now"),
            (true, false) => tracing::warn!(work = self.name, "another process does the work now"),
            (true, true) | (false, false) => {}
        }
        self.known = Some((asked, found.clone()));
        Ok(found)
    }
}
