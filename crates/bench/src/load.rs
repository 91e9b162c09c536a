//! The records that are sent, made before any clock starts.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use daybook_core::sample::{self, Sampler, Users};
use daybook_core::{Timestamp, UserId};
use serde::Deserialize;

use crate::client;

/// The year that records are spread over ends here: 2026-10-09.
const YEAR_END_US: i64 = 1_791_536_000_000_000;

/// When recorded items happened.
#[derive(Clone, Copy, Debug)]
pub enum Happened {
    /// As they are recorded, the way of a running system.
    Now,
    /// In the past year, oldest first, the way of an import.
    PastYear,
}

/// Request bodies of creates: every kind, spread over so many users. The same seed makes the same
/// bodies.
pub fn bodies(seed: u64, users: u32, count: usize, happened: Happened) -> Result<Vec<String>> {
    let users = Users::numbered("user_", users).map_err(anyhow::Error::msg)?;
    let sampler = Sampler::new(seed, users, Timestamp::from_micros(YEAR_END_US));
    let items = sampler.oldest_first(u64::try_from(count)?).map(|mut item| {
        if let Happened::Now = happened {
            item.created_at = None;
        }
        sample::body(&item)
    });
    Ok(items.collect())
}

/// A JSON array of bodies.
pub fn array(bodies: &[String]) -> Vec<u8> {
    format!("[{}]", bodies.join(",")).into_bytes()
}

/// The distinct users of bodies, at most so many.
pub fn users_of(bodies: &[String], most: usize) -> Result<Vec<UserId>> {
    #[derive(Deserialize)]
    struct Owner {
        user_id: UserId,
    }
    let mut users = BTreeSet::new();
    for body in bodies {
        if users.len() < most {
            let owner: Owner = serde_json::from_str(body).context("reading a body's user")?;
            users.insert(owner.user_id);
        }
    }
    Ok(users.into_iter().collect())
}

/// The first page of a user's feed, paged by cursor.
pub fn feed_path(user: &UserId) -> String {
    format!("/api/v1/transactions?user_id={}&limit=20", client::encode(user.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_valid_bodies() {
        let made = bodies(7, 20, 200, Happened::PastYear).unwrap();
        assert_eq!(made, bodies(7, 20, 200, Happened::PastYear).unwrap());
        assert_ne!(made, bodies(8, 20, 200, Happened::PastYear).unwrap());
        assert_eq!(crate::raw::rows(&made).unwrap().len(), 200, "all of them are accepted");
        let users = users_of(&made, 100).unwrap();
        assert!((10..=20).contains(&users.len()), "{users:?}");
    }
}
