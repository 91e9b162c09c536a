//! Records that come again: which of them change the item that is there.
//!
//! A record is known by its `source` and `external_id`, or by an `id` that its client chose. What
//! is sent is newer or older than what is stored when its revision says so. Else:
//!
//! | stored | sent | by source | by id only |
//! |---|---|---|---|
//! | any | the same | unchanged | unchanged |
//! | pending | another status | updated | refused |
//! | final | pending | ignored | refused |
//! | final | another final status, side, amount or currency | refused | refused |
//! | any | the same in all of these, or both pending | ignored | refused |
//!
//! A newer record updates the item unless its status cannot follow; an older one is ignored. The
//! names and the type of a record never change. `docs/records.md` says the same for clients.

use std::cmp::Ordering;

use super::{Books, Undo};
use crate::event::EventType;
use crate::id::TransferId;
use crate::record::{ConflictReason, RecordConflict, RecordState};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Status, Transaction};
use crate::write_set::{Outcome, Recorded, Verdict};

impl Books {
    pub(super) fn record(
        &mut self,
        new: NewTransaction,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let external = new.external_key();
        let named = external.as_ref().and_then(|key| self.snapshot.external.get(key)).copied();
        let named = named.and_then(|id| self.current(id));
        if new.id_given {
            let found = self.current(new.id);
            if named.is_none() && found.is_none() {
                self.check_free(&new)?;
            }
            if let (None, Some(old)) = (&named, found) {
                if old.user_id != new.user_id {
                    return Err(Rejection::IdTaken { id: new.id });
                }
                return self.record_again(old, new, KnownBy::Id, at, undo);
            }
        }
        if let Some(old) = named {
            return self.record_again(old, new, KnownBy::Source, at, undo);
        }
        let item = new.record(at, self.seq());
        if let Some(key) = external {
            self.snapshot.external.insert(key, item.id);
        }
        let recorded = self.log(EventType::Created, at, &item, None);
        self.write(item.id, None, Some(item), undo);
        Ok(Outcome::Created(recorded))
    }

    /// A chosen id that no item has may still be that of an item that is gone, or that of an item
    /// that will show a transfer.
    fn check_free(&self, new: &NewTransaction) -> Result<(), Rejection> {
        let id = new.id;
        match self.snapshot.deleted.get(&id) {
            Some(user) if *user == new.user_id => return Err(Rejection::Deleted { id }),
            Some(_) => return Err(Rejection::IdTaken { id }),
            None => {}
        }
        if TransferId::shown_by(id).into_iter().any(|id| self.known(id).is_ok()) {
            return Err(Rejection::IdTaken { id });
        }
        Ok(())
    }

    fn record_again(
        &mut self,
        old: Transaction,
        new: NewTransaction,
        by: KnownBy,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        if let Some(transfer) = old.transfer_id {
            return Err(Rejection::BelongsToTransfer { id: old.id, transfer });
        }
        match judge(&old, &new, by) {
            Judgement::Same => Ok(Outcome::Unchanged(Recorded::of(&old))),
            Judgement::Older => Ok(Outcome::Ignored(Recorded::of(&old))),
            Judgement::Newer => {
                let next = new.over(&old);
                Ok(self.replace(old, next, at, undo))
            }
            Judgement::Refused(reason, differ) => {
                Err(Rejection::RecordConflict(Box::new(RecordConflict {
                    reason,
                    differ: differ.into_iter().map(str::to_owned).collect(),
                    stored: RecordState::stored(&old),
                    sent: RecordState::sent(&new),
                })))
            }
        }
    }

    /// Notes that the id of an item is not to be used again.
    pub(super) fn retire(&mut self, item: &Transaction, undo: &mut Undo) {
        self.snapshot.deleted.insert(item.id, item.user_id.clone());
        undo.deleted.push(item.id);
    }
}

/// By which of its names a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownBy {
    Source,
    /// By its id alone.
    Id,
}

enum Judgement {
    Same,
    Older,
    Newer,
    /// And in which fields the two differ.
    Refused(ConflictReason, Vec<&'static str>),
}

fn judge(old: &Transaction, new: &NewTransaction, by: KnownBy) -> Judgement {
    let names = other_names(old, new);
    if !names.is_empty() {
        return Judgement::Refused(ConflictReason::OtherRecord, names);
    }
    let (stored, sent) = (old.status, new.status);
    match new.revision.compare(old.revision) {
        Ordering::Less => return Judgement::Older,
        Ordering::Greater if stored.may_become(sent) => return Judgement::Newer,
        Ordering::Greater => {
            return Judgement::Refused(ConflictReason::IllegalMove, vec!["status"]);
        }
        Ordering::Equal => {}
    }
    let money = other_money(old, new);
    let rest = other_rest(old, new);
    if money.is_empty() && rest.is_empty() {
        return Judgement::Same;
    }
    let differ: Vec<_> = money.iter().copied().chain(rest).collect();
    match (by, stored, sent) {
        (KnownBy::Id, _, _) => Judgement::Refused(ConflictReason::NotNewer, differ),
        (KnownBy::Source, Status::Pending, Status::Pending) => Judgement::Older,
        (KnownBy::Source, Status::Pending, _) => Judgement::Newer,
        (KnownBy::Source, _, Status::Pending) => Judgement::Older,
        (KnownBy::Source, _, _) if money.is_empty() => Judgement::Older,
        (KnownBy::Source, _, _) => Judgement::Refused(ConflictReason::NotNewer, money),
    }
}

/// The fields that name a record and that are sent otherwise than they are stored.
fn other_names(old: &Transaction, new: &NewTransaction) -> Vec<&'static str> {
    let is_other = |sent: &Option<String>, stored| sent.is_some() && sent != stored;
    let names = [
        ("id", new.id_given && new.id != old.id),
        ("source", is_other(&new.source, &old.source)),
        ("external_id", is_other(&new.external_id, &old.external_id)),
        ("transaction_type", new.transaction_type != old.transaction_type),
    ];
    named(names)
}

/// The fields that say what became of the money.
fn other_money(old: &Transaction, new: &NewTransaction) -> Vec<&'static str> {
    named([
        ("status", new.status != old.status),
        ("side", new.side != old.side),
        ("amount", new.amount != old.amount),
        ("currency", new.currency != old.currency),
    ])
}

/// All other fields; a time that is not sent is no other time.
fn other_rest(old: &Transaction, new: &NewTransaction) -> Vec<&'static str> {
    named([
        ("product", new.product != old.product),
        ("metadata", !new.metadata.means(&old.metadata)),
        ("created_at", new.created_at.is_some_and(|created_at| created_at != old.created_at)),
    ])
}

fn named<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

impl NewTransaction {
    /// The item as it stands after this version of its record. A side that was said stays until
    /// another one is said.
    fn over(self, old: &Transaction) -> Transaction {
        let (side, side_given) = if !self.side_given && old.keeps_side() {
            (old.side, true)
        } else {
            (self.side, self.side_given)
        };
        Transaction {
            product: self.product,
            status: self.status,
            side,
            side_given,
            currency: self.currency,
            amount: self.amount,
            metadata: self.metadata,
            revision: self.revision.over(old.revision),
            created_at: self.created_at.unwrap_or(old.created_at),
            ..old.clone()
        }
    }
}
