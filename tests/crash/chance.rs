//! Chance that can be repeated: the same seed gives the same numbers (splitmix64, Steele et al.,
//! "Fast splittable pseudorandom number generators", 2014).

use std::hash::{BuildHasher, RandomState};

/// Names the seed of a run that is to be repeated.
const SEED_VARIABLE: &str = "CRASH_SEED";

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed of its own for every run, or the one that the environment names; it is printed.
    pub fn seed() -> u64 {
        let given = std::env::var(SEED_VARIABLE).ok();
        let seed = match given {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{SEED_VARIABLE}={text}")),
            None => RandomState::new().hash_one(()),
        };
        println!("repeat with {SEED_VARIABLE}={seed}");
        seed
    }

    /// A number from 0 on, less than the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}
