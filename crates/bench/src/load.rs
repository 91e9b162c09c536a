//! The records that are sent, made before any clock starts.

use anyhow::{Context, Result};
use daybook_core::UserId;
use serde::Deserialize;

use crate::client;

/// Request bodies of single creates, spread over so many users.
pub fn bodies(seed: u64, users: u32, count: usize) -> Result<Vec<String>> {
    let kinds = daybook_core::kind::KINDS;
    let body = |number: usize| {
        let hash = daybook_core::id::fnv128(&[&seed.to_be_bytes(), &number.to_be_bytes()]);
        let user = hash % u128::from(users);
        let second = (hash >> 32) % 31_000_000;
        let at = daybook_core::Timestamp::from_micros(
            1_760_000_000_000_000 + i64::try_from(second)? * 1_000_000,
        );
        let kind = kinds.get(number % kinds.len()).context("there are kinds")?;
        let fields = kind
            .example()
            .strip_prefix('{')
            .context("an example is an object")?;
        Ok(format!(
            r#"{{"user_id":"user_{user}","created_at":"{at}",{fields}"#
        ))
    };
    (0..count).map(body).collect()
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
    let mut users = std::collections::BTreeSet::new();
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
