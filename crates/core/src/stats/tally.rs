//! From buckets to an answer: which detail a day needs, and what it all adds up to.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::month::visit_days;
use super::zone::is_slot_start;
use super::{Busiest, Cell, Dims, Extreme, SLOT_US, SLOTS_PER_DAY, Sums, Zone, slot_start};
use crate::money::{Amount, Currency, Total};
use crate::time::{Day, Month, Timestamp};
use crate::transaction::{Side, Status, Transaction, TransactionType};

/// The time that a question is about. `from` is in it, `to` is not.
#[derive(Clone, Debug)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    pub tz: TimeZone,
}

impl Span {
    /// All time, in UTC.
    #[must_use]
    pub fn all() -> Self {
        Self { from: Timestamp::MIN, to: Timestamp::END, tz: TimeZone::UTC }
    }

    /// Whether no moment is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }

    /// The UTC days that the span touches, first and last.
    #[must_use]
    pub fn days(&self) -> (Day, Day) {
        (self.from.day(), Timestamp::from_micros(self.to.micros() - 1).day())
    }
}

/// What must be read of one UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DayPlan {
    /// The day's summary; where days are counted in the zone, its slot counts too.
    Whole,
    /// The slots, without those that a boundary cuts: their items are read one by one.
    Parts { slots: Vec<u8>, cut: Vec<u8> },
}

/// Decides how much of a UTC day lies in the span, and whether slots can answer for it.
#[must_use]
pub fn plan_day(day: Day, span: &Span, zone: &Zone) -> DayPlan {
    let (start, end) = (day.start(), day.end());
    let mut cut: Vec<u8> = Vec::new();
    let mut cut_at = |at: Timestamp| {
        if start < at && at < end && !is_slot_start(at) {
            cut.push(super::slot_of(at));
        }
    };
    cut_at(span.from);
    cut_at(span.to);
    for (at, _) in zone.month(day.month()).of_day(day) {
        cut_at(*at);
    }
    if span.from <= start && end <= span.to && cut.is_empty() {
        return DayPlan::Whole;
    }
    let slots = (0..SLOTS_PER_DAY as u8).filter(|slot| {
        let from = slot_start(day, *slot);
        let to = Timestamp::from_micros(from.micros() + SLOT_US);
        !cut.contains(slot) && span.from <= from && to <= span.to
    });
    let slots = slots.collect();
    cut.sort_unstable();
    cut.dedup();
    DayPlan::Parts { slots, cut }
}

/// Whether the sums of a whole UTC month can answer: it lies in the span, and no day of the zone
/// begins inside a slot.
#[must_use]
pub fn takes_whole_month(month: Month, span: &Span, zone: &Zone) -> bool {
    let (first, after) = super::month::days(month);
    let inside = span.from <= first.start() && after.start() <= span.to;
    inside && (zone.is_utc() || zone.month(month).is_aligned)
}

/// One item that is counted by itself.
#[derive(Clone, Debug)]
pub struct Item {
    pub created_at: Timestamp,
    pub dims: Dims,
    pub amount: Amount,
}

impl From<&Transaction> for Item {
    fn from(item: &Transaction) -> Self {
        Self { created_at: item.created_at, dims: Dims::of(item), amount: item.amount }
    }
}

const COMMON: usize = 64;

fn place_of(dims: &Dims) -> usize {
    dims.transaction_type as usize * 8 + dims.status as usize * 2 + dims.side as usize
}

/// Adds up one currency.
#[derive(Debug)]
pub struct Tally {
    currency: Currency,
    zone: Rc<Zone>,
    /// The cells without a product of their own, by [`place_of`].
    common: [Cell; COMMON],
    /// The cells with one.
    special: BTreeMap<Dims, Cell>,
    largest: Option<Amount>,
    smallest: Option<Amount>,
    days: BTreeMap<Date, u64>,
    updated_at: Timestamp,
}

impl Tally {
    #[must_use]
    pub fn new(currency: Currency, zone: Rc<Zone>) -> Self {
        Self {
            currency,
            zone,
            common: [Cell::default(); COMMON],
            special: BTreeMap::new(),
            largest: None,
            smallest: None,
            days: BTreeMap::new(),
            updated_at: Timestamp::default(),
        }
    }

    /// Adds a whole UTC day. `counts` says how many items count in each slot.
    ///
    /// Returns true when the day's largest or smallest amount is only a bound that could matter:
    /// the caller then gives every item of the day to [`Tally::add_extremes`].
    #[must_use]
    pub fn add_day(&mut self, day: Day, sums: &Sums, counts: &[(u8, u64)], at: Timestamp) -> bool {
        let unsure = self.unsure(sums);
        self.add_sums(sums, at);
        self.count_slots(day, counts.iter().copied());
        unsure
    }

    /// Whether the largest or smallest amount is only a bound, and could be the answer.
    #[must_use]
    pub fn unsure(&self, sums: &Sums) -> bool {
        let open = |extreme: Option<Extreme>, beyond: &dyn Fn(Amount) -> bool| {
            extreme.is_some_and(|extreme| !extreme.exact && beyond(extreme.amount))
        };
        open(sums.largest, &|amount| self.largest.is_none_or(|known| amount > known))
            || open(sums.smallest, &|amount| self.smallest.is_none_or(|known| amount < known))
    }

    /// Adds sums without saying when their items were.
    pub fn add_sums(&mut self, sums: &Sums, at: Timestamp) {
        for (dims, cell) in &sums.cells {
            self.add_cell(dims, *cell);
        }
        let exact = |extreme: Option<Extreme>| extreme.filter(|e| e.exact).map(|e| e.amount);
        self.largest = self.largest.max(exact(sums.largest));
        self.smallest = match (self.smallest, exact(sums.smallest)) {
            (Some(known), Some(amount)) => Some(known.min(amount)),
            (known, amount) => known.or(amount),
        };
        self.updated_at = self.updated_at.max(at);
    }

    /// Adds slots of one day; returns as [`Tally::add_day`] does.
    #[must_use]
    pub fn add_slots(
        &mut self,
        day: Day,
        slots: BTreeMap<u8, Sums>,
        wanted: &[u8],
        at: Timestamp,
    ) -> bool {
        let mut bucket = super::Bucket { slots, updated_at: at };
        bucket.slots.retain(|slot, _| wanted.contains(slot));
        let counts: Vec<(u8, u64)> =
            bucket.slots.iter().map(|(slot, content)| (*slot, content.counted())).collect();
        self.add_day(day, &bucket.summary(), &counts, at)
    }

    /// Adds one item in full.
    pub fn add_item(&mut self, item: &Item) {
        self.add_cell(&item.dims, Cell { count: 1, total: item.amount.into() });
        if item.dims.status.counts() {
            *self.days.entry(self.zone.date(item.created_at)).or_default() += 1;
        }
        self.add_extremes(item);
    }

    /// Looks only at the amount of an item that is counted already.
    pub fn add_extremes(&mut self, item: &Item) {
        if item.dims.status.counts() {
            let amount = item.amount;
            self.largest = Some(self.largest.map_or(amount, |known| known.max(amount)));
            self.smallest = Some(self.smallest.map_or(amount, |known| known.min(amount)));
        }
    }

    fn add_cell(&mut self, dims: &Dims, cell: Cell) {
        match self.common.get_mut(place_of(dims)).filter(|_| dims.product.is_none()) {
            Some(sum) => sum.add(cell),
            None => self.special.entry(dims.clone()).or_default().add(cell),
        }
    }

    /// The cells that have items.
    fn cells(&self) -> Vec<(Dims, Cell)> {
        let mut cells: Vec<(Dims, Cell)> = Vec::new();
        for transaction_type in TransactionType::ALL {
            for status in Status::ALL {
                for side in Side::ALL {
                    let (transaction_type, status, side) = (*transaction_type, *status, *side);
                    let dims = Dims { transaction_type, status, side, product: None };
                    let cell = self.common.get(place_of(&dims)).copied().unwrap_or_default();
                    cells.push((dims, cell));
                }
            }
        }
        cells.extend(self.special.iter().map(|(dims, cell)| (dims.clone(), *cell)));
        cells.retain(|(_, cell)| cell.count > 0);
        cells
    }

    /// Adds a month as it is kept. `counts` reads when its items were; only a zone other than UTC
    /// asks for it. `None` when the month is damaged.
    ///
    /// Returns false, and adds nothing, when an extreme is only a bound that could matter: then its
    /// days must be added one by one.
    pub fn add_month<'a>(
        &mut self,
        month: Month,
        sums: &[u8],
        counts: impl FnOnce() -> Option<&'a [u8]>,
        at: Timestamp,
    ) -> Option<bool> {
        let (busiest, sums) = Busiest::split(sums)?;
        let (largest, smallest) = Sums::visit(sums, |_, _| ())?;
        let bounds = Sums { largest, smallest, ..Sums::default() };
        if self.unsure(&bounds) {
            return Some(false);
        }
        self.add_sums(&bounds, at);
        Sums::visit(sums, |dims, cell| self.add_cell(&dims, cell))?;
        let day = |place: u8| Day(month.first_day().0 + i32::from(place));
        if self.zone.is_utc() {
            // A UTC day lies in one month, so the busiest of each month are the candidates.
            if busiest.count > 0 {
                let date = self.zone.date(day(busiest.place).start());
                *self.days.entry(date).or_default() += busiest.count;
            }
            return Some(true);
        }
        visit_days(counts()?, |counts| self.count_slots(day(counts.place), counts.slots()))?;
        Some(true)
    }

    /// Says how many items count in the slots of a UTC day.
    fn count_slots(&mut self, day: Day, slots: impl Iterator<Item = (u8, u64)>) {
        let local = self.zone.month(day.month());
        local.count(day, slots, |date, count| {
            if count > 0 {
                *self.days.entry(date).or_default() += count;
            }
        });
    }

    /// The answer; `None` when there is no item at all.
    #[must_use]
    pub fn finish(self) -> Option<Statistics> {
        let cells = self.cells();
        if cells.is_empty() {
            return None;
        }
        let currency = self.currency;
        let text = |total: Total| total.to_text(currency);
        let sum = |keep: &dyn Fn(&Dims) -> bool| {
            let mut sum = Cell::default();
            for (_, cell) in cells.iter().filter(|(dims, _)| keep(dims)) {
                sum.add(*cell);
            }
            sum
        };
        let counts = |dims: &Dims| dims.status.counts();
        let all = sum(&counts);
        let credit = sum(&|dims| counts(dims) && dims.side == Side::Credit).total;
        let debit = sum(&|dims| counts(dims) && dims.side == Side::Debit).total;
        let part = |cell: Cell| Part { transaction_count: cell.count, total: text(cell.total) };
        let mut by_type = BTreeMap::new();
        let mut by_status = BTreeMap::new();
        for (dims, _) in &cells {
            let (kind, status) = (dims.transaction_type, dims.status);
            if dims.status.counts() {
                by_type
                    .entry(kind.name())
                    .or_insert_with(|| part(sum(&|d| counts(d) && d.transaction_type == kind)));
            }
            by_status.entry(status.name()).or_insert_with(|| part(sum(&|d| d.status == status)));
        }
        // The first of the days with the highest count: a tie goes to the earlier day.
        let busiest = self.days.iter().rev().max_by_key(|(_, count)| **count);
        Some(Statistics {
            currency: currency.code().to_owned(),
            transaction_count: all.count,
            total_transaction_value: text(all.total),
            average_transaction_value: text(all.total.average(all.count, currency)),
            credit_total: text(credit),
            debit_total: text(debit),
            net: text(credit - debit),
            largest: self.largest.map(|amount| amount.to_text(currency)),
            smallest: self.smallest.map(|amount| amount.to_text(currency)),
            highest_transaction_day: busiest
                .map(|(date, count)| BusiestDay { date: date.to_string(), count: *count }),
            by_type,
            by_status,
            last_updated: self.updated_at,
        })
    }
}

/// The statistics of one user in one currency. Failed and cancelled items are in `by_status` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statistics {
    pub currency: String,
    pub transaction_count: u64,
    pub total_transaction_value: String,
    /// Rounded half to even at the currency's last digit.
    pub average_transaction_value: String,
    pub credit_total: String,
    pub debit_total: String,
    /// Credit less debit.
    pub net: String,
    pub largest: Option<String>,
    pub smallest: Option<String>,
    pub highest_transaction_day: Option<BusiestDay>,
    pub by_type: BTreeMap<&'static str, Part>,
    pub by_status: BTreeMap<&'static str, Part>,
    pub last_updated: Timestamp,
}

/// The day with the most items that count, in the zone asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BusiestDay {
    pub date: String,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub transaction_count: u64,
    pub total: String,
}
