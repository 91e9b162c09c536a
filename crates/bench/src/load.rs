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

/// JSON arrays of bodies, so many in each.
pub fn arrays(bodies: &[String], size: usize) -> Vec<Vec<u8>> {
    bodies.chunks(size).map(array).collect()
}

/// A JSON array of bodies.
fn array(bodies: &[String]) -> Vec<u8> {
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

/// Request bodies that open so many accounts, numbered from the first on. Each may owe more than a
/// measurement takes from it, and that it has enough is checked every time.
pub fn accounts(first: u64, count: u64, owner: impl Fn(u64) -> Option<String>) -> Vec<Vec<u8>> {
    let body = |number| {
        let owner =
            owner(number).map_or_else(String::new, |user| format!(r#","user_id":"{user}""#));
        format!(r#"{{"account_id":{number},"overdraft_limit":"1000000000.00"{owner}}}"#)
            .into_bytes()
    };
    (first..first + count).map(body).collect()
}

/// Numbers that look random, the same for the same seed: Steele et al., "Fast splittable
/// pseudorandom number generators", 2014.
fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// Request bodies of transfers between two different ones of so many accounts, numbered from the
/// first on. The same seed makes the same bodies.
pub fn transfers(seed: u64, first: u64, accounts: u64, count: usize) -> Vec<String> {
    let mut below = chance(seed);
    let body = |_| {
        let source = below(accounts);
        let destination = (source + 1 + below(accounts.saturating_sub(1))) % accounts.max(1);
        transfer(first + source, first + destination, 1 + below(100_000))
    };
    (0..count).map(body).collect()
}

/// The same among accounts of which few are busy: the account of rank n is chosen as often as
/// 1/n² says (Zipf's law with the exponent 2), so that six of ten transfers are paid by the first.
pub fn transfers_of_few(seed: u64, first: u64, accounts: u64, count: usize) -> Vec<String> {
    let mut below = chance(seed);
    let mut total = 0;
    let ends: Vec<u64> = (1..=accounts)
        .map(|rank| {
            total += 1_000_000_000_000_000 / (rank * rank);
            total
        })
        .collect();
    let body = |_| {
        let mut ranked = || {
            let place = below(total);
            let rank = ends.partition_point(|end| *end <= place);
            first + u64::try_from(rank).unwrap_or(0)
        };
        let source = ranked();
        // Another one comes long before that.
        let mut others = std::iter::repeat_with(&mut ranked).take(1_000);
        let destination = others.find(|other| *other != source);
        transfer(source, destination.unwrap_or(first), 1 + below(100_000))
    };
    (0..count).map(body).collect()
}

/// The request body of one transfer.
pub fn transfer(source: u64, destination: u64, cents: u64) -> String {
    let (whole, cents) = (cents / 100, cents % 100);
    let accounts =
        format!(r#""source_account_id":{source},"destination_account_id":{destination}"#);
    format!(r#"{{{accounts},"amount":"{whole}.{cents:02}"}}"#)
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

    #[test]
    fn transfers_go_between_different_accounts() {
        let made = transfers(7, 10, 3, 300);
        assert_eq!(made, transfers(7, 10, 3, 300));
        for body in &made {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let [from, to] =
                ["source", "destination"].map(|side| &body[format!("{side}_account_id")]);
            assert!(
                from != to && [from, to].iter().all(|id| (10..13).contains(&id.as_u64().unwrap()))
            );
        }
        assert!(
            made.iter()
                .any(|body| body.contains(r#""source_account_id":12,"destination_account_id":10"#))
        );
    }

    #[test]
    fn few_accounts_are_busy() {
        let made = transfers_of_few(7, 10, 1_000, 1_000);
        let paid = |account: u64| {
            let start = format!(r#"{{"source_account_id":{account},"#);
            made.iter().filter(|body| body.starts_with(&start)).count()
        };
        assert!((550..670).contains(&paid(10)), "{}", paid(10));
        assert!((110..200).contains(&paid(11)), "{}", paid(11));
        let same = made.iter().map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
        let same = same.filter(|body| body["source_account_id"] == body["destination_account_id"]);
        assert_eq!(same.count(), 0);
    }
}
