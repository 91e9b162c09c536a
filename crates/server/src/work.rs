//! What the server does by itself, without being asked.

mod auditor;
mod follower;
mod lease;
mod settler;
mod verifier;

use std::time::Duration;

use daybook_core::Timestamp;
use daybook_store::Error;

pub use auditor::Auditor;
pub(crate) use auditor::{Audit, Refused};
pub use follower::Follower;
pub use settler::Settler;
pub(crate) use verifier::Looks;
pub use verifier::Verifier;

/// Whether the store is busy, full, closed or away, which is no fault of what was asked of it.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Busy | Error::DiskFull | Error::Closed | Error::Away { .. })
}

fn pause(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(to.micros() - from.micros()).unwrap_or(0))
}
