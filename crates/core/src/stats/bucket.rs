//! One day of one user in one currency: counted, summed and encoded.

use std::collections::BTreeMap;

use super::Delta;
use crate::money::{Amount, Total};
use crate::time::Timestamp;
use crate::transaction::{Side, Status, Transaction, TransactionType};

/// What items are told apart by inside a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dims {
    pub transaction_type: TransactionType,
    pub status: Status,
    pub side: Side,
    /// `None` is the type's own product.
    pub product: Option<String>,
}

impl Dims {
    #[must_use]
    pub fn of(item: &Transaction) -> Self {
        let own = item.kind().product() == item.product;
        Self {
            transaction_type: item.transaction_type,
            status: item.status,
            side: item.side,
            product: (!own).then(|| item.product.clone()),
        }
    }

    #[must_use]
    pub fn product(&self) -> &str {
        let own = || crate::kind::of(self.transaction_type).product();
        self.product.as_deref().unwrap_or_else(own)
    }
}

/// How many items, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub count: u64,
    pub total: Total,
}

impl Cell {
    pub fn add(&mut self, other: Cell) {
        self.count += other.count;
        self.total += other.total;
    }

    fn apply(&mut self, amount: Amount, enters: bool) {
        if enters {
            self.count += 1;
            self.total += amount.into();
        } else {
            self.count = self.count.saturating_sub(1);
            self.total = self.total - amount.into();
        }
    }
}

/// The largest or smallest amount, or, after the item that had it left, a bound for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extreme {
    pub amount: Amount,
    pub exact: bool,
}

/// What is counted in a stretch of time: a slot, a day or a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub cells: BTreeMap<Dims, Cell>,
    pub largest: Option<Extreme>,
    pub smallest: Option<Extreme>,
}

impl Sums {
    pub(super) fn apply(&mut self, delta: &Delta) {
        let cell = self.cells.entry(delta.dims.clone()).or_default();
        cell.apply(delta.amount, delta.enters);
        if cell.count == 0 {
            self.cells.remove(&delta.dims);
        }
        if !delta.dims.status.counts() {
            return;
        }
        if self.counted() == 0 {
            (self.largest, self.smallest) = (None, None);
            return;
        }
        let amount = delta.amount;
        let moved = |old: Option<Extreme>, beyond: fn(&Amount, &Amount) -> bool| match old {
            None => Some(Extreme { amount, exact: delta.enters }),
            Some(old) if delta.enters && (amount == old.amount || beyond(&amount, &old.amount)) => {
                Some(Extreme { amount, exact: true })
            }
            Some(old) if !delta.enters && amount == old.amount => {
                Some(Extreme { amount, exact: false })
            }
            Some(old) => Some(old),
        };
        self.largest = moved(self.largest, Amount::gt);
        self.smallest = moved(self.smallest, Amount::lt);
    }

    /// How many items count in totals.
    #[must_use]
    pub fn counted(&self) -> u64 {
        let counted = self.cells.iter().filter(|(dims, _)| dims.status.counts());
        counted.map(|(_, cell)| cell.count).sum()
    }

    /// How many items there are, whatever their status.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.cells.values().map(|cell| cell.count).sum()
    }

    /// The bytes for [`Sums::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        put_sums(&mut out, self);
        out
    }

    /// Visits the cells of what [`Sums::encode`] wrote, and returns the largest and the smallest
    /// amount; `None` when it is damaged.
    pub fn visit(
        mut bytes: &[u8],
        visit: impl FnMut(Dims, Cell),
    ) -> Option<(Option<Extreme>, Option<Extreme>)> {
        let extremes = visit_sums(&mut bytes, visit)?;
        bytes.is_empty().then_some(extremes)
    }

    /// Reads what [`Sums::encode`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let sums = take_sums(&mut bytes)?;
        bytes.is_empty().then_some(sums)
    }
}

/// The further of two extremes; of two equal ones, the exact one.
fn further(
    a: Option<Extreme>,
    b: Option<Extreme>,
    beyond: fn(&Amount, &Amount) -> bool,
) -> Option<Extreme> {
    match (a, b) {
        (Some(a), Some(b)) if a.amount == b.amount => {
            Some(Extreme { amount: a.amount, exact: a.exact || b.exact })
        }
        (Some(a), Some(b)) => Some(if beyond(&a.amount, &b.amount) { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// A day as it is kept: three encodings of growing detail, so that a reader takes what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub slots: BTreeMap<u8, Sums>,
    pub updated_at: Timestamp,
}

impl Bucket {
    pub fn apply(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            let slot = self.slots.entry(delta.slot).or_default();
            slot.apply(delta);
            if slot.cells.is_empty() {
                self.slots.remove(&delta.slot);
            }
            self.updated_at = self.updated_at.max(delta.at);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[must_use]
    pub fn summary(&self) -> Sums {
        let mut sum = Sums::default();
        for slot in self.slots.values() {
            for (dims, cell) in &slot.cells {
                sum.cells.entry(dims.clone()).or_default().add(*cell);
            }
            sum.largest = further(sum.largest, slot.largest, Amount::gt);
            sum.smallest = further(sum.smallest, slot.smallest, Amount::lt);
        }
        sum
    }

    /// The slots in full, for [`Bucket::decode_slots`].
    #[must_use]
    pub fn encode_slots(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for (slot, content) in &self.slots {
            out.push(*slot);
            put_sums(&mut out, content);
        }
        out
    }

    /// How many items count in each slot, for [`decode_counts`].
    #[must_use]
    pub fn encode_counts(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8);
        for (slot, content) in &self.slots {
            out.push(*slot);
            put_number(&mut out, content.counted().into());
        }
        out
    }

    /// Reads what [`Bucket::encode_slots`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn decode_slots(mut bytes: &[u8]) -> Option<BTreeMap<u8, Sums>> {
        let mut slots = BTreeMap::new();
        while let Some((slot, rest)) = bytes.split_first() {
            bytes = rest;
            slots.insert(*slot, take_sums(&mut bytes)?);
        }
        Some(slots)
    }
}

/// Reads what [`Bucket::encode_counts`] wrote; `None` when it is damaged.
#[must_use]
pub fn decode_counts(mut bytes: &[u8]) -> Option<Vec<(u8, u64)>> {
    let mut counts = Vec::with_capacity(bytes.len() / 2);
    while let Some((slot, rest)) = bytes.split_first() {
        bytes = rest;
        counts.push((*slot, u64::try_from(take_number(&mut bytes)?).ok()?));
    }
    Some(counts)
}

const PRODUCT_FLAG: u8 = 0x80;

fn put_sums(out: &mut Vec<u8>, sums: &Sums) {
    put_number(out, sums.cells.len() as u128);
    for (dims, cell) in &sums.cells {
        let place = |found: Option<usize>| u8::try_from(found.unwrap_or(0)).unwrap_or(0);
        let kind = place(TransactionType::ALL.iter().position(|t| *t == dims.transaction_type));
        let status = place(Status::ALL.iter().position(|s| *s == dims.status));
        let side = place(Side::ALL.iter().position(|s| *s == dims.side));
        let flag = if dims.product.is_some() { PRODUCT_FLAG } else { 0 };
        out.push(kind | status << 4 | side << 6 | flag);
        if let Some(product) = &dims.product {
            put_number(out, product.len() as u128);
            out.extend_from_slice(product.as_bytes());
        }
        put_number(out, cell.count.into());
        put_total(out, cell.total);
    }
    for extreme in [sums.largest, sums.smallest] {
        match extreme {
            None => out.push(0),
            Some(Extreme { amount, exact }) => {
                out.push(if exact { 2 } else { 1 });
                put_total(out, amount.into());
            }
        }
    }
}

fn take_sums(bytes: &mut &[u8]) -> Option<Sums> {
    let mut cells = BTreeMap::new();
    let (largest, smallest) = visit_sums(bytes, |dims, cell| {
        cells.insert(dims, cell);
    })?;
    Some(Sums { cells, largest, smallest })
}

type Extremes = (Option<Extreme>, Option<Extreme>);

fn visit_sums(bytes: &mut &[u8], mut visit: impl FnMut(Dims, Cell)) -> Option<Extremes> {
    for _ in 0..take_number(bytes)? {
        let tag = take_byte(bytes)?;
        let product = if tag & PRODUCT_FLAG == 0 {
            None
        } else {
            let length = usize::try_from(take_number(bytes)?).ok()?;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(String::from_utf8(text.to_vec()).ok()?)
        };
        let dims = Dims {
            transaction_type: *TransactionType::ALL.get(usize::from(tag & 0x0f))?,
            status: *Status::ALL.get(usize::from(tag >> 4 & 0x03))?,
            side: *Side::ALL.get(usize::from(tag >> 6 & 0x01))?,
            product,
        };
        let count = u64::try_from(take_number(bytes)?).ok()?;
        visit(dims, Cell { count, total: take_total(bytes)? });
    }
    Some((take_extreme(bytes)?, take_extreme(bytes)?))
}

fn take_extreme(bytes: &mut &[u8]) -> Option<Option<Extreme>> {
    Some(match take_byte(bytes)? {
        0 => None,
        flag => {
            let amount = Amount::try_from(take_total(bytes)?).ok()?;
            Some(Extreme { amount, exact: flag == 2 })
        }
    })
}

/// A total as its decimal exponent and the remaining digits, so that whole cents take few bytes;
/// totals past 128 bits are written whole.
fn put_total(out: &mut Vec<u8>, total: Total) {
    match total.mantissa() {
        Some((mantissa, exponent)) => {
            out.push(exponent);
            put_number(out, mantissa);
        }
        None => {
            out.push(u8::MAX);
            out.extend_from_slice(&total.to_bytes());
        }
    }
}

fn take_total(bytes: &mut &[u8]) -> Option<Total> {
    match take_byte(bytes)? {
        u8::MAX => {
            let (whole, rest) = bytes.split_first_chunk::<32>()?;
            *bytes = rest;
            Some(Total::from_bytes(*whole))
        }
        exponent => Total::from_mantissa(take_number(bytes)?, exponent),
    }
}

pub(super) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
}

/// LEB128: seven bits a byte, least significant first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for shift in (0..128).step_by(7) {
        let byte = take_byte(bytes)?;
        number |= u128::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
