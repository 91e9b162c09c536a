//! How many items each user has, remembered for the total of a numbered page. A count is exact or
//! absent: one that was being made while its user's books changed is thrown away.

use std::num::NonZeroUsize;

use daybook_core::UserId;
use lru::LruCache;
use parking_lot::Mutex;

/// Users whose count is remembered; about 10 MB.
const USERS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Known(u64),
    /// Somebody counts, in a snapshot that began after this was noted.
    Counting(Ticket),
}

/// The right to say what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Inner {
    counts: LruCache<UserId, Count>,
    tickets: u64,
}

#[derive(Debug)]
pub struct Counts(Mutex<Inner>);

impl Default for Counts {
    fn default() -> Self {
        let room = NonZeroUsize::new(USERS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(Inner { counts: LruCache::new(room), tickets: 0 }))
    }
}

impl Counts {
    /// The count, or a ticket to make it. Must be called before the snapshot that is counted.
    pub fn get_or_begin(&self, user: &UserId) -> Result<u64, Ticket> {
        let mut inner = self.0.lock();
        if let Some(Count::Known(count)) = inner.counts.get(user) {
            return Ok(*count);
        }
        inner.tickets += 1;
        let ticket = Ticket(inner.tickets);
        inner.counts.put(user.clone(), Count::Counting(ticket));
        Err(ticket)
    }

    /// Remembers a count, unless the user's books changed while it was made.
    pub fn finish(&self, user: &UserId, ticket: Ticket, count: u64) {
        if let Some(entry) = self.0.lock().counts.peek_mut(user)
            && *entry == Count::Counting(ticket)
        {
            *entry = Count::Known(count);
        }
    }

    /// Follows a commit; must be called after it and before it is answered.
    pub fn changed(&self, user: &UserId, change: i64) {
        let mut inner = self.0.lock();
        match inner.counts.peek_mut(user) {
            Some(Count::Known(count)) => *count = count.saturating_add_signed(change),
            Some(Count::Counting(_)) => drop(inner.counts.pop(user)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_made_while_the_books_changed_is_not_kept() {
        let counts = Counts::default();
        let user = UserId::parse("u").expect("a user id");
        let early = counts.get_or_begin(&user).expect_err("nothing is known yet");
        counts.changed(&user, 1);
        let late = counts.get_or_begin(&user).expect_err("still nothing");
        counts.finish(&user, early, 5);
        assert!(counts.get_or_begin(&user).is_err());
        counts.finish(&user, late, 6);
        let last = counts.get_or_begin(&user).expect_err("the newest ticket counts");
        counts.finish(&user, last, 6);
        counts.changed(&user, 2);
        assert_eq!(counts.get_or_begin(&user), Ok(8));
    }
}
