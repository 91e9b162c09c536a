//! What becomes of a transfer that waits and fails: when it is tried again, and when no more.

use super::{Deserialize, Rejection, Serialize, Timestamp, named};

named! {
    /// What is known about a failure: a temporary one may pass by itself, a permanent one will
    /// not, and of an unknown one nobody can say.
    FailureKind { Temporary = "temporary", Permanent = "permanent", Unknown = "unknown" }
}

/// Why an attempt failed, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub code: String,
    pub detail: String,
}

impl Failure {
    /// Tells what waiting may cure from what it cannot.
    #[must_use]
    pub fn of(rejection: &Rejection) -> Self {
        let kind = match rejection {
            Rejection::InsufficientFunds { .. } | Rejection::AccountFrozen { .. } => {
                FailureKind::Temporary
            }
            _ => FailureKind::Permanent,
        };
        let detail = match rejection {
            // Both sides read this, and what the source has is none of the other's business.
            Rejection::InsufficientFunds { .. } => "the source has too little money".to_owned(),
            _ => rejection.to_string(),
        };
        Self { kind, code: rejection.code().to_owned(), detail }
    }
}

/// How often and when a transfer is tried again. The chance in it arrives with the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// The pause after the first attempt, in microseconds; it doubles with every attempt.
    pub base_us: i64,
    /// The longest pause, in microseconds.
    pub cap_us: i64,
    /// A random number: the second half of a pause is cut to this share of 2^32.
    pub chance: u32,
}

impl Retry {
    /// When the next attempt is, after so many that failed; `None` when there is none.
    #[must_use]
    pub fn next(&self, at: Timestamp, failed: u32) -> Option<Timestamp> {
        if failed >= self.attempts_max {
            return None;
        }
        let doublings = failed.saturating_sub(1).min(40);
        let pause = self.base_us.saturating_mul(1 << doublings).clamp(1, self.cap_us.max(1));
        let half = i128::from(pause / 2);
        let jitter = (half * i128::from(self.chance)) >> 32;
        let jitter = i64::try_from(jitter).unwrap_or(0);
        Some(Timestamp::from_micros(at.micros().saturating_add(pause - pause / 2 + jitter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_after_the_last_attempt() {
        let at = Timestamp::from_micros(0);
        let retry = |chance| Retry { attempts_max: 6, base_us: 100, cap_us: 700, chance };
        let pauses = |chance| -> Vec<Option<i64>> {
            (1..7).map(|n| retry(chance).next(at, n).map(Timestamp::micros)).collect()
        };
        let shortest = [50, 100, 200, 350, 350].map(Some);
        assert_eq!(pauses(0), [&shortest[..], &[None]].concat());
        let longest = [99, 199, 399, 699, 699].map(Some);
        assert_eq!(pauses(u32::MAX), [&longest[..], &[None]].concat());
    }

    #[test]
    fn what_both_sides_read_says_nothing_of_a_balance() {
        let refused = Rejection::InsufficientFunds {
            id: crate::id::AccountId(1),
            currency: "USD".to_owned(),
            available: "12.34".to_owned(),
            needed: "20.00".to_owned(),
        };
        let failure = Failure::of(&refused);
        assert_eq!(failure.kind, FailureKind::Temporary);
        assert_eq!(failure.code, "INSUFFICIENT_FUNDS");
        assert!(!failure.detail.contains("12.34"), "{}", failure.detail);
    }

    #[test]
    fn a_pause_never_overflows() {
        let retry =
            Retry { attempts_max: u32::MAX, base_us: i64::MAX, cap_us: i64::MAX, chance: u32::MAX };
        let next = retry.next(Timestamp::from_micros(i64::MAX), 1_000);
        assert_eq!(next, Some(Timestamp::from_micros(i64::MAX)));
    }
}
