//! Writes down who was refused: logins that failed, and rows and calls that a caller has no right
//! to. Refusals of the same kind are counted together, and of all kinds only so many are kept, so
//! that an attacker fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::Method;
use daybook_core::{Action, KeyId, Note, Refusals, UserId};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How long refusals are counted before they are written down.
const EVERY: Duration = Duration::from_secs(5);
/// Kinds that are told apart in this time; what more there are is counted in one.
const KINDS_MAX: usize = 32;
/// What stands where refusals of many kinds are counted in one.
const OTHERS: &str = "OTHERS";

/// What is the same of refusals that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refused {
    pub status: u16,
    pub code: &'static str,
    pub method: Method,
    pub route: String,
    pub address: Option<IpAddr>,
    pub user_id: Option<UserId>,
    pub key_id: Option<KeyId>,
}

/// The refusals that are not written down yet.
#[derive(Default)]
pub(crate) struct Audit(Mutex<HashMap<Refused, u64>>);

impl Audit {
    /// Counts refusals of one kind.
    pub fn add(&self, refused: Refused, times: u64) {
        let mut counts = self.0.lock();
        let refused = if counts.len() < KINDS_MAX || counts.contains_key(&refused) {
            refused
        } else {
            Refused {
                status: refused.status,
                code: OTHERS,
                method: Method::GET,
                route: "*".to_owned(),
                address: None,
                user_id: None,
                key_id: None,
            }
        };
        let count = counts.entry(refused).or_default();
        *count = count.saturating_add(times);
    }

    fn take(&self) -> Vec<(Refused, u64)> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }
}

impl App {
    /// Writes down what was refused since the last time. What the store cannot take now is kept.
    pub async fn note_refusals(&self) {
        let counted = self.audit().take();
        if counted.is_empty() {
            return;
        }
        let actions = counted.iter().map(|(refused, count)| Action::Note(note(refused, *count)));
        if let Err(error) = self.submit(None, false, actions.collect()).await {
            tracing::warn!(%error, "refusals wait to be written down");
            for (refused, count) in counted {
                self.audit().add(refused, count);
            }
        }
    }
}

impl App {
    /// Writes down when API keys were last seen.
    pub async fn note_keys(&self) {
        let seen = self.api_keys().take_seen();
        if !seen.is_empty()
            && let Err(error) = self.store().api_keys_used(seen.clone()).await
        {
            tracing::warn!(%error, "when API keys were last used waits to be written down");
            self.api_keys().put_seen(seen);
        }
    }
}

fn note(refused: &Refused, count: u64) -> Note {
    let refusals = Refusals {
        status: refused.status,
        code: refused.code.to_owned(),
        method: refused.method.to_string(),
        route: refused.route.clone(),
        key_id: refused.key_id,
        address: refused.address.map(|address| address.to_string()),
        count,
    };
    Note::refused(refused.user_id.clone(), &refusals)
}

/// Writes refusals down every so often.
pub struct Auditor(App);

impl Auditor {
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(app)
    }

    /// Writes until it is stopped; what was counted then is left to [`App::note_refusals`].
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            self.0.note_refusals().await;
            self.0.note_keys().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: u32) -> Refused {
        let address = Some(IpAddr::from(address.to_be_bytes()));
        let (method, route) = (Method::GET, "/api/v1/transactions".to_owned());
        let (user_id, key_id) = (None, None);
        Refused { status: 401, code: "INVALID_TOKEN", method, route, address, user_id, key_id }
    }

    #[test]
    fn a_flood_of_addresses_is_counted_and_takes_no_room() {
        let audit = Audit::default();
        for address in 0..100_000 {
            audit.add(from(address), 1);
        }
        audit.add(from(0), 1);
        let counted = audit.take();
        assert!(counted.len() <= KINDS_MAX + 1, "{}", counted.len());
        assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 100_001);
        let first = counted.iter().find(|(refused, _)| *refused == from(0));
        assert_eq!(first.map(|(_, count)| *count), Some(2));
        assert!(counted.iter().any(|(refused, _)| refused.code == OTHERS));
        assert_eq!(audit.take(), []);
    }
}
