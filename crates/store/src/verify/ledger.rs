//! The proof of the ledger: every balance from its entries, every hold from its transfer, every
//! feed item from what it shows.

use std::collections::HashMap;

use daybook_core::account::{Funds, Overdraft};
use daybook_core::money::Total;
use daybook_core::write_set::{Order, Recorded};
use daybook_core::{
    AccountId, AccountStatus, Amount, Balance, Currency, EventSeq, Holding, Side, Timestamp,
    Transaction, Transfer, TransferId, UserId,
};

use super::{Findings, without};
use crate::LedgerVerified;
use crate::seal::mark::may_be_in;

/// What of a published account changes with every transfer.
const MONEY: &[&str] = &["balance", "available", "pending_in", "pending_out"];
/// What of a published transfer an attempt changes that will be made again.
const ATTEMPTS: &[&str] = &["retry_count", "last_error", "last_attempt", "next_attempt"];

/// As [`ATTEMPTS`], where values are sealed.
const SEALED_ANEW: &[&str] =
    &["retry_count", "last_error", "last_attempt", "next_attempt", "metadata"];

struct Party {
    currency: Currency,
    is_owned: bool,
}

/// What the transfers say about an account.
#[derive(Default)]
struct Told {
    pending_in: Total,
    pending_out: Total,
    posted: u64,
    listed: u64,
}

/// The proof, as far as it has come: first the parties, then all transfers, then all accounts.
#[derive(Default)]
pub struct Proof {
    findings: Findings,
    parties: HashMap<AccountId, Party>,
    told: HashMap<AccountId, Told>,
    /// By currency: what is above nothing, and what is below.
    sums: HashMap<String, (Total, Total)>,
    pub accounts: u64,
    pub transfers: u64,
}

impl Proof {
    pub fn differs(&mut self, what: String) {
        self.findings.differs("ledger", what);
    }

    /// Takes what must be known of an account before its transfers are looked at.
    pub fn party(&mut self, id: AccountId, currency: Currency, is_owned: bool) {
        self.parties.insert(id, Party { currency, is_owned });
    }

    /// Takes a transfer, when its row says that it is due, and the body of its latest event.
    /// Answers whether its items must be looked at.
    pub fn transfer(&mut self, transfer: &Transfer, due: Option<i64>, event: Option<&str>) -> bool {
        self.transfers += 1;
        if due != transfer.due().map(Timestamp::micros) {
            self.differs(format!("the transfer {} is due at another time", transfer.id));
        }
        for (account, is_source) in [(transfer.source, true), (transfer.destination, false)] {
            let told = self.told.entry(account).or_default();
            told.listed += 1;
            told.posted += u64::from(transfer.posting.is_some());
            if transfer.is_held() {
                let pending = if is_source { &mut told.pending_out } else { &mut told.pending_in };
                *pending += transfer.amount.into();
            }
        }
        // The latest event says what the row says, but for attempts that failed.
        let recorded = Recorded::transfer(transfer);
        let same = event.is_some_and(|body| {
            *recorded.body == *body
                || transfer.retry_count > 0
                    && without(&recorded.body, ATTEMPTS) == without(body, ATTEMPTS)
                // An attempt seals the row anew.
                || transfer.retry_count > 0
                    && (may_be_in(body) || may_be_in(&recorded.body))
                    && without(&recorded.body, SEALED_ANEW) == without(body, SEALED_ANEW)
        });
        if !same {
            let id = transfer.id;
            self.differs(format!("event {} says something else than {id} is", transfer.seq));
        }
        self.between(transfer)
    }

    /// Compares a transfer with its two accounts; answers whether it must have feed items.
    fn between(&mut self, transfer: &Transfer) -> bool {
        let [source, destination] =
            [transfer.source, transfer.destination].map(|id| self.parties.get(&id));
        let is_owned = |party: Option<&Party>| party.is_some_and(|party| party.is_owned);
        let is_shown = is_owned(source) && is_owned(destination) && transfer.rolls_back.is_none();
        let currency = |party: Option<&Party>| party.map(|party| party.currency);
        if [source, destination].map(currency) != [Some(transfer.currency); 2] {
            self.differs(format!("{} is in another currency than an account", transfer.id));
        }
        if is_shown != transfer.is_shown {
            self.differs(format!("who owns the accounts of {} is another", transfer.id));
        }
        is_shown
    }

    /// A transfer that undoes another and the one that it undoes name each other. Takes the
    /// transfer that this one undoes, and the one that undoes it.
    pub fn undoing(
        &mut self,
        transfer: &Transfer,
        undone: Option<&Transfer>,
        by: Option<&Transfer>,
    ) {
        let id = transfer.id;
        if transfer.rolls_back.is_some()
            && undone.is_none_or(|undone| undone.rolled_back_by != Some(id))
        {
            self.differs(format!("what {id} undoes does not know of it"));
        }
        let undoes = |by: &Transfer| by.rolls_back == Some(id) && by.amount == transfer.amount;
        if transfer.rolled_back_by.is_some() && !by.is_some_and(undoes) {
            self.differs(format!("nothing undoes {id}, which says so"));
        }
    }

    /// A transfer between two owners has one item in the feed of each; `owner` is whose account
    /// is on this side.
    pub fn shown(
        &mut self,
        transfer: &Transfer,
        side: Side,
        item: Option<&Transaction>,
        owner: Option<&UserId>,
    ) {
        let Some(item) = item else {
            if transfer.is_held() || transfer.posting.is_some() {
                let id = transfer.id;
                self.differs(format!("the {side} item of the transfer {id} is missing"));
            }
            return;
        };
        let same = item.transfer_id == Some(transfer.id)
            && Some(&item.user_id) == owner
            && item.side == side
            && item.currency == transfer.currency
            && item.amount == transfer.amount
            && item.status == transfer.item_status();
        if !same {
            self.differs(format!("the item {} differs from its transfer", item.id));
        }
    }

    /// Takes an account, and the body of the event that it names. Its two walks come besides.
    pub fn account(&mut self, holding: &Holding, event: Option<&str>) {
        self.accounts += 1;
        let (id, funds) = (holding.account.id, &holding.funds);
        let told = self.told.remove(&id).unwrap_or_default();
        let is = |amount: Amount| Total::from(amount);
        if told.pending_in != is(funds.pending_in) || told.pending_out != is(funds.pending_out) {
            self.differs(format!("the holds of the account {id} are not those of its transfers"));
        }
        if told.posted != funds.posted.count || told.listed != funds.listed.count {
            self.differs(format!("the account {id} counts other transfers than there are"));
        }
        if holding.account.overdraft != Overdraft::Unlimited && holding.to_give() < Balance::ZERO {
            self.differs(format!("the account {id} is below its limit"));
        }
        if holding.account.status == AccountStatus::Closed && funds.balance != Balance::ZERO {
            self.differs(format!("the account {id} is closed and has money"));
        }
        let terms = |body: &str| without(body, MONEY);
        if event.and_then(terms) != terms(&holding.to_json()) {
            self.differs(format!("the account {id} has no event of its version"));
        }
        let code = holding.account.currency.code().to_owned();
        let (positive, negative) = self.sums.entry(code).or_default();
        let atto = funds.balance.atto();
        let size = Total::from(Amount::from_atto(atto.abs()));
        *(if atto < 0 { negative } else { positive }) += size;
    }

    /// After all accounts: no transfer names another, and each currency adds up to nothing.
    pub fn balances(&mut self) {
        for id in std::mem::take(&mut self.told).into_keys() {
            self.differs(format!("transfers name the account {id}, which is not there"));
        }
        for (currency, (positive, negative)) in std::mem::take(&mut self.sums) {
            if positive != negative {
                self.differs(format!("the balances in {currency} do not add up to zero"));
            }
        }
    }

    /// How many accounts have money and no row of their own.
    pub fn orphans(&mut self, orphans: u64) {
        if orphans > 0 {
            self.differs(format!("{orphans} accounts have money and nothing else"));
        }
    }

    /// An item shows a transfer that is not there.
    pub fn shows_nothing(&mut self, id: TransferId) {
        self.differs(format!("an item shows the transfer {id}, which is not there"));
    }

    /// Every mark stands where the order that it belongs to has it.
    pub fn marks(&mut self, wrong: u64, kept: u64, expected: u64) {
        if wrong > 0 || kept != expected {
            self.differs(format!("{wrong} marks of {kept} are wrong, {expected} should be there"));
        }
    }

    pub fn finish(self) -> LedgerVerified {
        LedgerVerified {
            accounts: self.accounts,
            transfers: self.transfers,
            differences: self.findings.into_differences(),
        }
    }
}

/// A walk from an account's last transfer to its first, in one of their two orders.
pub struct Walk {
    account: AccountId,
    order: Order,
    next: Option<EventSeq>,
    count: u64,
    expected: u64,
    /// The balance that the next entry must leave, and the moment that it may not be later than.
    balance: Balance,
    until: Timestamp,
}

impl Walk {
    pub fn new(account: AccountId, funds: &Funds, order: Order) -> Self {
        let chain = match order {
            Order::Posted => &funds.posted,
            Order::Listed => &funds.listed,
        };
        Self {
            account,
            order,
            next: chain.last,
            count: 0,
            expected: chain.count,
            balance: funds.balance,
            until: Timestamp::from_micros(i64::MAX),
        }
    }

    /// The number of the transfer that it comes to; `None` at its end.
    pub fn next(&self) -> Option<EventSeq> {
        // More steps than there should be are a circle.
        self.next.filter(|_| self.count <= self.expected)
    }

    /// Takes the transfer with the number that it came to.
    ///
    /// # Errors
    /// What is wrong with it; the walk is over then.
    pub fn step(&mut self, number: EventSeq, found: Option<&Transfer>) -> Result<(), String> {
        self.count += 1;
        match self.order {
            Order::Posted => self.posted(number, found),
            Order::Listed => self.listed(number, found),
        }
    }

    fn posted(&mut self, number: EventSeq, found: Option<&Transfer>) -> Result<(), String> {
        let id = self.account;
        let Some((entry, leg)) = found.and_then(|t| Some((t.entry(id)?, t.leg_of(id)?))) else {
            return Err(format!("the statement of the account {id} breaks at {number}"));
        };
        let earlier = match entry.direction {
            Side::Debit => self.balance.plus(entry.amount),
            Side::Credit => self.balance.minus(entry.amount),
        };
        if entry.balance != self.balance || entry.posted_at > self.until {
            let transfer = entry.transfer_id;
            return Err(format!("the balance of {id} does not follow at {transfer}"));
        }
        self.balance = earlier.unwrap_or(self.balance);
        (self.until, self.next) = (entry.posted_at, leg.previous);
        Ok(())
    }

    fn listed(&mut self, number: EventSeq, found: Option<&Transfer>) -> Result<(), String> {
        let id = self.account;
        let Some(found) = found.filter(|t| t.source == id || t.destination == id) else {
            return Err(format!("the list of the account {id} breaks at {number}"));
        };
        self.next = found.earlier_of(id).filter(|earlier| *earlier < number);
        Ok(())
    }

    /// # Errors
    /// When it did not lead to the first transfer.
    pub fn end(&self) -> Result<(), String> {
        let (id, complete) = (self.account, self.count == self.expected);
        match self.order {
            Order::Posted if !complete || self.balance != Balance::ZERO => {
                Err(format!("the entries of the account {id} are not all of its balance"))
            }
            Order::Listed if !complete => {
                Err(format!("the list of the account {id} is not complete"))
            }
            Order::Posted | Order::Listed => Ok(()),
        }
    }
}
