//! Random requests, made so that they collide: few accounts, few users, telling amounts.

use daybook_core::account::{AccountPatch, AccountStatus, NewAccount, Overdraft};
use daybook_core::command::Action;
use daybook_core::json::Json;
use daybook_core::time::US_PER_S;
use daybook_core::transaction::Vocabulary;
use daybook_core::transfer::{Failure, FailureKind, Retry};
use daybook_core::{
    AccountId, Amount, Currency, NewTransaction, NewTransfer, Patch, Rejection, Side, Timestamp,
    TransactionId, TransferId, TransferStatus, UserId,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::common::Memory;

/// One random request.
#[derive(Clone, Debug)]
pub struct Step {
    wishes: Vec<Wish>,
    pub atomic: bool,
    pub key: Option<u8>,
    /// How many steps back lies the one that is sent again after this.
    pub repeats: u8,
    wait: u8,
}

/// One random action; what the numbers mean depends on its kind.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    kind: u8,
    one: u8,
    other: u8,
    amount: u8,
    user: u8,
    /// The lowest bits turn rare things on.
    bits: u16,
}

pub fn steps(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let wish = (1..64_u8, any::<u8>(), any::<u8>(), any::<u8>(), 0..16_u8, any::<u16>());
    let wish = wish.prop_map(|(kind, one, other, amount, user, bits)| Wish {
        kind,
        one,
        other,
        amount,
        user,
        bits,
    });
    let one = proptest::collection::vec(wish.clone(), 1..2);
    let wishes = prop_oneof![8 => one, 1 => proptest::collection::vec(wish, 2..7)];
    let key = proptest::option::weighted(0.2, 0..40_u8);
    let step = (wishes, any::<bool>(), key, 0..60_u8, any::<u8>());
    let step = step.prop_map(|(wishes, atomic, key, repeats, wait)| Step {
        wishes,
        atomic,
        key,
        repeats,
        wait,
    });
    proptest::collection::vec(step, count)
}

impl Step {
    /// How long after the step before; requests may come a little out of order.
    pub fn wait_us(&self) -> i64 {
        match self.wait {
            0..80 => 0,
            80..160 => US_PER_S,
            160..200 => 7 * US_PER_S,
            200..230 => 60 * US_PER_S,
            230..250 => -US_PER_S / 2,
            250.. => 86_400 * US_PER_S,
        }
    }

    /// What is asked for; a history begins with the opening of its accounts.
    pub fn wishes(&self, place: usize, heat: u8) -> Vec<Wish> {
        match u8::try_from(place) {
            Ok(place) if place < heat => {
                vec![Wish { kind: OPEN, one: place, ..self.wishes[0] }]
            }
            _ => self.wishes.clone(),
        }
    }
}

const OPEN: u8 = 0;
/// Any of these is as likely as any other.
const AMOUNTS: &str = "0.01 0.5 1 1 5 5 10 10 30 30 100 100 1000 0.001 49999999999999999999.99 \
    99999999999999999999";
const CURRENCIES: &[(&str, u8)] =
    &[("USD", 2), ("USD", 2), ("USD", 2), ("USD", 2), ("USD", 2), ("JPY", 0), ("ETH", 18)];
const USERS: &[&str] = &["ann", "ben", "eve"];

/// Where an action is made: what there is to collide with.
pub struct Scene<'a> {
    pub at: Timestamp,
    /// How many accounts there are at the beginning.
    pub heat: u8,
    pub known: &'a [TransferId],
    pub memory: &'a Memory,
}

impl Scene<'_> {
    pub fn action(&self, wish: &Wish, number: usize) -> Action {
        let id = self.target(wish);
        let owner = user(wish.user).map(daybook_core::Owner::from);
        match wish.kind {
            OPEN | 1 => self.open(wish),
            2..5 => Action::Reform {
                id: self.account(wish.one),
                owner,
                version: (wish.bits & 7 == 0).then_some(2),
                patch: patch(wish, self.heat),
            },
            5..28 => self.transfer(wish, number),
            28..35 => {
                let amount = (wish.bits & 3 == 0).then(|| amount(wish.amount));
                Action::Post { id, owner, amount }
            }
            35..39 => Action::Void { id, owner },
            39..45 => Action::Rollback { id, owner, by: transfer_id(number) },
            45..52 => Action::Attempt { id, retry: retry(wish), failure: failure(wish) },
            52..55 => Action::Expire { id },
            55..59 => self.record(wish, number),
            59..62 => Action::Amend {
                id: self.item(wish),
                owner,
                version: (wish.bits & 7 == 0).then_some(1),
                patch: Patch::parse(r#"{"status":"completed","amount":"7"}"#).expect("a patch"),
            },
            _ => Action::Erase { id: self.item(wish), owner, version: None },
        }
    }

    /// One of the accounts of the beginning, or rarely another.
    fn account(&self, number: u8) -> AccountId {
        match number {
            250.. => AccountId::equity(&Currency::USD),
            240..250 => AccountId(i64::from(number)),
            _ => AccountId(i64::from(number % self.heat) + 1),
        }
    }

    /// One of the last transfers, mostly one that the action can do something with, or rarely one
    /// that is not there.
    fn target(&self, wish: &Wish) -> TransferId {
        let last = self.known.len().saturating_sub(16);
        let last = self.known.get(last..).unwrap_or_default();
        let fits = |id: &&TransferId| match (wish.kind, &self.memory.transfers[*id]) {
            (28..39 | 52..55, transfer) => transfer.is_held(),
            (39..45, transfer) => {
                transfer.status == TransferStatus::Complete && transfer.rolls_back.is_none()
            }
            (45..52, transfer) => transfer.is_queued(),
            _ => true,
        };
        let fitting: Vec<&TransferId> = last.iter().filter(fits).collect();
        let place = usize::from(wish.other);
        match (wish.bits >> 12, fitting.len()) {
            (0, _) => transfer_id(usize::MAX >> 8),
            (3.., 1..) => *fitting[place % fitting.len()],
            _ if last.is_empty() => transfer_id(0),
            _ => last[place % last.len()],
        }
    }

    /// An item that shows a transfer, or another.
    fn item(&self, wish: &Wish) -> TransactionId {
        let side = if wish.bits & 8 == 0 { Side::Debit } else { Side::Credit };
        let any = usize::from(wish.one) % self.memory.transactions.len().max(1);
        let item = self.memory.transactions.keys().nth(any).copied();
        item.filter(|_| wish.bits & 4 == 0).unwrap_or(self.target(wish).item(side))
    }

    fn open(&self, wish: &Wish) -> Action {
        let beginning = usize::from(wish.kind == OPEN);
        // Two accounts alone are of one currency and without limit, so that much moves.
        let place = if self.heat == 2 { 0 } else { usize::from(wish.other) % CURRENCIES.len() };
        let (code, digits) = CURRENCIES[place];
        let currency = Currency::new(code, digits).expect("a currency");
        let initial = amount(wish.amount);
        let initial = if wish.bits & 3 == 0 { Amount::ZERO } else { initial };
        let overdraft = match wish.bits >> 2 & 7 {
            _ if self.heat == 2 => Overdraft::Unlimited,
            0 | 1 => Overdraft::Unlimited,
            2 => Overdraft::Limit(Amount::parse("50", currency).expect("an amount")),
            _ => Overdraft::Limit(Amount::ZERO),
        };
        let id = AccountId(i64::from(wish.one % self.heat) + 1);
        Action::Open(NewAccount {
            id: (beginning == 1 || wish.bits & 64 == 0).then_some(id),
            user_id: user(wish.user % 4 + 12),
            currency,
            name: None,
            metadata: Json::Object(Vec::new()),
            overdraft,
            initial_balance: if initial.fits(currency) { initial } else { Amount::ZERO },
        })
    }

    fn transfer(&self, wish: &Wish, number: usize) -> Action {
        let source = self.account(wish.one);
        let other = match wish.other {
            0..220 => wish.one % self.heat + 1 + wish.other % (self.heat - 1),
            _ => wish.other,
        };
        let destination = self.account(other);
        let refused = Rejection::field("/destination_account_id", "SAME_ACCOUNT", "the same");
        // What a reader of requests refuses never comes to a decision.
        if source == destination || source.is_equity() || destination.is_equity() {
            return Action::Refused(refused);
        }
        let rare = |bit: u32, of: u16| (wish.bits >> bit).is_multiple_of(of);
        let hold = rare(0, 3);
        let due = rare(2, 9).then(|| self.after(i64::from(wish.amount % 20) - 3));
        let queued = due.is_some() || rare(1, 5);
        let happened = !hold && !queued && rare(4, 5);
        Action::Transfer(NewTransfer {
            id: transfer_id(number),
            owner: user(wish.user).map(daybook_core::Owner::from),
            source,
            destination,
            amount: amount(wish.amount),
            currency: rare(6, 11).then_some(Currency::USD),
            reference: rare(3, 4).then(|| format!("r{}", wish.bits % 3)),
            metadata: Json::Object(vec![("n".to_owned(), Json::Bool(hold))]),
            hold,
            expires_in_us: (hold && rare(5, 2)).then_some(30 * US_PER_S),
            execute_at: due,
            queued,
            created_at: happened.then(|| self.after(2 - i64::from(wish.user % 6))),
        })
    }

    fn record(&self, wish: &Wish, number: usize) -> Action {
        let status = ["pending", "completed"][usize::from(wish.bits % 2)];
        let body = format!(
            r#"{{"user_id":"{}","transaction_type":"card","amount":"{}.25","status":"{status}",
            "source":"bank","external_id":"{}"}}"#,
            USERS[usize::from(wish.user) % USERS.len()],
            wish.amount,
            wish.one % 8
        );
        let id = TransactionId(Uuid::from_u128(1 << 100 | number as u128));
        let new = NewTransaction::parse(&body, id, None, &Vocabulary::default());
        Action::Record(new.expect("a valid body"))
    }

    fn after(&self, seconds: i64) -> Timestamp {
        Timestamp::from_micros(self.at.micros() + seconds * US_PER_S)
    }
}

/// Four bits are taken by the sides of a transfer, which make the ids of its items.
fn transfer_id(number: usize) -> TransferId {
    TransferId(Uuid::from_u128((number as u128) << 4))
}

/// Most callers may act on anybody's accounts.
fn user(number: u8) -> Option<UserId> {
    let name = usize::from(number).checked_sub(13).map(|place| USERS[place]);
    name.and_then(|name| UserId::parse(name).ok())
}

fn amount(number: u8) -> Amount {
    let text = AMOUNTS.split_whitespace().cycle().nth(number.into()).expect("a text");
    Amount::parse_any(text).expect("an amount")
}

fn patch(wish: &Wish, heat: u8) -> AccountPatch {
    let mut patch = AccountPatch::default();
    match wish.other % 8 {
        0 => patch.status = Some(AccountStatus::Frozen),
        1 if heat > 2 => patch.status = Some(AccountStatus::Closed),
        1..5 => patch.status = Some(AccountStatus::Open),
        5 => patch.overdraft = Some(Overdraft::Limit(amount(wish.amount))),
        6 => patch.overdraft = Some(Overdraft::Unlimited),
        _ => patch.name = Some(Some(format!("name {}", wish.amount % 4))),
    }
    patch
}

fn retry(wish: &Wish) -> Retry {
    let chance = u32::from(wish.amount) << 24;
    Retry { attempts_max: 3, base_us: 4 * US_PER_S, cap_us: 10 * US_PER_S, chance }
}

fn failure(wish: &Wish) -> Option<Failure> {
    let kind = match wish.bits & 15 {
        0 => FailureKind::Temporary,
        1 => FailureKind::Permanent,
        2 => FailureKind::Unknown,
        _ => return None,
    };
    let (code, detail) = ("NETWORK".to_owned(), "the network is away".to_owned());
    Some(Failure { kind, code, detail })
}
