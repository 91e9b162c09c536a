//! Accounts that are not there yet: how a mapping opens them before their first movement.

use std::collections::{BTreeMap, HashMap};

use daybook_core::transaction::Vocabulary;
use daybook_core::{
    AccountId, Action, Currency, NewAccount, NewTransfer, Rejection, Submission, TransferId,
};
use daybook_server::app;
use daybook_store::Store;
use serde::Deserialize;
use serde_json::json;

use super::convert::object;

/// Accounts that one commit opens.
const BATCH: usize = 5_000;

/// The section `[accounts]` of a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Opening {
    /// The currency of all; otherwise an account has that of its first movement.
    currency: Option<String>,
    /// An account belongs to the user with this before its number; otherwise to nobody.
    owner_prefix: Option<String>,
    overdraft_limit: Option<String>,
    /// Accounts of the deployment itself: without owner, and as far below zero as need be.
    house: Vec<AccountId>,
}

/// What became of the accounts of some transfers.
#[derive(Debug, Default)]
pub struct Opened {
    pub count: u64,
    /// Why an account is still not there.
    pub refused: HashMap<AccountId, Rejection>,
}

impl Opening {
    /// Checks the section by the account that it would open.
    ///
    /// # Errors
    /// Says in one sentence what is wrong.
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        if let Some(id) = self.house.iter().find(|id| id.0 < 1) {
            return Err(format!("`accounts.house`: {id} is no number of an account"));
        }
        match self.account(AccountId(1), None, vocabulary) {
            Ok(_) => Ok(()),
            Err(Rejection::Invalid(errors)) => {
                let said = errors.first().map_or("", |error| error.detail.as_str());
                Err(format!("`[accounts]`: {said}"))
            }
            Err(other) => Err(format!("`[accounts]`: {other}")),
        }
    }

    /// The account to open, checked as the API checks it.
    fn account(
        &self,
        id: AccountId,
        first: Option<Currency>,
        vocabulary: &Vocabulary,
    ) -> Result<NewAccount, Rejection> {
        let mut fields = vec![("account_id", json!(id).to_string())];
        let first = first.as_ref().map(Currency::code);
        let currency = self.currency.as_deref().or(first);
        fields.extend(currency.map(|code| ("currency", json!(code).to_string())));
        if self.house.contains(&id) {
            fields.push(("overdraft_limit", json!("unlimited").to_string()));
        } else {
            let owner = self.owner_prefix.as_deref().map(|prefix| format!("{prefix}{id}"));
            fields.extend(owner.map(|owner| ("user_id", json!(owner).to_string())));
            let limit = self.overdraft_limit.as_deref();
            fields.extend(limit.map(|limit| ("overdraft_limit", json!(limit).to_string())));
        }
        NewAccount::parse(&object(&fields), None, vocabulary)
    }

    /// Opens the accounts of some transfers that are not there yet.
    pub async fn open(
        &self,
        store: &dyn Store,
        vocabulary: &Vocabulary,
        transfers: impl Iterator<Item = &NewTransfer>,
    ) -> anyhow::Result<Opened> {
        let mut wanted: BTreeMap<AccountId, Option<Currency>> = BTreeMap::new();
        for transfer in transfers {
            for id in [transfer.source, transfer.destination] {
                wanted.entry(id).or_insert(transfer.currency);
            }
        }
        let (mut opened, mut accounts) = (Opened::default(), Vec::new());
        for (id, currency) in wanted {
            match self.account(id, currency, vocabulary) {
                Ok(account) => accounts.push((id, account)),
                Err(rejection) => drop(opened.refused.insert(id, rejection)),
            }
        }
        for part in accounts.chunks(BATCH) {
            let actions = part.iter().map(|(_, account)| Action::Open(account.clone())).collect();
            let submission = Submission { at: app::now(), key: None, atomic: false, actions };
            let reply = store.commit(submission).await?;
            for (verdict, (id, _)) in reply.verdicts.into_iter().zip(part) {
                match verdict {
                    Ok(_) => opened.count += 1,
                    Err(Rejection::AccountExists { .. }) => {}
                    Err(rejection) => drop(opened.refused.insert(*id, rejection)),
                }
            }
        }
        Ok(opened)
    }
}

/// Whether an account stands on the terms that a row opens it on: its owner, its currency and its
/// opening balance, which nobody can change later.
pub async fn is_on_terms(store: &dyn Store, new: &NewAccount) -> anyhow::Result<bool> {
    let Some(id) = new.id else {
        return Ok(false);
    };
    let Some(holding) = store.account(id).await? else {
        return Ok(false);
    };
    let opening = store.transfer(TransferId::opening(id)).await?;
    let balance = opening.map_or(daybook_core::Amount::ZERO, |opening| opening.amount);
    let account = &holding.account;
    Ok(account.user_id == new.user_id
        && account.currency == new.currency
        && balance == new.initial_balance)
}
