//! Keys that were unwrapped a moment ago. Unwrapping one and making its subkeys costs as much as opening
//! some ten values.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::Mutex;

use super::DataKey;
use super::ring::RingKey;

/// Keys that are kept, at about one kilobyte each; the one that was read first makes room.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The keys that are in memory.
pub struct Known {
    keys: Mutex<Kept>,
    /// Rises when keys are destroyed, so that nobody keeps one that was read before.
    ends: AtomicU64,
}

struct Kept {
    /// By number, with what the key was unwrapped from.
    by_number: LruCache<i64, (Arc<DataKey>, Vec<u8>)>,
    /// The number of the key that seals for an owner.
    by_owner: LruCache<String, i64>,
}

impl Default for Known {
    fn default() -> Self {
        let (by_number, by_owner) = (LruCache::new(KEYS_MAX), LruCache::new(KEYS_MAX));
        Self { keys: Mutex::new(Kept { by_number, by_owner }), ends: AtomicU64::new(0) }
    }
}

/// When a key was read from the ring.
#[derive(Clone, Copy)]
pub struct Moment(u64);

impl Known {
    /// Before a key is read from the ring.
    pub fn now(&self) -> Moment {
        Moment(self.ends.load(Ordering::Acquire))
    }

    /// The key of a number; only for whoever knows that it was not destroyed.
    pub fn by_number(&self, number: i64) -> Option<Arc<DataKey>> {
        self.keys.lock().by_number.peek(&number).map(|(key, _)| Arc::clone(key))
    }

    /// The key that seals for an owner; only for whoever knows that it was not destroyed.
    pub fn by_owner(&self, owner: &str) -> Option<Arc<DataKey>> {
        let keys = self.keys.lock();
        let (key, _) = keys.by_number.peek(keys.by_owner.peek(owner)?)?;
        Some(Arc::clone(key))
    }

    /// The key that the ring has, when it was unwrapped from the same before.
    pub fn same(&self, kept: &RingKey) -> Option<Arc<DataKey>> {
        let keys = self.keys.lock();
        let (key, wrapped) = keys.by_number.peek(&kept.number)?;
        (Some(wrapped) == kept.wrapped.as_ref()).then(|| Arc::clone(key))
    }

    /// Keeps a key that was read from the ring at a moment, unless some were destroyed since.
    pub fn keep(&self, kept: &RingKey, key: &Arc<DataKey>, read: Moment) {
        let Some(wrapped) = kept.wrapped.clone() else { return };
        let mut keys = self.keys.lock();
        if self.ends.load(Ordering::Acquire) == read.0 {
            keys.by_number.put(kept.number, (Arc::clone(key), wrapped));
            keys.by_owner.put(kept.owner.clone(), kept.number);
        }
    }

    /// Forgets a key that was destroyed elsewhere.
    pub fn drop(&self, number: i64) {
        self.keys.lock().by_number.pop(&number);
    }

    /// Forgets all keys, because some are destroyed.
    pub fn forget(&self) {
        let mut keys = self.keys.lock();
        self.ends.fetch_add(1, Ordering::AcqRel);
        keys.by_number.clear();
        keys.by_owner.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_key_was_destroyed_is_not_kept() {
        let known = Known::default();
        let wrapped = Some(vec![1]);
        let kept = RingKey { number: 7, owner: "ann".to_owned(), master: String::new(), wrapped };
        let key = Arc::new(DataKey::try_new(7, &[9; 32]).expect("a key"));
        let read = known.now();
        known.keep(&kept, &key, read);
        assert!(known.by_owner("ann").is_some() && known.same(&kept).is_some());
        let other = RingKey { wrapped: Some(vec![2]), ..kept };
        assert!(known.same(&other).is_none(), "wrapped anew");
        known.forget();
        known.keep(&other, &key, read);
        assert!(known.by_number(7).is_none() && known.by_owner("ann").is_none());
    }
}
