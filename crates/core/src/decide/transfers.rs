//! Transfers and their moves.
//!
//! Every function checks first and writes last, so a refusal leaves no trace. A transfer is
//! refused for the first of these reasons that holds: source and destination are one account; it
//! is for later and a leg of an atomic batch; its reference names another transfer (or one of an
//! account that is not the caller's); the source, then the destination, is not there; the source
//! is not the caller's; a user says when it happened; the currencies differ; the amount has too
//! many digits; an account is closed or frozen (the source first); the time is wrong; the source
//! has too little; a balance would leave its range. One that is left to the worker is taken
//! without the last four: only a closed account refuses it.

use super::parties::Parties;
use super::{Books, Undo};
use crate::account::{Holding, too_precise};
use crate::event::EventType;
use crate::id::TransferId;
use crate::money::Amount;
use crate::owner::Owner;
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transfer::{Failure, FailureKind, NewTransfer, Retry, Transfer, TransferStatus};
use crate::write_set::{Outcome, Recorded, Verdict};

impl Books {
    pub(super) fn transfer(
        &mut self,
        new: &NewTransfer,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        if new.source == new.destination {
            let detail = "the source and the destination are the same account";
            return Err(Rejection::field("/destination_account_id", "SAME_ACCOUNT", detail));
        }
        if new.queued && undo.atomic {
            let detail = "what is done later cannot be one with what is done now";
            return Err(Rejection::field("/execute_at", "NOT_ATOMIC", detail));
        }
        let key = new.reference.as_ref().map(|reference| (new.source, reference.clone()));
        if let Some(old) = key.as_ref().and_then(|key| self.referred(key)) {
            let source = self.holding(old.source);
            let is_theirs = |owner: &Owner| source.is_some_and(|s| owner.has_account(&s.account));
            if !new.owner.as_ref().is_none_or(is_theirs) {
                return Err(Rejection::NotYourAccount { id: old.source });
            }
            if new.repeats(old) {
                return Ok(Outcome::Unchanged(Recorded::transfer(old)));
            }
            return Err(Rejection::DuplicateReference { id: old.id });
        }
        let parties = self.parties(new.source, new.destination)?;
        if new.owner.as_ref().is_some_and(|owner| !owner.has_account(&parties.source.account)) {
            return Err(Rejection::NotYourAccount { id: new.source });
        }
        if new.owner.is_some() && new.created_at.is_some() {
            return Err(Rejection::BackdatedByUser);
        }
        let currency = parties.currency(new.currency)?;
        if !new.amount.fits(currency) {
            return Err(too_precise("/amount", currency));
        }
        let created_at = new.created_at.unwrap_or(at);
        let transfer = Transfer {
            amount: new.amount,
            held: new.hold.then_some(new.amount),
            reference: new.reference.clone(),
            metadata: new.metadata.clone(),
            expires_in_us: new.expires_in_us,
            execute_at: new.execute_at,
            ..self.blank(new.id, new.source, new.destination, currency, created_at)
        };
        let (transfer, posted_at) = if new.queued {
            parties.not_closed()?;
            let due = new.execute_at.unwrap_or(at);
            (Transfer { next_attempt: Some(due), ..transfer }, None)
        } else {
            parties.movable()?;
            let posted_at = parties.time(new.created_at, at)?;
            parties.affordable(new.amount)?;
            let expires_at = new.expires_in_us.map(|us| later(at, us));
            (Transfer { expires_at, ..transfer }, (!new.hold).then_some(posted_at))
        };
        if let Some(key) = key {
            self.snapshot.references.insert(key, new.id);
        }
        Ok(Outcome::Created(self.begin(transfer, parties, posted_at, at, undo)))
    }

    pub(super) fn post(
        &mut self,
        id: TransferId,
        owner: Option<&Owner>,
        amount: Option<Amount>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let old = self.known(id)?;
        let mut parties = self.parties(old.source, old.destination)?;
        may_decide(id, owner, &parties.source)?;
        let to = TransferStatus::Complete;
        let held = match old.held {
            _ if old.status != TransferStatus::Pending => {
                return Err(Rejection::IllegalTransfer { from: old.status, to });
            }
            Some(held) if old.is_held() => held,
            _ => return Err(Rejection::NotHeld { id }),
        };
        if old.expires_at.is_some_and(|end| end <= at) {
            return Err(Rejection::HoldExpired { id });
        }
        let amount = amount.unwrap_or(held);
        if !amount.fits(old.currency) {
            return Err(too_precise("/amount", old.currency));
        }
        if amount > held {
            let currency = old.currency;
            let (held, currency) = (held.to_text(currency), currency.to_string());
            return Err(Rejection::MoreThanHeld { held, currency });
        }
        parties.movable()?;
        let posted_at = parties.earliest().max(at);
        parties.release(held);
        let mut next = Transfer { amount, ..old.clone() };
        self.move_money(&mut next, &mut parties, posted_at);
        let event = EventType::Completed;
        Ok(Outcome::Updated(self.keep(event, next, parties, Some(&old), at, undo)))
    }

    pub(super) fn void(
        &mut self,
        id: TransferId,
        owner: Option<&Owner>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let old = self.known(id)?;
        let mut parties = self.parties(old.source, old.destination)?;
        // Who gives up a claim: the one who would get what is held, or who planned to pay.
        may_decide(
            id,
            owner,
            if old.is_queued() { &parties.source } else { &parties.destination },
        )?;
        let to = TransferStatus::Rollback;
        if old.status != TransferStatus::Pending {
            return Err(Rejection::IllegalTransfer { from: old.status, to });
        }
        if old.is_held() {
            parties.release(old.amount);
        }
        let next = Transfer { status: to, next_attempt: None, ..old.clone() };
        let event = EventType::RolledBack;
        Ok(Outcome::Updated(self.keep(event, next, parties, Some(&old), at, undo)))
    }

    pub(super) fn expire(&mut self, id: TransferId, at: Timestamp, undo: &mut Undo) -> Verdict {
        let old = self.known(id)?;
        if !old.is_held() || old.expires_at.is_none_or(|end| end > at) {
            return Ok(Outcome::Unchanged(Recorded::transfer(&old)));
        }
        let mut parties = self.parties(old.source, old.destination)?;
        parties.release(old.amount);
        let last_error = Some(Failure::of(&Rejection::HoldExpired { id }));
        let next = Transfer { status: TransferStatus::Failed, last_error, ..old.clone() };
        let event = EventType::Failed;
        Ok(Outcome::Updated(self.keep(event, next, parties, Some(&old), at, undo)))
    }

    pub(super) fn roll_back(
        &mut self,
        id: TransferId,
        owner: Option<&Owner>,
        by: TransferId,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let old = self.known(id)?;
        let parties = self.parties(old.destination, old.source)?;
        may_decide(id, owner, &parties.source)?;
        let to = TransferStatus::Rollback;
        match old.status {
            TransferStatus::Complete if old.rolls_back.is_some() => {
                return Err(Rejection::IsRollback { id });
            }
            TransferStatus::Complete => {}
            TransferStatus::Pending if old.is_held() => return Err(Rejection::StillHeld { id }),
            from => return Err(Rejection::IllegalTransfer { from, to }),
        }
        parties.movable()?;
        parties.affordable(old.amount)?;
        let next = Transfer { status: to, rolled_back_by: Some(by), ..old.clone() };
        let (source, destination) = (old.destination, old.source);
        let unmoved = Parties { source: parties.destination, destination: parties.source };
        let rolled = self.keep(EventType::RolledBack, next, unmoved, Some(&old), at, undo);
        let parties = self.parties(source, destination)?;
        let posted_at = parties.earliest().max(at);
        let opposite = Transfer {
            amount: old.amount,
            rolls_back: Some(id),
            ..self.blank(by, source, destination, old.currency, at)
        };
        self.begin(opposite, parties, Some(posted_at), at, undo);
        Ok(Outcome::Updated(rolled))
    }

    /// Tries what waits. A failure that may pass is noted and waited out; any other ends it.
    pub(super) fn attempt(
        &mut self,
        id: TransferId,
        retry: Retry,
        failure: Option<Failure>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let old = self.known(id)?;
        if !old.is_queued() || old.next_attempt.is_some_and(|due| due > at) {
            return Ok(Outcome::Unchanged(Recorded::transfer(&old)));
        }
        let mut parties = self.parties(old.source, old.destination)?;
        let tried = match failure {
            Some(failure) => Err(failure),
            None => parties
                .movable()
                .and_then(|()| parties.affordable(old.amount))
                .map_err(|refused| Failure::of(&refused)),
        };
        let mut next = Transfer { last_attempt: Some(at), next_attempt: None, ..old.clone() };
        let event = match tried {
            Ok(()) if old.held.is_some() => {
                next.expires_at = old.expires_in_us.map(|us| later(at, us));
                parties.hold(old.amount);
                EventType::Submitted
            }
            Ok(()) => {
                let posted_at = parties.earliest().max(at);
                self.move_money(&mut next, &mut parties, posted_at);
                EventType::Completed
            }
            Err(failure) => {
                next.retry_count += 1;
                if failure.kind != FailureKind::Permanent {
                    next.next_attempt = retry.next(at, next.retry_count);
                }
                next.last_error = Some(failure);
                if next.next_attempt.is_some() {
                    // Waiting on is no news: the row says it, the log does not.
                    let recorded = Recorded::transfer(&next);
                    self.put_transfer(next, undo);
                    return Ok(Outcome::Unchanged(recorded));
                }
                next.status = TransferStatus::Failed;
                EventType::Failed
            }
        };
        Ok(Outcome::Updated(self.keep(event, next, parties, Some(&old), at, undo)))
    }
}

fn may_decide(id: TransferId, owner: Option<&Owner>, whose: &Holding) -> Result<(), Rejection> {
    if owner.is_some_and(|owner| !owner.has_account(&whose.account)) {
        return Err(Rejection::NotYourTransfer { id });
    }
    Ok(())
}

fn later(at: Timestamp, us: i64) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(us))
}
