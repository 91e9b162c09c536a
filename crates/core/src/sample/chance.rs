//! Seeded chance: the same seed gives the same choices on every machine and in every version,
//! which the generators and ranges of libraries do not all promise. Nothing here is a float.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// How often something happens, of a thousand.
pub const OF_THOUSAND: u64 = 1_000;

/// 33 points of the log-normal distribution with median 1 and sigma 0.6, in thousandths, at equal
/// steps of probability; the ends are the quantiles 0.005 and 0.995.
#[rustfmt::skip]
const SPREAD: [u64; 33] = [
    213, 327, 398, 453, 501, 546, 587, 628, 667, 706, 746, 786, 826, 867, 910, 954, 1_000, 1_048,
    1_099, 1_153, 1_211, 1_273, 1_341, 1_415, 1_499, 1_593, 1_703, 1_833, 1_994, 2_205, 2_510,
    3_058, 4_690,
];

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A stream of its own for each pair of numbers, whatever was drawn from others before.
    pub fn of(seed: u64, number: u64) -> Self {
        Self::new(seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A whole number below `bound`, each as likely as the others to within 2^-64 × bound; 0 when
    /// the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens so often of a thousand.
    pub fn happens(&mut self, times: u64) -> bool {
        self.below(OF_THOUSAND) < times
    }

    /// One of the list, each as likely as the others; the default of an empty list.
    pub fn pick<T: Copy + Default>(&mut self, list: &[T]) -> T {
        let length = u64::try_from(list.len()).unwrap_or_default();
        let at = usize::try_from(self.below(length)).unwrap_or_default();
        list.get(at).copied().unwrap_or_default()
    }

    /// One of the list, as likely as its weight says; the default of an empty list.
    pub fn weighted<T: Copy + Default>(&mut self, list: &[(u64, T)]) -> T {
        let mut left = self.below(list.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in list {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *value,
            }
        }
        T::default()
    }

    /// A number around a median, as prices are: most are near it, few are many times as large.
    pub fn around(&mut self, median: u64) -> u64 {
        let once = median.saturating_mul(self.spread()) / OF_THOUSAND;
        (once.saturating_mul(self.spread()) / OF_THOUSAND).max(1)
    }

    /// As [`Chance::around`], but closer to the median.
    pub fn near(&mut self, median: u64) -> u64 {
        (median.saturating_mul(self.spread()) / OF_THOUSAND).max(1)
    }

    /// So many decimal digits, the first of which may be 0.
    pub fn digits(&mut self, count: usize) -> String {
        let digit = |chance: &mut Self| char::from_digit(u32::try_from(chance.below(10)).ok()?, 10);
        (0..count).filter_map(|_| digit(self)).collect()
    }

    /// So many characters of an alphabet.
    pub fn word(&mut self, alphabet: &[char], count: usize) -> String {
        (0..count).map(|_| self.pick(alphabet)).collect()
    }

    fn spread(&mut self) -> u64 {
        let place = self.below(32 << 16);
        let at = usize::try_from(place >> 16).unwrap_or_default();
        match SPREAD.get(at..at + 2) {
            Some([low, high]) => low + (((high - low) * (place & 0xffff)) >> 16),
            Some(_) | None => OF_THOUSAND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_on_every_machine() {
        let mut chance = Chance::new(7);
        let drawn =
            [chance.below(1_000), chance.between(5, 9), chance.around(1_000), chance.below(0)];
        insta::assert_debug_snapshot!((drawn, chance.digits(6), chance.pick(&["a", "b", "c"])));
    }

    #[test]
    fn choices_stay_within_their_bounds_and_reach_them() {
        let mut chance = Chance::new(1);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[usize::try_from(chance.between(0, 4)).expect("small")] = true;
            assert!(chance.weighted(&[(1, 1), (0, 2), (3, 3)]) != 2);
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(chance.pick::<u8>(&[]), 0);
    }

    #[test]
    fn prices_lie_around_their_median() {
        assert!(SPREAD.is_sorted());
        let mut chance = Chance::new(3);
        let mut prices: Vec<u64> = (0..10_001).map(|_| chance.around(1_000)).collect();
        prices.sort_unstable();
        assert!((900..1_100).contains(&prices[5_000]), "{}", prices[5_000]);
        assert!(prices[9_900] > 4_000 && prices[100] < 300);
    }
}
