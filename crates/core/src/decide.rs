//! The rules, top to bottom. Deciding is pure: the same submissions over the same rows give the
//! same verdicts and the same writes, so a store may load, decide and write again at will.

use std::collections::HashMap;

use crate::command::{Action, IdempotencyKey, Submission};
use crate::event::{Event, EventType};
use crate::id::{EventSeq, TransactionId, UserId};
use crate::rejection::Rejection;
use crate::stats;
use crate::time::Timestamp;
use crate::transaction::{NewTransaction, Patch, Transaction};
use crate::write_set::{
    Outcome, Recorded, Reply, RowChange, Snapshot, StoredReply, StoredVerdict, Verdict, WriteSet,
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
    next_seq: i64,
}

/// How far the books had come, to go back to.
struct Mark {
    events: usize,
    undo: Vec<(TransactionId, Option<Transaction>)>,
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
            next_seq,
        }
    }

    fn answer(&mut self, submission: &Submission) -> Reply {
        if let Some(key) = submission.key
            && let Some(answer) = self.answered_before(key, submission.actions.len())
        {
            return answer;
        }
        let mut mark = Mark { events: self.events.len(), undo: Vec::new() };
        let (at, key, atomic) = (submission.at, submission.key, submission.atomic);
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(submission.actions.len());
        for action in &submission.actions {
            verdicts.push(self.act(action, at, &mut mark));
        }
        if atomic && verdicts.iter().any(Result::is_err) {
            self.undo(mark);
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
        }
        Reply { verdicts, replayed: false, seq }
    }

    fn answered_before(&self, key: IdempotencyKey, actions: usize) -> Option<Reply> {
        let stored = self.snapshot.replies.get(&key.scope)?;
        if stored.fingerprint != key.fingerprint {
            let verdicts = (0..actions).map(|_| Err(Rejection::KeyReused)).collect();
            return Some(Reply { verdicts, replayed: false, seq: EventSeq(0) });
        }
        let verdicts = stored.verdicts.iter().map(|verdict| self.replay(verdict)).collect();
        Some(Reply { verdicts, replayed: true, seq: stored.seq })
    }

    fn replay(&self, verdict: &StoredVerdict) -> Verdict {
        let recorded = |seq: &EventSeq| {
            let here = seq
                .0
                .checked_sub(self.snapshot.next_seq.0)
                .and_then(|place| self.events.get(usize::try_from(place).ok()?));
            here.or_else(|| self.snapshot.events.get(seq)).map(Recorded::from)
        };
        // An answer whose events are gone is a key that is too old to know.
        let gone = Rejection::KeyReused;
        match verdict {
            StoredVerdict::Created(seq) => recorded(seq).map(Outcome::Created).ok_or(gone),
            StoredVerdict::Updated(seq) => recorded(seq).map(Outcome::Updated).ok_or(gone),
            StoredVerdict::Unchanged(seq) => recorded(seq).map(Outcome::Unchanged).ok_or(gone),
            StoredVerdict::Deleted(id) => Ok(Outcome::Deleted(*id)),
            StoredVerdict::Refused(rejection) => Err(rejection.clone()),
        }
    }

    fn act(&mut self, action: &Action, at: Timestamp, mark: &mut Mark) -> Verdict {
        match action {
            Action::Record(new) => self.record(new.clone(), at, mark),
            Action::Amend { id, owner, version, patch } => {
                let old = self.owned(*id, owner.as_ref(), *version)?;
                self.amend(old, patch, at, mark)
            }
            Action::Erase { id, owner, version } => {
                let old = self.owned(*id, owner.as_ref(), *version)?;
                let last = Transaction { version: old.version + 1, seq: self.seq(), ..old.clone() };
                self.log(EventType::Deleted, at, &last, Some(old.seq));
                self.write(*id, Some(old), None, mark);
                Ok(Outcome::Deleted(*id))
            }
            Action::Refused(rejection) => Err(rejection.clone()),
        }
    }

    fn record(&mut self, new: NewTransaction, at: Timestamp, mark: &mut Mark) -> Verdict {
        let external = new.external_key();
        let known = external.as_ref().and_then(|key| self.snapshot.external.get(key)).copied();
        if let Some(old) = known.and_then(|id| self.current(id)) {
            return self.record_again(old, new, at, mark);
        }
        let item = new.record(at, self.seq());
        if let Some(key) = external {
            self.snapshot.external.insert(key, item.id);
        }
        let recorded = self.log(EventType::Created, at, &item, None);
        self.write(item.id, None, Some(item), mark);
        Ok(Outcome::Created(recorded))
    }

    /// The source sent a record again. It is newer when its status moved on, or when it says
    /// something else about the same status and did not happen before; otherwise it is ignored.
    fn record_again(
        &mut self,
        old: Transaction,
        new: NewTransaction,
        at: Timestamp,
        mark: &mut Mark,
    ) -> Verdict {
        if new.transaction_type != old.transaction_type || new.currency != old.currency {
            let detail = "the record of this source and external id has another type or currency";
            return Err(Rejection::field("/external_id", "IMMUTABLE", detail));
        }
        let stale = new.created_at.is_some_and(|created_at| created_at < old.created_at);
        if !old.status.may_become(new.status) || (new.status == old.status && stale) {
            return Ok(Outcome::Unchanged(Recorded::of(&old)));
        }
        let next = Transaction {
            product: new.product,
            status: new.status,
            side: new.side,
            amount: new.amount,
            metadata: new.metadata,
            created_at: new.created_at.unwrap_or(old.created_at),
            ..old.clone()
        };
        Ok(self.replace(old, next, at, mark))
    }

    fn amend(
        &mut self,
        old: Transaction,
        patch: &Patch,
        at: Timestamp,
        mark: &mut Mark,
    ) -> Verdict {
        let next = patch.apply(&old)?;
        Ok(self.replace(old, next, at, mark))
    }

    fn replace(
        &mut self,
        old: Transaction,
        next: Transaction,
        at: Timestamp,
        mark: &mut Mark,
    ) -> Outcome {
        if next == old {
            return Outcome::Unchanged(Recorded::of(&old));
        }
        let next =
            Transaction { version: old.version + 1, updated_at: Some(at), seq: self.seq(), ..next };
        let recorded = self.log(EventType::Updated, at, &next, Some(old.seq));
        self.write(old.id, Some(old), Some(next), mark);
        Outcome::Updated(recorded)
    }

    /// The item, if it is there, is the caller's, and is the version that the caller saw.
    fn owned(
        &self,
        id: TransactionId,
        owner: Option<&UserId>,
        version: Option<u32>,
    ) -> Result<Transaction, Rejection> {
        let item = self.current(id).ok_or(Rejection::NotFound { id })?;
        if owner.is_some_and(|owner| *owner != item.user_id) {
            return Err(Rejection::NotYours { id });
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
        let recorded = Recorded::of(item);
        self.events.push(Event {
            seq: item.seq,
            event_type,
            at,
            user_id: item.user_id.clone(),
            transaction_id: item.id,
            version: item.version,
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
        mark: &mut Mark,
    ) {
        mark.undo.push((id, old.clone()));
        match self.touched.get(&id).and_then(|at| self.rows.get_mut(*at)) {
            Some(row) => row.new = new,
            None => {
                self.touched.insert(id, self.rows.len());
                self.rows.push(RowChange { old, new });
            }
        }
    }

    fn undo(&mut self, mark: Mark) {
        for (id, before) in mark.undo.into_iter().rev() {
            if let Some(row) = self.touched.get(&id).and_then(|at| self.rows.get_mut(*at)) {
                row.new = before;
            }
        }
        let dropped = self.events.len() - mark.events;
        self.events.truncate(mark.events);
        self.next_seq -= i64::try_from(dropped).unwrap_or(0);
    }

    fn finish(self) -> WriteSet {
        let mut write =
            WriteSet { events: self.events, replies: self.replies, ..WriteSet::default() };
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
