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
        if owed.minus(new.initial_balance).is_none() {
            return Err(Rejection::BalanceOverflow { id: equity });
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
