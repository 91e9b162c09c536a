//! How much may be asked for in a while: budgets that fill evenly, by the generic cell rate algorithm
//! (ITU-T I.371, annex A). What they mean in HTTP stands in `http/budget.rs`.

mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::http::address::Proxies;

pub(crate) use table::{Charge, Key, Table};

/// The limits of a deployment that has some.
#[derive(Clone, Debug)]
pub struct Rate {
    /// A quota is for this time: it may be used at once, and comes back evenly.
    pub window: Duration,
    /// Of one address, whoever calls from it.
    pub address: Quotas,
    /// Of one user, with the user's own tokens.
    pub user: Quotas,
    /// Of the services, which their tokens do not tell apart.
    pub service: Quotas,
    /// Budgets that are remembered; of more, those nearest to full are forgotten.
    pub budgets_max: usize,
    pub proxies: Proxies,
    pub clock: Clock,
}

/// What one party may use within the window; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    pub reads: u32,
    pub writes: u32,
    pub batch_items: u32,
    pub tokens: u32,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    Reads,
    Writes,
    BatchItems,
    Tokens,
}

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    Address,
    User,
    Service,
}

impl Budget {
    pub(crate) const ALL: [Budget; 4] =
        [Budget::Reads, Budget::Writes, Budget::BatchItems, Budget::Tokens];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::BatchItems => "batch-items",
            Self::Tokens => "tokens",
        }
    }
}

impl Party {
    pub(crate) const ALL: [Party; 3] = [Party::Address, Party::User, Party::Service];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl Rate {
    /// The budget of a party; `None` has no limit.
    pub(crate) fn quota(&self, party: Party, budget: Budget) -> Option<Quota> {
        let quotas = match party {
            Party::Address => &self.address,
            Party::User => &self.user,
            Party::Service => &self.service,
        };
        let units = match budget {
            Budget::Reads => quotas.reads,
            Budget::Writes => quotas.writes,
            Budget::BatchItems => quotas.batch_items,
            Budget::Tokens => quotas.tokens,
        };
        Quota::new(units, self.window)
    }
}

/// The time that budgets fill by; it never goes back.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's, from this moment on.
    System(Instant),
    /// A test's, in nanoseconds.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub(crate) fn now_ns(&self) -> u64 {
        match self {
            Self::System(began) => u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Self::Manual(now_ns) => now_ns.load(Ordering::Relaxed),
        }
    }

    /// How long it is after the beginning of 1970, as clocks of others say it too.
    pub(crate) fn unix_time(&self) -> Duration {
        match self {
            Self::System(_) => {
                Duration::from_micros(u64::try_from(crate::app::now().micros()).unwrap_or(0))
            }
            Self::Manual(_) => Duration::from_nanos(self.now_ns()),
        }
    }
}

/// So many units at once, of which one comes back every interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub units: u32,
    interval_ns: u64,
}

impl Quota {
    /// `None` for no unit at all, which stands for no limit.
    pub fn new(units: u32, window: Duration) -> Option<Self> {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = window_ns.checked_div(u64::from(units))?.max(1);
        Some(Self { units, interval_ns })
    }

    fn time_ns(self, units: u32) -> u64 {
        self.interval_ns.saturating_mul(u64::from(units))
    }
}

/// How a budget stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub quota: Quota,
    /// The time after which it is full again; all that is remembered of a budget follows from it.
    debt_ns: u64,
}

impl Standing {
    /// How it stands when so much was taken from it; `None` when it has not so much.
    fn less(self, units: u32) -> Option<Self> {
        let debt_ns = self.debt_ns.saturating_add(self.quota.time_ns(units));
        (debt_ns <= self.quota.time_ns(self.quota.units)).then_some(Self { debt_ns, ..self })
    }

    /// What may be used at once.
    pub fn remaining(self) -> u32 {
        let left_ns = self.quota.time_ns(self.quota.units).saturating_sub(self.debt_ns);
        u32::try_from(left_ns / self.quota.interval_ns).unwrap_or(self.quota.units)
    }

    /// The time after which so much may be used at once; for ever is never asked for.
    pub fn until(self, units: u32) -> Duration {
        let needed_ns = self.debt_ns.saturating_add(self.quota.time_ns(units));
        Duration::from_nanos(needed_ns.saturating_sub(self.quota.time_ns(self.quota.units)))
    }

    /// The time after which it is full again.
    pub fn until_full(self) -> Duration {
        Duration::from_nanos(self.debt_ns)
    }

    /// The time over which what remains can be spread without slowing down after it: in that time
    /// as much comes back. With nothing left, the time until there is something.
    pub fn pace(self) -> Duration {
        match self.remaining() {
            0 => self.until(1),
            remaining => Duration::from_nanos(self.quota.time_ns(remaining)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_budget_may_be_used_at_once_and_comes_back_evenly() {
        let quota = Quota::new(10, SECOND * 5).expect("a quota");
        let mut standing = Standing { quota, debt_ns: 0 };
        for left in (0..10).rev() {
            standing = standing.less(1).expect("some is left");
            assert_eq!(standing.remaining(), left);
        }
        assert_eq!(standing.less(1), None);
        assert_eq!(standing.until_full(), SECOND * 5);
        assert_eq!(standing.until(1), SECOND / 2);
        assert_eq!(standing.until(4), SECOND * 2);
        assert_eq!(standing.pace(), SECOND / 2);
        let later = Standing { debt_ns: 2_400_000_000, ..standing };
        assert_eq!(later.remaining(), 5);
        assert_eq!(later.until(6), SECOND * 4 / 10);
        assert_eq!(later.pace(), SECOND * 5 / 2);
    }

    #[test]
    fn a_quota_that_does_not_divide_its_window_is_still_whole() {
        for units in [1, 3, 7, 59, 600_000, u32::MAX] {
            let quota = Quota::new(units, SECOND * 60).expect("a quota");
            let full = Standing { quota, debt_ns: 0 };
            assert_eq!(full.remaining(), units);
            let empty = full.less(units).expect("all of it");
            assert_eq!((empty.remaining(), empty.less(1)), (0, None));
            let again = Standing { debt_ns: empty.debt_ns - quota.interval_ns, ..empty };
            assert_eq!(again.remaining(), 1);
        }
        assert_eq!(Quota::new(0, SECOND), None);
    }
}
