//! Accounts: opened, changed, closed.

use std::sync::Arc;

use super::{Books, Undo};
use crate::account::{Account, AccountPatch, AccountStatus, Funds, Holding, NewAccount, Overdraft};
use crate::event::EventType;
use crate::id::{AccountId, TransferId};
use crate::json::Json;
use crate::limits::USER_ACCOUNTS_MAX;
use crate::money::{Amount, Balance};
use crate::owner::Owner;
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transfer::Transfer;
use crate::write_set::{Outcome, Recorded, Verdict};

impl Books {
    pub(super) fn open(&mut self, new: &NewAccount, at: Timestamp, undo: &mut Undo) -> Verdict {
        let id = match new.id {
            Some(id) => id,
            None => AccountId(self.snapshot.last_account.0 + 1),
        };
        if new.id.is_none() && id >= AccountId::GIVEN_END {
            return Err(Rejection::NoAccountIdLeft);
        }
        if self.holding(id).is_some() {
            return Err(Rejection::AccountExists { id });
        }
        if let Some(user_id) = &new.user_id
            && self.snapshot.owned.get(user_id).is_some_and(|count| *count >= USER_ACCOUNTS_MAX)
        {
            let (user_id, max) = (user_id.clone(), USER_ACCOUNTS_MAX);
            return Err(Rejection::TooManyAccounts { user_id, max });
        }
        if new.initial_balance == Amount::ZERO {
            return Ok(Outcome::Created(self.add_account(new, id, Amount::ZERO, at, undo)));
        }
        let equity = AccountId::equity(&new.currency);
        let owed = self.holding(equity).map_or(Balance::ZERO, |equity| equity.funds.balance);
        let owed = owed.minus(new.initial_balance);
        if !owed.is_some_and(|owed| owed.is_in_range(equity)) {
            return Err(Rejection::EquityOverflow { id: equity });
        }
        if self.holding(equity).is_none() {
            let account = NewAccount {
                id: Some(equity),
                user_id: None,
                currency: new.currency,
                name: Some(format!("Equity {}", new.currency)),
                metadata: Json::Object(Vec::new()),
                overdraft: Overdraft::Unlimited,
                initial_balance: Amount::ZERO,
            };
            self.add_account(&account, equity, Amount::ZERO, at, undo);
        }
        let recorded = self.add_account(new, id, new.initial_balance, at, undo);
        let parties = self.parties(equity, id)?;
        let posted_at = parties.earliest().max(at);
        let opening = self.opening(new, id, at);
        self.begin(opening, parties, Some(posted_at), at, undo);
        Ok(Outcome::Created(recorded))
    }

    /// Writes a new account. Its published JSON shows `initial` as its balance already: the
    /// movement follows in the same commit.
    fn add_account(
        &mut self,
        new: &NewAccount,
        id: AccountId,
        initial: Amount,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Recorded {
        let account = Arc::new(Account {
            id,
            user_id: new.user_id.clone(),
            currency: new.currency,
            name: new.name.clone(),
            metadata: new.metadata.clone(),
            status: AccountStatus::Open,
            overdraft: new.overdraft,
            version: 1,
            created_at: at,
            updated_at: None,
            seq: self.seq(),
        });
        let funds = Funds { balance: initial.into(), ..Funds::default() };
        let shown = Holding { account: Arc::clone(&account), funds };
        let recorded = Recorded::account(&shown);
        let recorded =
            self.note(EventType::AccountCreated, at, new.user_id.clone(), recorded, None);
        if AccountId::default() < id && id < AccountId::GIVEN_END {
            self.snapshot.last_account = self.snapshot.last_account.max(id);
        }
        if let Some(user_id) = &new.user_id {
            *self.snapshot.owned.entry(user_id.clone()).or_default() += 1;
            undo.openers.push(user_id.clone());
        }
        self.put_account(Holding { account, funds: Funds::default() }, undo);
        recorded
    }

    /// The movement of an opening balance.
    fn opening(&self, new: &NewAccount, id: AccountId, at: Timestamp) -> Transfer {
        let (equity, currency) = (AccountId::equity(&new.currency), new.currency);
        Transfer {
            amount: new.initial_balance,
            metadata: Json::Object(vec![("opening".to_owned(), Json::Bool(true))]),
            ..self.blank(TransferId::opening(id), equity, id, currency, at)
        }
    }

    pub(super) fn reform(
        &mut self,
        id: AccountId,
        owner: Option<&Owner>,
        version: Option<u32>,
        patch: &AccountPatch,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Verdict {
        let holding = self.holding(id).ok_or(Rejection::AccountNotFound { id })?;
        if owner.is_some_and(|owner| !owner.has_account(&holding.account)) {
            return Err(Rejection::NotYourAccount { id });
        }
        if id.is_equity() {
            return Err(Rejection::IsEquity { id });
        }
        let actual = holding.account.version;
        if let Some(expected) = version.filter(|expected| *expected != actual) {
            return Err(Rejection::StaleAccount { id, expected, actual });
        }
        let next = patch.apply(holding)?;
        if next == *holding.account {
            return Ok(Outcome::Unchanged(Recorded::account(holding)));
        }
        let (previous, funds) = (holding.account.seq, holding.funds);
        let next = Account { version: actual + 1, updated_at: Some(at), seq: self.seq(), ..next };
        let holding = Holding { account: Arc::new(next), funds };
        let (user, recorded) = (holding.account.user_id.clone(), Recorded::account(&holding));
        let recorded = self.note(EventType::AccountUpdated, at, user, recorded, Some(previous));
        self.put_account(holding, undo);
        Ok(Outcome::Updated(recorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Action, Submission};
    use crate::decide::decide;
    use crate::id::EventSeq;
    use crate::money::{Currency, I256};
    use crate::write_set::Snapshot;

    #[test]
    fn only_a_sum_far_beyond_all_openings_is_refused() {
        let equity = AccountId::equity(&Currency::USD);
        let open = |id, amount: &str| NewAccount {
            id: Some(AccountId(id)),
            user_id: None,
            currency: Currency::USD,
            name: None,
            metadata: Json::Object(Vec::new()),
            overdraft: Overdraft::Unlimited,
            initial_balance: Amount::parse(amount, Currency::USD).expect("an amount"),
        };
        let submit = |accounts: &[NewAccount], snapshot| {
            let actions = accounts.iter().cloned().map(Action::Open).collect();
            let at = Timestamp::default();
            let submission = Submission { at, key: None, atomic: false, actions };
            decide(&[submission], snapshot)
        };
        let first = Snapshot { next_seq: EventSeq(1), ..Snapshot::default() };
        let (_, write) = submit(&[open(1, "1.00")], first);
        let mut holding =
            write.accounts.into_iter().find(|change| change.holding.account.id == equity);
        let holding = &mut holding.as_mut().expect("equity is opened").holding;
        // One cent less than 10^40 units.
        let cent = I256::new(10_i128.pow(16));
        holding.funds.balance = Balance::from_wide(cent + cent - I256::new(10).pow(58));
        let accounts = [(equity, holding.clone())].into();
        let snapshot = Snapshot { next_seq: EventSeq(9), accounts, ..Snapshot::default() };
        let (replies, write) = submit(&[open(2, "0.01"), open(3, "0.01"), open(4, "0")], snapshot);
        let verdicts = &replies.first().expect("a reply").verdicts;
        let refused = Err(Rejection::EquityOverflow { id: equity });
        assert!(matches!(verdicts.as_slice(), [Ok(_), second, Ok(_)] if *second == refused));
        let kept = write.accounts.iter().find(|change| change.holding.account.id == equity);
        assert_eq!(
            kept.map(|change| change.holding.funds.balance.to_text(Currency::USD)).as_deref(),
            Some("-9999999999999999999999999999999999999999.99")
        );
    }
}
