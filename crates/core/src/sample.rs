//! Sample items that look like a year of real life: merchants with the terminal's noise, friends
//! with accents, salaries, rent and subscriptions on their days, refunds, coins and currencies
//! with other than two digits. The same seed, users and time give the same items on every machine;
//! clock and randomness arrive as arguments, here as everywhere in this crate.

mod calendar;
mod chance;
mod item;
mod merchants;
mod people;
mod places;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Builder;

use calendar::{Calendar, Moments, Routine};
use chance::Chance;
use item::{Draft, Drawing, KINDS, refund};
use people::Person;

use crate::id::{TransactionId, UserId};
use crate::json::Json;
use crate::money::Currency;
use crate::time::{Timestamp, US_PER_DAY};
use crate::transaction::{NewTransaction, Revision, Side, Status, TransactionType};

/// Over how many days items are spread when nobody says.
pub const DAYS_DEFAULT: u32 = 365;
/// How many purchases are remembered, so that a refund is the refund of one.
const PURCHASES_MAX: usize = 64;
/// Of a thousand card payments, so many are refunds.
const REFUNDS: u64 = 30;
/// How many items of ten may be monthly ones, so that there is room for all the others.
const MONTHLY_OF_TEN: u64 = 3;

/// Whose items are made; at least one user.
#[derive(Clone, Debug)]
pub struct Users {
    first: UserId,
    others: Vec<UserId>,
}

impl Users {
    #[must_use]
    pub fn new(first: UserId, others: Vec<UserId>) -> Self {
        Self { first, others }
    }

    /// So many users, at least one: the prefix, followed by a number from 1 on.
    ///
    /// # Errors
    /// Returns the sentence to show when that makes no user ids.
    pub fn numbered(prefix: &str, count: u32) -> Result<Self, String> {
        let name = |number: u32| UserId::parse(&format!("{prefix}{number:06}"));
        let others = (2..=count).map(name).collect::<Result<_, _>>()?;
        Ok(Self::new(name(1)?, others))
    }

    fn count(&self) -> u64 {
        u64::try_from(self.others.len()).unwrap_or_default() + 1
    }

    fn get(&self, number: u64) -> UserId {
        let other = number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        other.and_then(|at| self.others.get(at)).unwrap_or(&self.first).clone()
    }
}

/// Makes items without end, in no order; [`Sampler::oldest_first`] makes so many in order.
#[derive(Clone, Debug)]
pub struct Sampler {
    seed: u64,
    users: Users,
    now: Timestamp,
    calendar: Calendar,
    source: Option<String>,
    chance: Chance,
    made: u64,
    /// Purchases that may still be paid back, and whose they are.
    purchases: Vec<(u64, Draft)>,
}

impl Sampler {
    /// Items of the last 365 days before `now`.
    #[must_use]
    pub fn new(seed: u64, users: Users, now: Timestamp) -> Self {
        Self {
            seed,
            users,
            now,
            calendar: Calendar::new(now, DAYS_DEFAULT),
            source: None,
            chance: Chance::new(seed),
            made: 0,
            purchases: Vec::with_capacity(PURCHASES_MAX),
        }
    }

    /// Spreads the items over so many days instead, at least one.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.calendar = Calendar::new(self.now, days);
        self
    }

    /// Names the system that the items come from, and gives each an external id there, so that
    /// recording the same ones again changes nothing.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>) -> Self {
        self.source = Some(name.into());
        self
    }

    /// The next item, as if it happened at that moment.
    pub fn item(&mut self, at: Timestamp) -> NewTransaction {
        let user = self.chance.below(self.users.count());
        let kind = self.chance.weighted(KINDS).unwrap_or(TransactionType::Card);
        let is_card = kind == TransactionType::Card;
        if is_card && self.chance.happens(REFUNDS) && !self.purchases.is_empty() {
            let last = self.purchases.len() - 1;
            let at_random = self.chance.below(u64::try_from(last).unwrap_or_default() + 1);
            let chosen = usize::try_from(at_random).unwrap_or_default().min(last);
            let (owner, purchase) = self.purchases.swap_remove(chosen);
            return self.finish(owner, refund(purchase), Status::Completed, at);
        }
        let person = Person::of(self.seed, user);
        let drawing = Drawing { person: &person, chance: &mut self.chance, at };
        let draft = drawing.draft(kind);
        let status = self.status(at);
        if is_card && status == Status::Completed && self.purchases.len() < PURCHASES_MAX {
            self.purchases.push((user, draft.clone()));
        }
        self.finish(user, draft, status, at)
    }

    /// Exactly so many items, the earliest first. Where there are enough for each user, every
    /// month has its salary, rent and subscriptions.
    #[must_use]
    pub fn oldest_first(self, total: u64) -> OldestFirst {
        let routine = self.routine(total);
        let monthly = routine.count();
        let moments = self.calendar.moments(total.saturating_sub(monthly));
        OldestFirst { sampler: self, left: total, moments, routine, waiting: None }
    }

    fn routine(&self, total: u64) -> Routine {
        let months = self.calendar.days().div_ceil(28);
        let of_each = total / self.users.count();
        let habits = of_each * MONTHLY_OF_TEN / 10 / months.max(1);
        let habits = usize::try_from(habits).unwrap_or(usize::MAX);
        Routine::new(&self.calendar, self.seed, self.users.count(), habits)
    }

    /// Most things are completed; what is not yet is mostly recent.
    fn status(&mut self, at: Timestamp) -> Status {
        let recent = self.now.micros() - at.micros() < 3 * US_PER_DAY;
        match self.chance.below(chance::OF_THOUSAND) {
            0..40 => Status::Failed,
            40..62 => Status::Cancelled,
            62..78 => Status::Pending,
            78..300 if recent => Status::Pending,
            _ => Status::Completed,
        }
    }

    fn finish(&mut self, user: u64, draft: Draft, status: Status, at: Timestamp) -> NewTransaction {
        let Draft { transaction_type, currency, amount, metadata } = draft;
        let kind = crate::kind::of(transaction_type);
        let number = self.made;
        self.made += 1;
        NewTransaction {
            id: self.id(at),
            id_given: false,
            user_id: self.users.get(user),
            transaction_type,
            product: kind.product().to_owned(),
            status,
            side: kind.side(&metadata),
            side_given: false,
            currency,
            amount,
            metadata,
            external_id: self.source.is_some().then(|| format!("{:x}-{number:08}", self.seed)),
            source: self.source.clone(),
            revision: Revision::default(),
            created_at: Some(at),
        }
    }

    /// A UUID of version 7 (RFC 9562) of a moment: milliseconds, then the part of a millisecond in
    /// 12 bits, then chance.
    fn id(&mut self, at: Timestamp) -> TransactionId {
        let us = u64::try_from(at.micros()).unwrap_or_default();
        let part = u16::try_from(us % 1_000 * 4_096 / 1_000).unwrap_or_default();
        let mut bytes = [0; 10];
        let random = self.chance.bits().to_be_bytes();
        let parts = part.to_be_bytes().into_iter().chain(random);
        bytes.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        TransactionId(Builder::from_unix_timestamp_millis(us / 1_000, &bytes).into_uuid())
    }
}

impl Iterator for Sampler {
    type Item = NewTransaction;

    fn next(&mut self) -> Option<NewTransaction> {
        let at = self.calendar.moment(&mut self.chance);
        Some(self.item(at))
    }
}

/// So many items in the order in which they happened.
#[derive(Clone, Debug)]
pub struct OldestFirst {
    sampler: Sampler,
    left: u64,
    moments: Moments,
    routine: Routine,
    /// The next moment of something that is no routine.
    waiting: Option<Timestamp>,
}

impl Iterator for OldestFirst {
    type Item = NewTransaction;

    fn next(&mut self) -> Option<NewTransaction> {
        self.left = self.left.checked_sub(1)?;
        if self.waiting.is_none() {
            self.waiting = self.moments.next(&mut self.sampler.chance);
        }
        let due = self.routine.peek();
        match (due, self.waiting) {
            (Some((at, user, habit)), waiting) if waiting.is_none_or(|waiting| at <= waiting) => {
                self.routine.take();
                let sampler = &mut self.sampler;
                let person = Person::of(sampler.seed, user);
                let drawing = Drawing { person: &person, chance: &mut sampler.chance, at };
                let draft = drawing.habit(habit);
                Some(sampler.finish(user, draft, Status::Completed, at))
            }
            (_, Some(at)) => {
                self.waiting = None;
                Some(self.sampler.item(at))
            }
            (_, None) => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

/// The JSON body that a client would send to record the item.
#[must_use]
pub fn body(item: &NewTransaction) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        user_id: &'a UserId,
        transaction_type: TransactionType,
        #[serde(skip_serializing_if = "Option::is_none")]
        product: Option<&'a str>,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        side: Option<Side>,
        currency: Currency,
        amount: Option<Box<RawValue>>,
        metadata: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        external_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }
    let kind = crate::kind::of(item.transaction_type);
    let body = Body {
        user_id: &item.user_id,
        transaction_type: item.transaction_type,
        // Clients leave out what follows from the rest.
        product: Some(item.product.as_str()).filter(|product| *product != kind.product()),
        status: item.status,
        side: Some(item.side).filter(|side| *side != kind.side(&item.metadata)),
        currency: item.currency,
        amount: RawValue::from_string(item.amount.to_text(item.currency)).ok(),
        metadata: &item.metadata,
        source: item.source.as_deref(),
        external_id: item.external_id.as_deref(),
        created_at: item.created_at,
    };
    // Serializing to a string fails only where a map key is no string; there is none.
    serde_json::to_string(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
