//! Work that one of all processes on the books does: what they ask a store, and what it answers.

use std::time::Duration;

/// Asks for the lease of work that one of all processes on the books does.
#[derive(Clone, Debug)]
pub struct WorkLease {
    /// The name of the work.
    pub name: String,
    /// Who asks; told apart from all others by this name.
    pub owner: String,
    /// How long nobody else gets the lease; nothing lets go of it.
    pub lease: Duration,
    /// What others are to know of the work, when there is news; only an owner leaves it.
    pub note: Option<String>,
}

/// Whose the lease of work is, and the last note of an owner, empty before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseHolder {
    /// No other process can have the books open, so there are no leases.
    Nobody,
    /// Whoever asked.
    Asker {
        note: String,
    },
    Another {
        note: String,
    },
}
