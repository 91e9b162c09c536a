//! Decisions about API keys.

use super::{Books, Undo};
use crate::event::EventType;
use crate::id::KeyId;
use crate::key::{ApiKey, NewKey, SecretHash};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::write_set::{Outcome, Recorded, Verdict};

impl Books {
    pub(super) fn issue(&mut self, new: &NewKey, at: Timestamp, undo: &mut Undo) -> Verdict {
        if self.key(new.id).is_some() {
            return Err(Rejection::KeyExists { id: new.id });
        }
        let key = new.issue(at, self.seq());
        Ok(Outcome::Created(self.keep_key(EventType::KeyIssued, key, None, at, undo)))
    }

    /// Gives a key another secret; the one it has may open for some time more.
    pub(super) fn renew(
        &mut self,
        id: KeyId,
        hash: SecretHash,
        until: Option<Timestamp>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let old = self.key(id).ok_or(Rejection::KeyNotFound { id })?.clone();
        if old.is_over(at) {
            return Err(Rejection::KeyOver { id });
        }
        let previous = until.filter(|until| *until > at).map(|until| (old.hash, until));
        let key = ApiKey { hash, previous, rotated_at: Some(at), ..self.changed(&old) };
        Ok(Outcome::Updated(self.keep_key(EventType::KeyRotated, key, Some(old), at, undo)))
    }

    pub(super) fn revoke(&mut self, id: KeyId, at: Timestamp, undo: &mut Undo) -> Verdict {
        let old = self.key(id).ok_or(Rejection::KeyNotFound { id })?.clone();
        if old.revoked_at.is_some() {
            return Ok(Outcome::Unchanged(Recorded::key(&old)));
        }
        let key = ApiKey { revoked_at: Some(at), previous: None, ..self.changed(&old) };
        Ok(Outcome::Updated(self.keep_key(EventType::KeyRevoked, key, Some(old), at, undo)))
    }

    fn key(&self, id: KeyId) -> Option<&ApiKey> {
        self.keys.get(&id).or_else(|| self.snapshot.keys.get(&id))
    }

    fn changed(&self, old: &ApiKey) -> ApiKey {
        ApiKey { version: old.version + 1, seq: self.seq(), ..old.clone() }
    }

    fn keep_key(
        &mut self,
        event_type: EventType,
        key: ApiKey,
        old: Option<ApiKey>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Recorded {
        let previous = old.as_ref().map(|old| old.seq);
        let recorded = self.note(event_type, at, None, Recorded::key(&key), previous);
        let before = self.keys.insert(key.id, key.clone());
        if undo.atomic {
            undo.keys.push((key.id, before));
        }
        recorded
    }
}
