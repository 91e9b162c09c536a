//! What is remembered of budgets: a table of fixed size. Servers that share budgets would have
//! another table in its place, with the same two calls.

use std::num::NonZero;

use metrics::Counter;
use parking_lot::Mutex;

use super::{Quota, Standing};

/// Budgets that share a lock and compete for its places. With more of them a place is found more
/// surely, with fewer faster.
const WAYS: usize = 16;

/// Names a budget: a hash that nobody outside can foresee, so that none can aim at another's.
pub(crate) type Key = NonZero<u64>;

/// When budgets are full again, by their keys. A budget that is full is one that is not there, so
/// nothing ever needs to be cleaned up.
///
/// When there is no place left, the budget that is nearest to full is forgotten, so that its owner
/// has a little more than was due; nobody is refused for the sake of the table. Who has used up a
/// budget is forgotten last: a flood of addresses frees none of them.
pub(crate) struct Table {
    sets: Box<[Mutex<[Place; WAYS]>]>,
    /// Counts budgets that were forgotten before they were full.
    forgotten: Counter,
}

/// Free, or taken by a key, which is not 0.
#[derive(Clone, Copy, Default)]
struct Place {
    key: u64,
    full_at_ns: u64,
}

/// What came of taking from a budget, and how it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    Paid(Standing),
    Refused(Standing),
}

impl Table {
    /// A table with room for about so many budgets, which it takes at once: 16 bytes for each.
    pub fn new(budgets_max: usize, forgotten: Counter) -> Self {
        let sets = budgets_max.div_ceil(WAYS).max(1);
        Self { sets: (0..sets).map(|_| Mutex::default()).collect(), forgotten }
    }

    /// Takes so much from a budget when it has so much, and nothing otherwise.
    pub fn charge(&self, key: Key, quota: Quota, units: u32, now_ns: u64) -> Charge {
        let full = Standing { quota, debt_ns: 0 };
        let Some(set) = self.set(key) else { return Charge::Paid(full) };
        let mut places = set.lock();
        let known = places.iter().position(|place| place.key == key.get());
        let nearest_to_full = || {
            let places = places.iter().enumerate();
            places.min_by_key(|(_, place)| place.full_at_ns).map(|(index, _)| index)
        };
        let index = known.or_else(nearest_to_full).unwrap_or(0);
        let Some(place) = places.get_mut(index) else { return Charge::Paid(full) };
        let is_known = known.is_some();
        let debt_ns = if is_known { place.full_at_ns.saturating_sub(now_ns) } else { 0 };
        let before = Standing { quota, debt_ns };
        let Some(after) = before.less(units) else { return Charge::Refused(before) };
        if !is_known && place.full_at_ns > now_ns {
            self.forgotten.increment(1);
        }
        *place = Place { key: key.get(), full_at_ns: now_ns.saturating_add(after.debt_ns) };
        Charge::Paid(after)
    }

    /// Gives back what was taken for nothing.
    pub fn refund(&self, key: Key, quota: Quota, units: u32) {
        let Some(set) = self.set(key) else { return };
        let mut places = set.lock();
        if let Some(place) = places.iter_mut().find(|place| place.key == key.get()) {
            place.full_at_ns = place.full_at_ns.saturating_sub(quota.time_ns(units));
        }
    }

    fn set(&self, key: Key) -> Option<&Mutex<[Place; WAYS]>> {
        let sets = u64::try_from(self.sets.len()).unwrap_or(u64::MAX);
        self.sets.get(usize::try_from(key.get() % sets).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const NS: u64 = 1_000_000_000;

    fn quota(units: u32) -> Quota {
        Quota::new(units, Duration::from_secs(60)).expect("a quota")
    }

    /// Keys as a good hash would give them (the finalizer of SplitMix64).
    fn key(number: u64) -> Key {
        let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Key::new(z ^ (z >> 31)).unwrap_or(Key::MIN)
    }

    fn table(budgets_max: usize) -> Table {
        Table::new(budgets_max, Counter::noop())
    }

    fn taken(table: &Table) -> usize {
        table.sets.iter().map(|set| set.lock().iter().filter(|p| p.key != 0).count()).sum()
    }

    fn is_paid(charge: Charge) -> bool {
        matches!(charge, Charge::Paid(_))
    }

    #[test]
    fn a_budget_is_its_keys_own() {
        let table = table(64);
        for _ in 0..3 {
            assert!(is_paid(table.charge(key(1), quota(3), 1, 0)));
        }
        assert!(!is_paid(table.charge(key(1), quota(3), 1, 0)));
        assert!(is_paid(table.charge(key(2), quota(3), 3, 0)));
        assert!(!is_paid(table.charge(key(1), quota(3), 1, 20 * NS - 1)));
        assert!(is_paid(table.charge(key(1), quota(3), 1, 20 * NS)));
    }

    #[test]
    fn what_is_refused_takes_nothing_and_what_is_given_back_is_there() {
        let table = table(64);
        assert!(is_paid(table.charge(key(1), quota(10), 4, 0)));
        let Charge::Refused(standing) = table.charge(key(1), quota(10), 7, 0) else {
            panic!("7 of 6 were paid");
        };
        assert_eq!((standing.remaining(), standing.until(7)), (6, Duration::from_secs(6)));
        assert!(is_paid(table.charge(key(1), quota(10), 6, 0)));
        table.refund(key(1), quota(10), 6);
        assert!(is_paid(table.charge(key(1), quota(10), 6, 0)));
        assert!(!is_paid(table.charge(key(1), quota(10), 1, 0)));
        // A budget that was forgotten is full already.
        table.refund(key(2), quota(10), 6);
        assert!(!is_paid(table.charge(key(2), quota(10), 11, 0)));
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_memory_and_punishes_nobody() {
        let table = table(1_024);
        // Somebody who used all up, and somebody who asks now and then.
        assert!(is_paid(table.charge(key(0), quota(100), 100, 0)));
        let (mut now_ns, mut regular) = (0, 0);
        for number in 0..100_000 {
            now_ns += 10_000;
            assert!(is_paid(table.charge(key(10 + number), quota(100), 1, now_ns)));
            if number % 1_000 == 0 {
                regular += u32::from(is_paid(table.charge(key(1), quota(100), 1, now_ns)));
            }
        }
        assert_eq!((taken(&table), regular), (1_024, 100));
        // One second has passed; the flood of a hundred times the table freed nobody.
        assert_eq!(now_ns, NS);
        let Charge::Paid(standing) = table.charge(key(0), quota(100), 1, now_ns) else {
            panic!("one unit has come back");
        };
        assert_eq!(standing.remaining(), 0);
    }

    #[test]
    fn who_used_up_a_budget_is_forgotten_last() {
        // One set: 16 places, and 16 keys of which the first is used up.
        let table = table(16);
        table.charge(key(0), quota(10), 10, 0);
        for number in 1..1_000 {
            table.charge(key(number), quota(10), 9, 0);
            assert!(!is_paid(table.charge(key(0), quota(10), 1, 0)), "forgotten by {number}");
        }
    }

    #[test]
    fn a_full_budget_leaves_its_place_without_being_counted_as_forgotten() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let counter = || metrics::counter!("forgotten");
        let table = Table::new(16, metrics::with_local_recorder(&recorder, counter));
        for number in 0..16 {
            table.charge(key(number), quota(60), 1, 0);
        }
        for number in 16..32 {
            table.charge(key(number), quota(60), 1, NS);
        }
        assert!(recorder.handle().render().contains("forgotten 0"));
        table.charge(key(99), quota(60), 1, NS);
        assert!(recorder.handle().render().contains("forgotten 1"));
    }

    #[test]
    fn many_at_once_never_get_more_than_there_is() {
        let (table, paid) = (table(64), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let is_paid = is_paid(table.charge(key(1), quota(2_500), 1, 7));
                        paid.fetch_add(u32::from(is_paid), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(paid.into_inner(), 2_500);
    }
}
