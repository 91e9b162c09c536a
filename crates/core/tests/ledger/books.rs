//! What holds in the ledger at every moment, and what of it a commit may change.

use std::collections::{BTreeMap, HashMap};

use daybook_core::account::{AccountStatus, Chain, Funds, Overdraft};
use daybook_core::limits::MARK_EVERY;
use daybook_core::transfer::Posting;
use daybook_core::write_set::{Mark, Order, Recorded, RowChange, TransferChange, WriteSet};
use daybook_core::{
    Account, AccountId, Amount, Balance, Currency, EventSeq, EventType, Holding, Side, Status,
    Subject, Timestamp, Transaction, TransactionType, Transfer, TransferStatus,
};
use ethnum::I256;

use crate::common::Memory;
use crate::tables::Scene;

/// What the transfers say about one account.
#[derive(Debug, Default, PartialEq)]
struct Told {
    balance: I256,
    pending_in: I256,
    pending_out: I256,
    posted: u64,
    listed: u64,
}

type ByNumber<'a> = HashMap<EventSeq, &'a Transfer>;

/// Checks all that holds in the ledger, whatever happened before.
pub fn check(memory: &Memory) {
    let by_number: ByNumber = memory.transfers.values().map(|t| (t.number, t)).collect();
    assert_eq!(by_number.len(), memory.transfers.len(), "each transfer has its own number");
    let told = told(memory);
    let mut sums: BTreeMap<Currency, I256> = BTreeMap::new();
    let mut marks = Vec::new();
    for (id, holding) in &memory.accounts {
        let (account, funds) = (&holding.account, &holding.funds);
        assert_eq!(account.id, *id);
        *sums.entry(account.currency).or_default() += funds.balance.atto();
        let now = Told {
            balance: funds.balance.atto(),
            pending_in: funds.pending_in.atto().into(),
            pending_out: funds.pending_out.atto().into(),
            posted: funds.posted.count,
            listed: funds.listed.count,
        };
        assert_eq!(Some(&now), told.get(id), "the funds of {id} are what its transfers say");
        check_holding(holding);
        check_statement(holding, &by_number, &mut marks);
        check_list(holding, &by_number, &mut marks);
    }
    for (currency, sum) in sums {
        assert_eq!(sum, I256::ZERO, "the balances in {currency} add up to zero");
    }
    let key = |mark: &Mark| (mark.account, mark.order, mark.number);
    marks.sort_by_key(key);
    let mut kept = memory.marks.clone();
    kept.sort_by_key(key);
    assert_eq!(kept, marks, "every {MARK_EVERY}th transfer of an account is marked");
    check_transfers(memory);
}

fn told(memory: &Memory) -> HashMap<AccountId, Told> {
    let mut told: HashMap<AccountId, Told> =
        memory.accounts.keys().map(|id| (*id, Told::default())).collect();
    for transfer in memory.transfers.values() {
        let amount = I256::from(transfer.amount.atto());
        let source = told.get_mut(&transfer.source).expect("the source is there");
        source.listed += 1;
        if transfer.posting.is_some() {
            source.posted += 1;
            source.balance -= amount;
        }
        if transfer.is_held() {
            source.pending_out += amount;
        }
        let destination = told.get_mut(&transfer.destination).expect("the destination is there");
        destination.listed += 1;
        if transfer.posting.is_some() {
            destination.posted += 1;
            destination.balance += amount;
        }
        if transfer.is_held() {
            destination.pending_in += amount;
        }
    }
    told
}

/// Checks that what an account holds is right in itself.
fn check_holding(holding: &Holding) {
    let (account, funds) = (&holding.account, &holding.funds);
    let id = account.id;
    let end = 10_i128.pow(38);
    let (into, out) = (funds.pending_in.atto(), funds.pending_out.atto());
    assert!((0..end).contains(&into) && (0..end).contains(&out), "pending of {id}");
    let available = funds.balance.atto() - out;
    assert_eq!(funds.available(), Balance::from_wide(available), "posted less holds of {id}");
    // A hold can always be posted: even then the balance is in its range.
    let end = if id.is_equity() { I256::new(end) * 10_i128.pow(20) } else { I256::new(end) };
    assert!(-end < available && funds.balance.atto() + I256::from(into) < end);
    match account.overdraft {
        Overdraft::Limit(limit) => assert!(available >= -limit.atto(), "the overdraft of {id}"),
        Overdraft::Unlimited => {}
    }
    if account.status == AccountStatus::Closed {
        assert_eq!((funds.balance, into, out), (Balance::ZERO, 0, 0), "{id} is closed and empty");
    }
    let multiple = 10_i128.pow(u32::from(18 - account.currency.digits()));
    for atto in [funds.balance.atto(), into.into(), out.into()] {
        assert_eq!(atto % multiple, I256::ZERO, "{id} holds no part of a minor unit");
    }
    assert_eq!(id.is_equity(), id == AccountId::equity(&account.currency));
}

/// Walks an account's entries from the newest to the oldest.
fn check_statement(holding: &Holding, by_number: &ByNumber, marks: &mut Vec<Mark>) {
    let (id, funds) = (holding.account.id, &holding.funds);
    let (mut balance, mut latest) = (funds.balance, None);
    let Chain { mut last, mut count } = funds.posted;
    while let Some(number) = last {
        let transfer = by_number[&number];
        let (posting, leg) = (transfer.posting.expect("moved"), transfer.leg_of(id).expect("ours"));
        assert_eq!(leg.balance, balance, "the running balance of {id} at {number}");
        let entry = transfer.entry(id).expect("moved");
        assert_eq!((entry.balance, entry.amount), (balance, transfer.amount));
        assert!(latest.is_none_or(|latest| posting.at <= latest), "{id} is in order of time");
        if latest.is_none() {
            assert_eq!(funds.posted_at, posting.at);
        }
        if count.is_multiple_of(MARK_EVERY) {
            let key = posting.at.micros();
            marks.push(Mark { account: id, order: Order::Posted, key, number });
        }
        let (signed, direction) = match id == transfer.source {
            true => (transfer.amount.atto(), Side::Debit),
            false => (-transfer.amount.atto(), Side::Credit),
        };
        assert_eq!(entry.direction, direction);
        balance = Balance::from_wide(balance.atto() + signed);
        latest = Some(posting.at);
        count -= 1;
        last = leg.previous;
    }
    assert_eq!((balance, count), (Balance::ZERO, 0), "the statement of {id} begins at nothing");
}

/// Walks an account's transfers from the last submitted to the first.
fn check_list(holding: &Holding, by_number: &ByNumber, marks: &mut Vec<Mark>) {
    let id = holding.account.id;
    let Chain { mut last, mut count } = holding.funds.listed;
    while let Some(number) = last {
        if count.is_multiple_of(MARK_EVERY) {
            marks.push(Mark { account: id, order: Order::Listed, key: number.0, number });
        }
        count -= 1;
        last = by_number[&number].earlier_of(id);
        assert!(last.is_none_or(|earlier| earlier < number), "{id} is in order of submission");
    }
    assert_eq!(count, 0, "the list of {id} is whole");
}

fn check_transfers(memory: &Memory) {
    let mut shown = 0;
    for transfer in memory.transfers.values() {
        check_transfer(memory, transfer);
        let parties = [transfer.source, transfer.destination].map(|id| &memory.accounts[&id]);
        let [payer, payee] = parties.map(|holding| holding.account.user_id.as_ref());
        let is_shown = payer.is_some() && payee.is_some() && transfer.rolls_back.is_none();
        assert_eq!(transfer.is_shown, is_shown);
        for (side, owner) in [(Side::Debit, payer), (Side::Credit, payee)] {
            let item = memory.transactions.get(&transfer.id.item(side));
            assert_eq!(item.is_some(), is_shown && was_held_or_moved(memory, transfer));
            if let Some(item) = item {
                assert_eq!(Some(&item.user_id), owner);
                check_item(item, transfer, side);
                shown += 1;
            }
        }
    }
    let items = memory.transactions.values().filter(|item| item.transfer_id.is_some());
    assert_eq!(items.count(), shown, "no item shows a transfer that is not there");
}

fn check_transfer(memory: &Memory, transfer: &Transfer) {
    let id = transfer.id;
    assert!(transfer.source != transfer.destination, "{id}");
    assert!(transfer.amount > Amount::ZERO && transfer.amount.fits(transfer.currency), "{id}");
    assert!(transfer.held.is_none_or(|held| transfer.amount <= held), "{id}");
    for account in [transfer.source, transfer.destination] {
        assert_eq!(memory.accounts[&account].account.currency, transfer.currency, "{id}");
    }
    let moved = match transfer.status {
        TransferStatus::Complete => true,
        TransferStatus::Rollback => transfer.rolled_back_by.is_some(),
        TransferStatus::Pending | TransferStatus::Failed => false,
    };
    assert_eq!(transfer.posting.is_some(), moved, "{id} moved money at most once");
    assert_eq!(
        transfer.status == TransferStatus::Pending,
        transfer.is_held() || transfer.is_queued()
    );
    assert!(!transfer.is_held() || transfer.held == Some(transfer.amount), "{id}");
    assert!(transfer.next_attempt.is_none() || transfer.is_queued(), "{id}");
    assert!(transfer.status != TransferStatus::Failed || transfer.last_error.is_some(), "{id}");
    assert_eq!(
        transfer.retry_count > 0,
        transfer.last_error.is_some() && !expired(transfer),
        "{id}"
    );
    if let Some(by) = transfer.rolled_back_by {
        let opposite = &memory.transfers[&by];
        assert_eq!(opposite.rolls_back, Some(id));
        assert_eq!(
            (opposite.source, opposite.destination),
            (transfer.destination, transfer.source)
        );
        assert_eq!((opposite.amount, opposite.status), (transfer.amount, TransferStatus::Complete));
    }
    if let Some(original) = transfer.rolls_back {
        assert_eq!(memory.transfers[&original].rolled_back_by, Some(id));
    }
    let event = memory.event(transfer.seq);
    assert_eq!((event.subject, event.version), (Subject::Transfer(id), transfer.version));
}

fn expired(transfer: &Transfer) -> bool {
    let error = transfer.last_error.as_ref();
    transfer.retry_count == 0 && error.is_some_and(|error| error.code == "HOLD_EXPIRED")
}

/// Whether the money was ever held or moved; the log knows it.
fn was_held_or_moved(memory: &Memory, transfer: &Transfer) -> bool {
    if transfer.is_held() || transfer.posting.is_some() {
        return true;
    }
    let mut next = Some(transfer.seq);
    while let Some(seq) = next {
        let event = memory.event(seq);
        let waits = !event.body.contains(r#""next_attempt":null"#);
        if event.event_type == EventType::Submitted && !waits {
            return true;
        }
        next = event.previous;
    }
    false
}

fn check_item(item: &Transaction, transfer: &Transfer, side: Side) {
    let status = match transfer.status {
        TransferStatus::Pending => Status::Pending,
        TransferStatus::Complete => Status::Completed,
        TransferStatus::Failed => Status::Failed,
        TransferStatus::Rollback => Status::Cancelled,
    };
    assert_eq!((item.status, item.side, item.amount), (status, side, transfer.amount));
    assert_eq!((item.transaction_type, item.currency), (TransactionType::P2p, transfer.currency));
    assert_eq!(item.transfer_id, Some(transfer.id));
    assert_eq!((&item.source, &item.external_id), (&None, &None));
}

/// Checks what a commit is about to change against what is there: only legal moves, each with its
/// event, and rows that agree with the events.
pub fn check_write(memory: &Memory, write: &WriteSet) {
    for (place, event) in write.events.iter().enumerate() {
        assert_eq!(event.seq.0, (memory.events.len() + place + 1) as i64, "no number is left out");
    }
    for change in &write.transfers {
        check_move(memory, write, change);
    }
    for change in &write.accounts {
        let Holding { account, .. } = &change.holding;
        let old = memory.accounts.get(&account.id);
        if let Some(old) = old {
            let (id, currency, user) = (account.id, account.currency, &account.user_id);
            let was = &old.account;
            assert_eq!((was.id, was.currency, &was.user_id), (id, currency, user));
            assert!(was.status != AccountStatus::Closed || !change.reformed, "closed is closed");
            assert!(was.version <= account.version);
        }
    }
    for row in &write.rows {
        check_row(write, row);
    }
}

fn check_move(memory: &Memory, write: &WriteSet, change: &TransferChange) {
    use TransferStatus::{Complete, Failed, Pending, Rollback};
    let new = &change.transfer;
    let told = write.events.iter().rfind(|event| event.subject == Subject::Transfer(new.id));
    let waited = new.is_queued() && new.retry_count > 0;
    match told {
        Some(event) => {
            assert_eq!((event.seq, event.version), (new.seq, new.version));
            assert!(waited || event.body == Recorded::transfer(new).body, "the log says all");
        }
        None => assert!(waited, "{} changed without an event", new.id),
    }
    let Some(old) = memory.transfers.get(&new.id) else {
        return;
    };
    let legal = match (old.status, new.status) {
        (Pending, _) | (Complete, Complete | Rollback) => true,
        (Failed, Failed) | (Rollback, Rollback) => old == new,
        (Complete | Failed | Rollback, _) => false,
    };
    assert!(legal, "{:?} became {:?}", old.status, new.status);
    assert!(old.posting.is_none() || old.posting == new.posting);
    assert!(old.amount == new.amount || (old.is_held() && new.posting.is_some()));
    let same = Transfer {
        status: old.status,
        amount: old.amount,
        posting: old.posting,
        expires_at: old.expires_at,
        rolled_back_by: old.rolled_back_by,
        retry_count: old.retry_count,
        last_error: old.last_error.clone(),
        last_attempt: old.last_attempt,
        next_attempt: old.next_attempt,
        version: old.version,
        updated_at: old.updated_at,
        seq: old.seq,
        ..new.clone()
    };
    assert_eq!(&same, old, "nothing else of a transfer changes");
}

/// Checks that an item keeps its identity, and that the log says what it is.
fn check_row(write: &WriteSet, row: &RowChange) {
    let Some(new) = &row.new else {
        assert!(
            row.old.as_ref().is_none_or(|old| old.transfer_id.is_none()),
            "it cannot be erased"
        );
        return;
    };
    let event = write.events.iter().rfind(|event| event.subject == Subject::Item(new.id));
    let event = event.expect("a row changes with an event");
    assert_eq!((event.seq, event.version), (new.seq, new.version));
    assert_eq!(event.body, Recorded::of(new).body);
    if let Some(old) = &row.old {
        assert!(old.version < new.version);
        if new.transfer_id.is_some() {
            assert_eq!(
                (old.id, &old.user_id, old.created_at),
                (new.id, &new.user_id, new.created_at)
            );
            assert_eq!(old.metadata, new.metadata);
        }
    }
}

/// Whether a commit would leave everything as it is.
pub fn writes_nothing(write: &WriteSet) -> bool {
    let WriteSet { rows, events, statistics, replies, accounts, transfers, marks, keys } = write;
    let feed = rows.is_empty() && events.is_empty() && statistics.is_empty();
    let ledger = accounts.is_empty() && transfers.is_empty() && marks.is_empty();
    feed && ledger && replies.is_empty() && keys.is_empty()
}

/// Something that may be wrong with the books, and how to make it so.
type Fault = (&'static str, fn(&mut Memory));

const FAULTS: &[Fault] = &[
    ("a cent more", |memory| {
        let funds = funds(memory, 2);
        funds.balance = funds.balance.plus(CENT).expect("in range");
    }),
    ("a hold that nobody took", |memory| funds(memory, 1).pending_out = CENT),
    ("a hold that was forgotten", |memory| funds(memory, 2).pending_in = Amount::ZERO),
    ("an entry too many", |memory| funds(memory, 1).posted.count += 1),
    ("a statement cut off", |memory| funds(memory, 1).posted.last = None),
    ("a list cut off", |memory| funds(memory, 1).listed.last = None),
    ("another running balance", |memory| {
        posting(memory).source.balance = Balance::ZERO;
    }),
    ("a link gone", |memory| posting(memory).source.previous = None),
    ("an earlier time", |memory| posting(memory).at = Timestamp::MIN),
    ("a transfer gone", |memory| drop(memory.transfers.pop_first())),
    ("an amount changed", |memory| transfer(memory).amount = CENT),
    ("a status changed", |memory| transfer(memory).status = TransferStatus::Rollback),
    ("an item gone", |memory| drop(memory.transactions.pop_first())),
    ("an item changed", |memory| {
        let mut items = memory.transactions.values_mut();
        items.next().expect("an item").status = Status::Failed;
    }),
    ("a mark nobody set", |memory| {
        let (account, number) = (AccountId(1), EventSeq(1));
        memory.marks.push(Mark { account, order: Order::Listed, key: 1, number });
    }),
    ("below the limit", |memory| {
        let holding = memory.accounts.get_mut(&AccountId(3)).expect("an account");
        let limit = Overdraft::Limit(CENT);
        holding.account = Account { overdraft: limit, ..(*holding.account).clone() }.into();
    }),
    ("closed with money", |memory| {
        let holding = memory.accounts.get_mut(&AccountId(1)).expect("an account");
        let status = AccountStatus::Closed;
        holding.account = Account { status, ..(*holding.account).clone() }.into();
    }),
];
const CENT: Amount = Amount::from_atto(10_i128.pow(16));

fn funds(memory: &mut Memory, account: i64) -> &mut Funds {
    &mut memory.accounts.get_mut(&AccountId(account)).expect("an account").funds
}

/// The first transfer of the books below, which moved money from 1 to 2.
fn transfer(memory: &mut Memory) -> &mut Transfer {
    memory.transfers.values_mut().next().expect("a transfer")
}

fn posting(memory: &mut Memory) -> &mut Posting {
    transfer(memory).posting.as_mut().expect("money moved")
}

#[test]
fn no_fault_in_the_books_is_overlooked() {
    let mut scene = Scene::default();
    for line in [
        "open 1 ann USD 100.00",
        "open 2 ben USD",
        "open 3 - USD limit 50.00",
        "a: send 1 to 2 30.00",
        "b: hold 1 to 2 5.00",
        "c: send 3 to 2 20.00",
    ] {
        scene.line(line);
    }
    check(&scene.memory);
    for (name, make) in FAULTS {
        let mut memory = scene.memory.clone();
        make(&mut memory);
        let found = std::panic::catch_unwind(|| check(&memory)).is_err();
        assert!(found, "nobody noticed {name}");
    }
}
