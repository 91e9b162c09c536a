//! The records that are sent, made before any clock starts.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use daybook_core::id::fnv128;
use daybook_core::kind::KINDS;
use daybook_core::{Timestamp, UserId};
use serde::Deserialize;

use crate::client;

/// The year that records are spread over begins here: 2025-10-09.
const YEAR_START_US: i64 = 1_760_000_000_000_000;
const YEAR_S: u128 = 365 * 86_400;

/// Request bodies of single creates: every kind, spread over so many users and a year. The same
/// seed makes the same bodies.
pub fn bodies(seed: u64, users: u32, count: usize) -> Result<Vec<String>> {
    let body = |(number, kind): (usize, &&dyn daybook_core::kind::Kind)| {
        let chance = fnv128(&[&seed.to_be_bytes(), &number.to_be_bytes()]);
        let user = chance % u128::from(users);
        let second = i64::try_from((chance >> 32) % YEAR_S)?;
        let at = Timestamp::from_micros(YEAR_START_US + second * 1_000_000);
        let fields = kind.example().trim_start().strip_prefix('{');
        let fields = fields.context("an example is a JSON object")?;
        Ok(format!(
            r#"{{"user_id":"user_{user}","created_at":"{at}",{fields}"#
        ))
    };
    KINDS
        .iter()
        .cycle()
        .enumerate()
        .take(count)
        .map(body)
        .collect()
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
    format!(
        "/api/v1/transactions?user_id={}&limit=20",
        client::encode(user.as_str())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_valid_bodies() {
        let made = bodies(7, 20, 200).unwrap();
        assert_eq!(made, bodies(7, 20, 200).unwrap());
        assert_ne!(made, bodies(8, 20, 200).unwrap());
        assert_eq!(
            crate::raw::rows(&made).unwrap().len(),
            200,
            "all of them are accepted"
        );
        let users = users_of(&made, 100).unwrap();
        assert!((10..=20).contains(&users.len()), "{users:?}");
    }
}
