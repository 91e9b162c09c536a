//! How new a record is, as the system that it came from says.

use std::cmp::Ordering;

use crate::time::Timestamp;

/// A number that rises with every version of a record, or the time of its last change, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// `source_version`: 0 or more.
    pub version: Option<i64>,
    /// `source_updated_at`.
    pub updated_at: Option<Timestamp>,
}

impl Revision {
    /// Compares what is sent with what is stored: `Greater` is newer, `Less` is older, and `Equal`
    /// says nothing. The version decides first, then the time. A mark where none is stored is
    /// newer; one that is left out says nothing.
    #[must_use]
    pub fn compare(self, stored: Self) -> Ordering {
        said(self.version, stored.version).then(said(self.updated_at, stored.updated_at))
    }

    /// What is stored after this was accepted: a mark that is left out stays.
    #[must_use]
    pub fn over(self, stored: Self) -> Self {
        Self {
            version: self.version.or(stored.version),
            updated_at: self.updated_at.or(stored.updated_at),
        }
    }
}

fn said<T: Ord>(sent: Option<T>, stored: Option<T>) -> Ordering {
    if sent.is_none() { Ordering::Equal } else { sent.cmp(&stored) }
}
