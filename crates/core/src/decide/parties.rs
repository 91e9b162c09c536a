//! The two accounts of a transfer, and what is checked about them.

use crate::account::{AccountStatus, Funds, Holding};
use crate::money::{Amount, Currency};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// The source and the destination of a transfer, as they stand.
pub(super) struct Parties {
    pub source: Holding,
    pub destination: Holding,
}

impl Parties {
    /// The currency of both, which is the one asked for.
    pub(super) fn currency(&self, wanted: Option<Currency>) -> Result<Currency, Rejection> {
        let wanted = wanted.unwrap_or(self.source.account.currency);
        for account in [&self.source.account, &self.destination.account] {
            if account.currency != wanted {
                let (id, has) = (account.id, account.currency.to_string());
                return Err(Rejection::CurrenciesDiffer { id, has, wanted: wanted.to_string() });
            }
        }
        Ok(wanted)
    }

    pub(super) fn not_closed(&self) -> Result<(), Rejection> {
        for account in [&self.source.account, &self.destination.account] {
            if account.status == AccountStatus::Closed {
                return Err(Rejection::AccountClosed { id: account.id });
            }
        }
        Ok(())
    }

    pub(super) fn movable(&self) -> Result<(), Rejection> {
        for account in [&self.source.account, &self.destination.account] {
            let id = account.id;
            match account.status {
                AccountStatus::Open => {}
                AccountStatus::Frozen => return Err(Rejection::AccountFrozen { id }),
                AccountStatus::Closed => return Err(Rejection::AccountClosed { id }),
            }
        }
        Ok(())
    }

    /// The earliest time that a new entry may have: both statements are in order of time.
    pub(super) fn earliest(&self) -> Timestamp {
        let last = |funds: &Funds| {
            if funds.posted.count == 0 { Timestamp::MIN } else { funds.posted_at }
        };
        last(&self.source.funds).max(last(&self.destination.funds))
    }

    pub(super) fn time(
        &self,
        said: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Timestamp, Rejection> {
        let earliest = self.earliest();
        match said {
            None => Ok(at.max(earliest)),
            // The time of an entry is past, also where the clock that says `at` is behind.
            Some(said) if said > at.max(earliest) => Err(Rejection::InFuture),
            Some(said) if said < earliest => {
                let late =
                    self.source.funds.posted.count > 0 && self.source.funds.posted_at == earliest;
                let account = if late { &self.source.account } else { &self.destination.account };
                Err(Rejection::OutOfOrder { id: account.id })
            }
            Some(said) => Ok(said),
        }
    }

    /// Whether the source has this much and both balances stay in their range, what is held on
    /// them included, so that a hold can always be posted.
    pub(super) fn affordable(&self, amount: Amount) -> Result<(), Rejection> {
        let (source, destination) = (&self.source, &self.destination);
        if !source.can_give(amount) {
            let currency = source.account.currency;
            return Err(Rejection::InsufficientFunds {
                id: source.account.id,
                currency: currency.to_string(),
                available: source.to_give().to_text(currency),
                needed: amount.to_text(currency),
            });
        }
        let funds = &destination.funds;
        let highest = funds.balance.plus(funds.pending_in).and_then(|sum| sum.plus(amount));
        let promised = funds.pending_in.plus(amount);
        let id = destination.account.id;
        if !highest.is_some_and(|highest| highest.is_in_range(id)) || promised.is_none() {
            return Err(Rejection::BalanceOverflow { id });
        }
        let lowest = source.funds.balance.minus(source.funds.pending_out);
        let lowest = lowest.and_then(|rest| rest.minus(amount));
        let (owed, id) = (source.funds.pending_out.plus(amount), source.account.id);
        if !lowest.is_some_and(|lowest| lowest.is_in_range(id)) || owed.is_none() {
            return Err(Rejection::BalanceOverflow { id });
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, amount: Amount) {
        let sum = |pending: Amount| pending.plus(amount).unwrap_or(pending);
        self.source.funds.pending_out = sum(self.source.funds.pending_out);
        self.destination.funds.pending_in = sum(self.destination.funds.pending_in);
    }

    pub(super) fn release(&mut self, amount: Amount) {
        let rest = |pending: Amount| pending.minus(amount).unwrap_or(pending);
        self.source.funds.pending_out = rest(self.source.funds.pending_out);
        self.destination.funds.pending_in = rest(self.destination.funds.pending_in);
    }
}
