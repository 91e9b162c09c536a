//! The proof of the ledger: every balance from its entries, every hold from its transfer, every
//! feed item from what it shows.

use std::collections::{HashMap, HashSet};

use daybook_core::account::{Funds, Overdraft};
use daybook_core::json::Fields;
use daybook_core::limits::MARK_EVERY;
use daybook_core::money::Total;
use daybook_core::write_set::{Mark, Order, Recorded};
use daybook_core::{
    AccountId, AccountStatus, Amount, Balance, Currency, EventSeq, Holding, Side, Timestamp,
    Transaction, Transfer, TransferId, UserId,
};

use super::{Findings, without};
use crate::codec::Columns;
use crate::seal::mark::may_be_in;
use crate::{Error, LedgerVerified, Result};

/// What of a published account changes with every transfer.
const MONEY: &[&str] = &["balance", "available", "pending_in", "pending_out"];
/// What of a published transfer an attempt changes that will be made again.
const ATTEMPTS: &[&str] = &["retry_count", "last_error", "last_attempt", "next_attempt"];

/// The seconds that a hold is to last, which events of earlier versions do not say.
const EXPIRES_IN: &str = "expires_in";
const US_PER_S: i64 = 1_000_000;

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
    /// By currency: what all balances add up to.
    sums: HashMap<String, Total>,
    /// The marks that there should be.
    marks: HashSet<Mark>,
    pub accounts: u64,
    pub transfers: u64,
}

impl Proof {
    pub fn differs(&mut self, what: String) {
        self.findings.differs("ledger", what);
    }

    /// As [`Findings::readable`].
    ///
    /// # Errors
    /// When more than the row failed.
    pub fn readable<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        self.findings.readable("ledger", read)
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
        if !says(event, transfer) || !is_exact(transfer) {
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
        let currency = holding.account.currency;
        let fits = match holding.account.overdraft {
            Overdraft::Limit(limit) => limit.fits(currency),
            Overdraft::Unlimited => true,
        };
        let has_digits = event.and_then(digits_of_balance) == Some(currency.digits().into());
        if !fits || !has_digits || event.and_then(terms) != terms(&holding.to_json()) {
            self.differs(format!("the account {id} has no event of its version"));
        }
        let code = holding.account.currency.code().to_owned();
        *self.sums.entry(code).or_default() += funds.balance.into();
        if !funds.balance.is_in_range(id) {
            self.differs(format!("the account {id} holds or owes more than it can"));
        }
    }

    /// After all accounts: no transfer names another, and each currency adds up to nothing.
    pub fn balances(&mut self) {
        for id in std::mem::take(&mut self.told).into_keys() {
            self.differs(format!("transfers name the account {id}, which is not there"));
        }
        for (currency, sum) in std::mem::take(&mut self.sums) {
            if sum != Total::ZERO {
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

    /// Takes the marks that a walk came by.
    pub fn marks_of(&mut self, walk: &mut Walk) {
        self.marks.extend(walk.marks.drain(..));
    }

    /// After all accounts: every mark stands where the order that it belongs to has it.
    pub fn marks(&mut self, rows: &MarkRows) {
        let (kept, expected) = (rows.kept, self.marks.len());
        let wrong = rows.unreadable + rows.marks.iter().filter(|m| !self.marks.contains(m)).count();
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

/// The latest event says what the row says, but for attempts that failed and will be made again.
fn says(event: Option<&str>, transfer: &Transfer) -> bool {
    let Some(event) = event else { return false };
    let row = Recorded::transfer(transfer).body;
    if *row == *event {
        return true;
    }
    let mut unsaid = Vec::new();
    if Fields::parse(event).is_ok_and(|mut said| said.take_with_null(EXPIRES_IN).is_none()) {
        unsaid.push(EXPIRES_IN);
    }
    if transfer.is_queued() && transfer.retry_count > 0 {
        unsaid.extend(ATTEMPTS);
        // An attempt seals the row anew.
        if may_be_in(event) && may_be_in(&row) {
            unsaid.push("metadata");
        }
    }
    without(&row, &unsaid) == without(event, &unsaid)
}

/// What does not show in the published transfer: parts of its smallest unit and of seconds, and how
/// what it says hangs together.
fn is_exact(transfer: &Transfer) -> bool {
    let currency = transfer.currency;
    let fits = transfer.amount.fits(currency) && transfer.held.is_none_or(|h| h.fits(currency));
    // A hold begins with the attempt that found the money, or at once.
    let held_from = transfer.last_attempt.unwrap_or(transfer.created_at);
    let lasts = match (transfer.expires_in_us, transfer.expires_at) {
        (Some(us), Some(end)) => held_from.micros().saturating_add(us) == end.micros(),
        (Some(us), None) => us % US_PER_S == 0 && transfer.held.is_some() && !transfer.is_held(),
        (None, Some(_)) => false,
        (None, None) => true,
    };
    let tried = transfer.retry_count > 0;
    let attempts = !transfer.is_queued()
        || (transfer.last_attempt.is_some() == tried
            && transfer.last_error.is_some() == tried
            && transfer.next_attempt > transfer.last_attempt);
    fits && lasts && attempts
}

/// How many fraction digits the currency of a published account has.
fn digits_of_balance(body: &str) -> Option<usize> {
    let balance = Fields::parse(body).ok()?.take("balance")?.get();
    let text = balance.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.split_once('.').map_or(0, |(_, fraction)| fraction.len()))
}

/// The marks that are kept.
#[derive(Default)]
pub struct MarkRows {
    marks: Vec<Mark>,
    kept: usize,
    unreadable: usize,
}

impl MarkRows {
    /// Takes a row: account, sequence, key and number.
    pub fn row(&mut self, row: &impl Columns) {
        let read = || -> Result<Mark> {
            let order = match row.number(1, "mark")? {
                0 => Order::Posted,
                1 => Order::Listed,
                _ => return Err(Error::Corrupt { what: String::new() }),
            };
            let (account, key) = (AccountId(row.number(0, "mark")?), row.number(2, "mark")?);
            Ok(Mark { account, order, key, number: EventSeq(row.number(3, "mark")?) })
        };
        self.kept += 1;
        match read() {
            Ok(mark) => self.marks.push(mark),
            Err(_) => self.unreadable += 1,
        }
    }
}

/// What another row says, where that can be read; else it is named where its own turn comes.
///
/// # Errors
/// When more than the row failed.
pub fn known<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Error::Corrupt { .. }) => Ok(None),
        found => found,
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
    /// When the account says that its money moved last.
    posted_at: Timestamp,
    /// The marks that there should be.
    marks: Vec<Mark>,
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
            posted_at: funds.posted_at,
            marks: Vec::new(),
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
    pub fn step(
        &mut self,
        number: EventSeq,
        found: Option<&Transfer>,
    ) -> std::result::Result<(), String> {
        self.count += 1;
        match self.order {
            Order::Posted => self.posted(number, found),
            Order::Listed => self.listed(number, found),
        }
    }

    /// Notes that a mark stands at every so many transfers, counted from the first.
    fn mark(&mut self, key: i64, number: EventSeq) {
        let place = self.expected.saturating_sub(self.count).saturating_add(1);
        if place.is_multiple_of(MARK_EVERY) {
            self.marks.push(Mark { account: self.account, order: self.order, key, number });
        }
    }

    fn posted(
        &mut self,
        number: EventSeq,
        found: Option<&Transfer>,
    ) -> std::result::Result<(), String> {
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
        if self.count == 1 && entry.posted_at != self.posted_at {
            return Err(format!("the money of the account {id} did not move last when it says"));
        }
        self.mark(entry.posted_at.micros(), number);
        self.balance = earlier.unwrap_or(self.balance);
        (self.until, self.next) = (entry.posted_at, leg.previous);
        Ok(())
    }

    fn listed(
        &mut self,
        number: EventSeq,
        found: Option<&Transfer>,
    ) -> std::result::Result<(), String> {
        let id = self.account;
        let Some(found) = found.filter(|t| t.source == id || t.destination == id) else {
            return Err(format!("the list of the account {id} breaks at {number}"));
        };
        self.next = found.earlier_of(id);
        if self.next.is_some_and(|earlier| earlier >= number) {
            return Err(format!("the list of the account {id} goes on behind {number}"));
        }
        self.mark(number.0, number);
        Ok(())
    }

    /// # Errors
    /// When it did not lead to the first transfer.
    pub fn end(&self) -> std::result::Result<(), String> {
        let (id, complete) = (self.account, self.count == self.expected);
        match self.order {
            Order::Posted if !complete || self.balance != Balance::ZERO => {
                Err(format!("the entries of the account {id} are not all of its balance"))
            }
            Order::Posted if self.count == 0 && self.posted_at != Timestamp::default() => {
                Err(format!("the money of the account {id} moved, it says, and did not"))
            }
            Order::Listed if !complete => {
                Err(format!("the list of the account {id} is not complete"))
            }
            Order::Posted | Order::Listed => Ok(()),
        }
    }
}
