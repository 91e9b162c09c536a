//! Settings of a store.

use std::fmt;
use std::time::Duration;

use crate::{Sealing, masked};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Submissions that may wait; one more is refused as [`Error::Busy`](crate::Error::Busy).
    pub queue: usize,
    /// The most actions one commit takes.
    pub commit_actions: usize,
    /// Threads that answer questions.
    pub readers: usize,
    /// How long one question may take.
    pub query_time: Duration,
    /// How long replies to idempotency keys are kept.
    pub replies_kept: Duration,
    /// A replica of the database that may answer reads: a URL as the store's.
    pub replica: Option<String>,
    /// How sensitive values are sealed; `None` keeps them as they are sent.
    pub sealing: Option<Sealing>,
    /// Opens books with sealed values though there are no keys, to look at all else; nothing is
    /// recorded then.
    pub without_keys: bool,
}

/// A replica's URL may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queue,
            commit_actions,
            readers,
            query_time,
            replies_kept,
            replica,
            sealing,
            without_keys,
        } = self;
        f.debug_struct("Options")
            .field("queue", queue)
            .field("commit_actions", commit_actions)
            .field("readers", readers)
            .field("query_time", query_time)
            .field("replies_kept", replies_kept)
            .field("replica", &replica.as_deref().map(masked))
            .field("sealing", sealing)
            .field("without_keys", without_keys)
            .finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4_096,
            commit_actions: 10_000,
            readers: 2,
            query_time: Duration::from_secs(10),
            replies_kept: Duration::from_secs(7 * 86_400),
            replica: None,
            sealing: None,
            without_keys: false,
        }
    }
}
