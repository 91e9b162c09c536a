//! What every move of the ledger does to the books: balances, statements, events, feed items.

use std::sync::Arc;

use super::parties::Parties;
use super::{Books, Undo};
use crate::account::{Chain, Holding};
use crate::event::EventType;
use crate::id::{AccountId, EventSeq, TransferId, UserId};
use crate::json::Json;
use crate::limits::MARK_EVERY;
use crate::money::{Amount, Balance, Currency};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transaction::{Revision, Side, Transaction, TransactionType};
use crate::transfer::{Leg, Posting, Transfer, TransferStatus};
use crate::write_set::{AccountChange, Mark, Order, Recorded, TransferChange, WriteSet};

impl Books {
    /// What of the ledger the commit writes.
    pub(super) fn ledger(&mut self) -> WriteSet {
        let mut write = WriteSet { marks: std::mem::take(&mut self.marks), ..WriteSet::default() };
        for (id, holding) in std::mem::take(&mut self.accounts) {
            let before = self.snapshot.accounts.get(&id);
            let Some(holding) = holding.filter(|now| before != Some(now)) else {
                continue;
            };
            let opened = before.is_none();
            let same = |before: &Holding| Arc::ptr_eq(&before.account, &holding.account);
            let reformed = !before.is_some_and(same);
            write.accounts.push(AccountChange { holding, opened, reformed });
        }
        write.accounts.sort_unstable_by_key(|change| change.holding.account.id);
        for transfer in std::mem::take(&mut self.moved).into_iter().flatten() {
            let before = self.snapshot.transfers.get(&transfer.id);
            if before != Some(&transfer) {
                let is_new = before.is_none();
                write.transfers.push(TransferChange { transfer, is_new });
            }
        }
        write
    }

    /// Writes a new transfer that was found to be right, and what it holds or moves.
    pub(super) fn begin(
        &mut self,
        mut transfer: Transfer,
        mut parties: Parties,
        posted_at: Option<Timestamp>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Recorded {
        let Parties { source, destination } = &mut parties;
        let has_owner = |holding: &Holding| holding.account.user_id.is_some();
        transfer.is_shown =
            has_owner(source) && has_owner(destination) && transfer.rolls_back.is_none();
        let number = transfer.number;
        let mut earlier = |holding: &mut Holding| {
            let last = holding.funds.listed.append(number);
            let count = holding.funds.listed.count;
            self.sign(holding.account.id, Order::Listed, count, number.0, number);
            last
        };
        transfer.earlier = [earlier(source), earlier(destination)];
        let event_type = match posted_at {
            Some(posted_at) => {
                self.move_money(&mut transfer, &mut parties, posted_at);
                EventType::Completed
            }
            None => {
                if transfer.is_held() {
                    parties.hold(transfer.amount);
                }
                EventType::Submitted
            }
        };
        self.keep(event_type, transfer, parties, None, at, undo)
    }

    /// Writes a transfer and its accounts after a change, with its event and its feed items.
    pub(super) fn keep(
        &mut self,
        event_type: EventType,
        mut transfer: Transfer,
        parties: Parties,
        old: Option<&Transfer>,
        at: Timestamp,
        undo: &mut Undo,
    ) -> Recorded {
        let Parties { source, destination } = parties;
        transfer.seq = self.seq();
        if let Some(old) = old {
            transfer.version = old.version + 1;
            transfer.updated_at = Some(at);
        }
        let users = [&source, &destination].map(|holding| holding.account.user_id.clone());
        let [payer, payee] = users.clone();
        let recorded = Recorded::transfer(&transfer);
        let recorded = self.note(event_type, at, payer.or(payee), recorded, old.map(|old| old.seq));
        self.put_account(source, undo);
        self.put_account(destination, undo);
        self.show(&transfer, users, at, undo);
        self.put_transfer(transfer, undo);
        recorded
    }

    /// Brings the feed items of both owners up to date. They appear once money is held or moved.
    fn show(
        &mut self,
        transfer: &Transfer,
        users: [Option<UserId>; 2],
        at: Timestamp,
        undo: &mut Undo,
    ) {
        let [Some(payer), Some(payee)] = users else { return };
        if !transfer.is_shown {
            return;
        }
        let sides = [(Side::Debit, &payer, &payee), (Side::Credit, &payee, &payer)];
        for (side, user, peer) in sides {
            let status = transfer.item_status();
            match self.current(transfer.id.item(side)) {
                Some(old) => {
                    let next = Transaction { status, amount: transfer.amount, ..old.clone() };
                    self.replace(old, next, at, undo);
                }
                None if transfer.is_held() || transfer.posting.is_some() => {
                    let item = self.item(transfer, side, user, peer, at);
                    self.log(EventType::Created, at, &item, None);
                    self.write(item.id, None, Some(item), undo);
                }
                None => {}
            }
        }
    }

    fn item(
        &self,
        transfer: &Transfer,
        side: Side,
        user: &UserId,
        peer: &UserId,
        at: Timestamp,
    ) -> Transaction {
        let happened = transfer.posting.map_or(at, |posting| posting.at);
        let kind = crate::kind::of(TransactionType::P2p);
        Transaction {
            id: transfer.id.item(side),
            user_id: user.clone(),
            transaction_type: TransactionType::P2p,
            product: kind.product().to_owned(),
            status: transfer.item_status(),
            side,
            side_given: false,
            currency: transfer.currency,
            amount: transfer.amount,
            metadata: transfer.item_metadata(side, peer),
            source: None,
            external_id: None,
            revision: Revision::default(),
            transfer_id: Some(transfer.id),
            version: 1,
            created_at: happened,
            recorded_at: at,
            updated_at: None,
            seq: self.seq(),
        }
    }

    /// Moves the money of a transfer: both balances, both statements.
    pub(super) fn move_money(
        &mut self,
        transfer: &mut Transfer,
        parties: &mut Parties,
        at: Timestamp,
    ) {
        let amount = transfer.amount;
        let out = |balance: Balance| balance.minus(amount);
        let source = self.enter(&mut parties.source, out, transfer.number, at);
        let into = |balance: Balance| balance.plus(amount);
        let destination = self.enter(&mut parties.destination, into, transfer.number, at);
        transfer.posting = Some(Posting { at, source, destination });
        transfer.status = TransferStatus::Complete;
        transfer.next_attempt = None;
    }

    fn enter(
        &mut self,
        holding: &mut Holding,
        change: impl FnOnce(Balance) -> Option<Balance>,
        number: EventSeq,
        at: Timestamp,
    ) -> Leg {
        let funds = &mut holding.funds;
        // The range was checked before anything was written.
        funds.balance = change(funds.balance).unwrap_or(funds.balance);
        let previous = funds.posted.append(number);
        funds.posted_at = at;
        let (balance, count) = (funds.balance, funds.posted.count);
        self.sign(holding.account.id, Order::Posted, count, at.micros(), number);
        Leg { balance, previous }
    }

    fn sign(&mut self, account: AccountId, order: Order, count: u64, key: i64, number: EventSeq) {
        if count.is_multiple_of(MARK_EVERY) {
            self.marks.push(Mark { account, order, key, number });
        }
    }

    pub(super) fn blank(
        &self,
        id: TransferId,
        source: AccountId,
        destination: AccountId,
        currency: Currency,
        created_at: Timestamp,
    ) -> Transfer {
        Transfer {
            number: self.seq(),
            id,
            status: TransferStatus::Pending,
            source,
            destination,
            currency,
            amount: Amount::ZERO,
            held: None,
            reference: None,
            metadata: Json::Object(Vec::new()),
            expires_in_us: None,
            expires_at: None,
            execute_at: None,
            rolls_back: None,
            rolled_back_by: None,
            retry_count: 0,
            last_error: None,
            last_attempt: None,
            next_attempt: None,
            posting: None,
            is_shown: false,
            earlier: [None, None],
            version: 1,
            created_at,
            updated_at: None,
            seq: self.seq(),
        }
    }

    pub(super) fn holding(&self, id: AccountId) -> Option<&Holding> {
        match self.accounts.get(&id) {
            Some(now) => now.as_ref(),
            None => self.snapshot.accounts.get(&id),
        }
    }

    pub(super) fn parties(
        &self,
        source: AccountId,
        destination: AccountId,
    ) -> Result<Parties, Rejection> {
        let find = |id| self.holding(id).cloned().ok_or(Rejection::AccountNotFound { id });
        Ok(Parties { source: find(source)?, destination: find(destination)? })
    }

    pub(super) fn put_account(&mut self, holding: Holding, undo: &mut Undo) {
        let id = holding.account.id;
        if undo.atomic {
            undo.accounts.push((id, self.holding(id).cloned()));
        }
        self.accounts.insert(id, Some(holding));
    }

    fn transfer_now(&self, id: TransferId) -> Option<&Transfer> {
        match self.transfers.get(&id).and_then(|at| self.moved.get(*at)) {
            Some(now) => now.as_ref(),
            None => self.snapshot.transfers.get(&id),
        }
    }

    pub(super) fn known(&self, id: TransferId) -> Result<Transfer, Rejection> {
        self.transfer_now(id).cloned().ok_or(Rejection::TransferNotFound { id })
    }

    pub(super) fn referred(&self, key: &(AccountId, String)) -> Option<&Transfer> {
        self.transfer_now(*self.snapshot.references.get(key)?)
    }

    pub(super) fn put_transfer(&mut self, transfer: Transfer, undo: &mut Undo) {
        let id = transfer.id;
        if undo.atomic {
            undo.transfers.push((id, self.transfer_now(id).cloned()));
        }
        match self.transfers.get(&id).and_then(|at| self.moved.get_mut(*at)) {
            Some(row) => *row = Some(transfer),
            None => {
                self.transfers.insert(id, self.moved.len());
                self.moved.push(Some(transfer));
            }
        }
    }
}

impl Chain {
    /// Links one more transfer, and answers with the one before it.
    fn append(&mut self, number: EventSeq) -> Option<EventSeq> {
        self.count += 1;
        self.last.replace(number)
    }
}
