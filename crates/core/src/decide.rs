//! The rules, top to bottom. Deciding is pure: the same submissions over the same rows give the
//! same verdicts and the same writes, so a store may load, decide and write again at will.

mod accounts;
mod keys;
mod ledger;
mod parties;
mod records;
mod transfers;

use std::collections::{BTreeMap, HashMap};

use crate::account::Holding;
use crate::command::{Action, IdempotencyKey, Submission};
use crate::event::{Event, EventType};
use crate::id::{AccountId, EventSeq, KeyId, TransactionId, TransferId, UserId};
use crate::key::ApiKey;
use crate::owner::Owner;
use crate::rejection::Rejection;
use crate::stats;
use crate::time::Timestamp;
use crate::transaction::{Patch, Transaction};
use crate::transfer::Transfer;
use crate::write_set::{
    Mark, Outcome, Recorded, Reply, RowChange, Snapshot, StoredReply, StoredVerdict, Verdict,
    WriteSet,
};

/// Decides submissions in order: a refused action leaves no trace, a later one sees the earlier.
#[must_use]
pub fn decide(submissions: &[Submission], snapshot: Snapshot) -> (Vec<Reply>, WriteSet) {
    let mut books = Books::new(snapshot);
    let replies = submissions.iter().map(|submission| books.answer(submission)).collect();
    (replies, books.finish())
}

/// The rows as they stand after the submissions decided so far.
struct Books {
    snapshot: Snapshot,
    /// Rows that changed: where each stands in `rows`.
    touched: HashMap<TransactionId, usize>,
    rows: Vec<RowChange>,
    events: Vec<Event>,
    replies: Vec<(u128, StoredReply)>,
    /// The answers to the keys that were new, by their scope.
    answered: HashMap<u128, Reply>,
    next_seq: i64,
    /// Accounts that changed.
    accounts: HashMap<AccountId, Option<Holding>>,
    /// Transfers that changed: where each stands in `moved`.
    transfers: HashMap<TransferId, usize>,
    moved: Vec<Option<Transfer>>,
    marks: Vec<Mark>,
    /// API keys that changed.
    keys: BTreeMap<KeyId, ApiKey>,
}

/// How far the books had come, to go back to. An action that is refused has written nothing, so
/// only what an atomic batch did may have to be undone.
struct Undo {
    atomic: bool,
    events: usize,
    marks: usize,
    last_account: AccountId,
    rows: Vec<(TransactionId, Option<Transaction>)>,
    accounts: Vec<(AccountId, Option<Holding>)>,
    transfers: Vec<(TransferId, Option<Transfer>)>,
    openers: Vec<UserId>,
    deleted: Vec<TransactionId>,
    keys: Vec<(KeyId, Option<ApiKey>)>,
}

impl Books {
    fn new(snapshot: Snapshot) -> Self {
        let next_seq = snapshot.next_seq.0;
        Self {
            snapshot,
            touched: HashMap::new(),
            rows: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
            answered: HashMap::new(),
            next_seq,
            accounts: HashMap::new(),
            transfers: HashMap::new(),
            moved: Vec::new(),
            marks: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    fn answer(&mut self, submission: &Submission) -> Reply {
        if let Some(key) = submission.key
            && let Some(answer) = self.answered_before(key, submission.actions.len())
        {
            return answer;
        }
        let (at, key, atomic) = (submission.at, submission.key, submission.atomic);
        let mut undo = self.undo_point(atomic);
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(submission.actions.len());
        for action in &submission.actions {
            verdicts.push(self.act(action, at, &mut undo));
        }
        if atomic && verdicts.iter().any(Result::is_err) {
            self.undo(undo);
            return Reply { verdicts: refuse_all(verdicts), replayed: false, seq: EventSeq(0) };
        }
        let seq = self.events.last().map_or(EventSeq(self.next_seq - 1), |event| event.seq);
        // A refusal is not stored: the client may try again.
        if let Some(key) = key
            && verdicts.iter().any(Result::is_ok)
        {
            let stored = verdicts.iter().map(StoredVerdict::of).collect();
            let reply = StoredReply { fingerprint: key.fingerprint, at, seq, verdicts: stored };
            self.snapshot.replies.insert(key.scope, reply.clone());
            self.replies.push((key.scope, reply));
            // A repeat may be among the very submissions that are decided now.
            let repeated = Reply { verdicts: verdicts.clone(), replayed: true, seq };
            self.answered.insert(key.scope, repeated);
        }
        Reply { verdicts, replayed: false, seq }
    }

    fn answered_before(&self, key: IdempotencyKey, actions: usize) -> Option<Reply> {
        let stored = self.snapshot.replies.get(&key.scope)?;
        if stored.fingerprint != key.fingerprint {
            let verdicts = (0..actions).map(|_| Err(Rejection::KeyReused)).collect();
            return Some(Reply { verdicts, replayed: false, seq: EventSeq(0) });
        }
        if let Some(reply) = self.answered.get(&key.scope) {
            return Some(reply.clone());
        }
        let verdicts = stored.verdicts.iter().map(|verdict| self.replay(verdict)).collect();
        Some(Reply { verdicts, replayed: true, seq: stored.seq })
    }

    fn replay(&self, verdict: &StoredVerdict) -> Verdict {
        let recorded = |seq: &EventSeq| self.snapshot.events.get(seq).map(Recorded::from);
        // An answer whose events are gone is a key that is too old to know.
        let gone = Rejection::KeyReused;
        match verdict {
            StoredVerdict::Created(seq) => recorded(seq).map(Outcome::Created).ok_or(gone),
            StoredVerdict::Updated(seq) => recorded(seq).map(Outcome::Updated).ok_or(gone),
            StoredVerdict::Unchanged(seq) => recorded(seq).map(Outcome::Unchanged).ok_or(gone),
            StoredVerdict::Ignored(seq) => recorded(seq).map(Outcome::Ignored).ok_or(gone),
            StoredVerdict::Seen(seq, body) => {
                let mut seen = recorded(seq).ok_or(gone)?;
                seen.body = body.as_str().into();
                Ok(Outcome::Unchanged(seen))
            }
            StoredVerdict::Deleted(id) => Ok(Outcome::Deleted(*id)),
            StoredVerdict::Refused(rejection) => Err(rejection.clone()),
        }
    }

    fn act(&mut self, action: &Action, at: Timestamp, undo: &mut Undo) -> Verdict {
        match action {
            Action::Record(new) => self.record(new.clone(), at, undo),
            Action::Amend { id, owner, version, patch } => {
                let old = self.owned(*id, owner.as_ref(), *version)?;
                self.amend(old, patch, at, undo)
            }
            Action::Erase { id, owner, version } => {
                let old = self.owned(*id, owner.as_ref(), *version)?;
                let last = Transaction { version: old.version + 1, seq: self.seq(), ..old.clone() };
                self.log(EventType::Deleted, at, &last, Some(old.seq));
                self.retire(&old, undo);
                self.write(*id, Some(old), None, undo);
                Ok(Outcome::Deleted(*id))
            }
            Action::Open(new) => self.open(new, at, undo),
            Action::Reform { id, owner, version, patch } => {
                self.reform(*id, owner.as_ref(), *version, patch, at, undo)
            }
            Action::Transfer(new) => self.transfer(new, at, undo),
            Action::Post { id, owner, amount } => self.post(*id, owner.as_ref(), *amount, at, undo),
            Action::Void { id, owner } => self.void(*id, owner.as_ref(), at, undo),
            Action::Rollback { id, owner, by } => {
                self.roll_back(*id, owner.as_ref(), *by, at, undo)
            }
            Action::Attempt { id, retry, failure } => {
                self.attempt(*id, *retry, failure.clone(), at, undo)
            }
            Action::Expire { id } => self.expire(*id, at, undo),
            Action::Issue(new) => self.issue(new, at, undo),
            Action::Renew { id, hash, until } => self.renew(*id, *hash, *until, at, undo),
            Action::Revoke { id } => self.revoke(*id, at, undo),
            Action::Note(note) => {
                let recorded = Recorded::audit(note, self.seq());
                let user_id = note.user_id.clone();
                Ok(Outcome::Created(self.note(note.event_type, at, user_id, recorded, None)))
            }
            Action::Refused(rejection) => Err(rejection.clone()),
        }
    }

    fn amend(
        &mut self,
        old: Transaction,
        patch: &Patch,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let next = patch.apply(&old)?;
        Ok(self.replace(old, next, at, undo))
    }

    fn replace(
        &mut self,
        old: Transaction,
        next: Transaction,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Outcome {
        if next == old {
            return Outcome::Unchanged(Recorded::of(&old));
        }
        let next =
            Transaction { version: old.version + 1, updated_at: Some(at), seq: self.seq(), ..next };
        let recorded = self.log(EventType::Updated, at, &next, Some(old.seq));
        self.write(old.id, Some(old), Some(next), undo);
        Outcome::Updated(recorded)
    }

    /// The item, if it is there, is the caller's, and is the version that the caller saw.
    fn owned(
        &self,
        id: TransactionId,
        owner: Option<&Owner>,
        version: Option<u32>,
    ) -> Result<Transaction, Rejection> {
        let item = self.current(id).ok_or(Rejection::NotFound { id })?;
        if owner.is_some_and(|owner| !owner.has_user(&item.user_id)) {
            return Err(Rejection::NotYours { id });
        }
        if let Some(transfer) = item.transfer_id {
            return Err(Rejection::BelongsToTransfer { id, transfer });
        }
        match version {
            Some(expected) if expected != item.version => {
                Err(Rejection::StaleVersion { expected, actual: item.version })
            }
            _ => Ok(item),
        }
    }

    fn current(&self, id: TransactionId) -> Option<Transaction> {
        match self.touched.get(&id).and_then(|at| self.rows.get(*at)) {
            Some(row) => row.new.clone(),
            None => self.snapshot.transactions.get(&id).cloned(),
        }
    }

    fn seq(&self) -> EventSeq {
        EventSeq(self.next_seq)
    }

    fn log(
        &mut self,
        event_type: EventType,
        at: Timestamp,
        item: &Transaction,
        previous: Option<EventSeq>,
    ) -> Recorded {
        self.note(event_type, at, Some(item.user_id.clone()), Recorded::of(item), previous)
    }

    fn note(
        &mut self,
        event_type: EventType,
        at: Timestamp,
        user_id: Option<UserId>,
        recorded: Recorded,
        previous: Option<EventSeq>,
    ) -> Recorded {
        self.events.push(Event {
            seq: self.seq(),
            event_type,
            at,
            user_id,
            subject: recorded.subject,
            version: recorded.version,
            previous,
            body: recorded.body.clone(),
        });
        self.next_seq += 1;
        recorded
    }

    fn write(
        &mut self,
        id: TransactionId,
        old: Option<Transaction>,
        new: Option<Transaction>,
        undo: &mut Undo,
    ) {
        if undo.atomic {
            undo.rows.push((id, old.clone()));
        }
        match self.touched.get(&id).and_then(|at| self.rows.get_mut(*at)) {
            Some(row) => row.new = new,
            None => {
                self.touched.insert(id, self.rows.len());
                self.rows.push(RowChange { old, new });
            }
        }
    }

    fn undo_point(&self, atomic: bool) -> Undo {
        Undo {
            atomic,
            events: self.events.len(),
            marks: self.marks.len(),
            last_account: self.snapshot.last_account,
            rows: Vec::new(),
            accounts: Vec::new(),
            transfers: Vec::new(),
            openers: Vec::new(),
            deleted: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn undo(&mut self, undo: Undo) {
        for (id, before) in undo.rows.into_iter().rev() {
            if let Some(row) = self.touched.get(&id).and_then(|at| self.rows.get_mut(*at)) {
                row.new = before;
            }
        }
        for (id, before) in undo.accounts.into_iter().rev() {
            self.accounts.insert(id, before);
        }
        for (id, before) in undo.transfers.into_iter().rev() {
            if let Some(row) = self.transfers.get(&id).and_then(|at| self.moved.get_mut(*at)) {
                *row = before;
            }
        }
        for (id, before) in undo.keys.into_iter().rev() {
            match before {
                Some(before) => drop(self.keys.insert(id, before)),
                None => drop(self.keys.remove(&id)),
            }
        }
        for id in undo.deleted {
            self.snapshot.deleted.remove(&id);
        }
        for user in undo.openers {
            self.snapshot.owned.entry(user).and_modify(|count| *count -= 1);
        }
        self.snapshot.last_account = undo.last_account;
        self.marks.truncate(undo.marks);
        let dropped = self.events.len() - undo.events;
        self.events.truncate(undo.events);
        self.next_seq -= i64::try_from(dropped).unwrap_or(0);
    }

    fn finish(mut self) -> WriteSet {
        let mut write = self.ledger();
        (write.events, write.replies) = (self.events, self.replies);
        write.keys = self.keys.into_values().collect();
        for row in self.rows {
            if row.old.as_ref().map(|item| item.seq) == row.new.as_ref().map(|item| item.seq) {
                continue;
            }
            let last = write.events.last().map_or(Timestamp::default(), |event| event.at);
            let at =
                row.new.as_ref().map_or(last, |item| item.updated_at.unwrap_or(item.recorded_at));
            let sides = [(&row.old, false), (&row.new, true)];
            for (item, enters) in sides {
                if let Some(item) = item {
                    let (key, delta) = stats::count(item, enters, at);
                    write.statistics.entry(key).or_default().push(delta);
                }
            }
            write.rows.push(row);
        }
        write
    }
}

/// An atomic batch with one refusal: the others are refused because of it.
fn refuse_all(verdicts: Vec<Verdict>) -> Vec<Verdict> {
    verdicts.into_iter().map(|v| v.and(Err(Rejection::BatchRefused))).collect()
}
