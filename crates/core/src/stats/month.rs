//! A month of one user in one currency: what its days add up to, and when its items were.

use std::collections::BTreeMap;

use super::bucket::{Sums, put_number, take_byte, take_number};
use super::{Delta, SLOTS_PER_DAY};
use crate::time::{Day, Month, Timestamp};

/// How many items count in each slot of each day of a month, by the day's place in it from 0 on.
pub type Counts = BTreeMap<u8, Vec<(u8, u64)>>;

/// The statistics of a whole month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthSums {
    pub sums: Sums,
    pub counts: Counts,
    pub updated_at: Timestamp,
}

impl MonthSums {
    /// Follows the deltas of one day of the month.
    pub fn apply(&mut self, day: Day, deltas: &[Delta]) {
        let place = u8::try_from(day.0 - day.month().first_day().0).unwrap_or(0);
        for delta in deltas {
            self.sums.apply(delta);
            self.updated_at = self.updated_at.max(delta.at);
            if !delta.dims.status.counts() {
                continue;
            }
            let slots = self.counts.entry(place).or_default();
            let at = match slots.binary_search_by_key(&delta.slot, |(slot, _)| *slot) {
                Ok(at) => at,
                Err(at) => {
                    slots.insert(at, (delta.slot, 0));
                    at
                }
            };
            if let Some((_, count)) = slots.get_mut(at) {
                *count = if delta.enters { *count + 1 } else { count.saturating_sub(1) };
            }
            slots.retain(|(_, count)| *count > 0);
            if slots.is_empty() {
                self.counts.remove(&place);
            }
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.cells.is_empty()
    }

    /// The bytes for [`decode_month_counts`]: for each day its place, its total, and its slots,
    /// as pairs while they are few and as a row of 96 numbers when they are many.
    #[must_use]
    pub fn encode_counts(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.counts.len() * 6);
        for (place, slots) in &self.counts {
            out.push(*place);
            put_number(&mut out, slots.iter().map(|(_, count)| u128::from(*count)).sum());
            let row = (slots.len() > PAIRS_MAX).then(|| row(slots)).flatten();
            put_number(&mut out, if row.is_some() { 0 } else { slots.len() as u128 });
            match row {
                Some(row) => out.extend(row.iter().flat_map(|count| count.to_le_bytes())),
                None => {
                    for (slot, count) in slots {
                        out.push(*slot);
                        put_number(&mut out, (*count).into());
                    }
                }
            }
        }
        out
    }
}

/// The most slots of a day that are written as pairs.
const PAIRS_MAX: usize = 32;
const ROW: usize = SLOTS_PER_DAY as usize;

/// A day as one number per slot; `None` when a number is too large for that.
fn row(slots: &[(u8, u64)]) -> Option<[u16; ROW]> {
    let mut row = [0; ROW];
    for (slot, count) in slots {
        *row.get_mut(usize::from(*slot))? = u16::try_from(*count).ok()?;
    }
    Some(row)
}

/// How many items of a day count, in all and by slot.
#[derive(Clone, Copy, Debug)]
pub struct DayCounts<'a> {
    pub total: u64,
    slots: Slots<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Slots<'a> {
    Pairs(&'a [u8]),
    Row(&'a [u8]),
}

impl DayCounts<'_> {
    /// How many items count in the slots before this one.
    #[must_use]
    pub fn before(&self, slot: u8) -> u64 {
        match self.slots {
            Slots::Pairs(_) => {
                let pairs = self.pairs();
                pairs.iter().filter(|(at, _)| *at < slot).map(|(_, count)| count).sum()
            }
            Slots::Row(row) => {
                let (counts, _) = row.as_chunks::<2>();
                let counts = counts.iter().take(slot.into());
                counts.map(|count| u64::from(u16::from_le_bytes(*count))).sum()
            }
        }
    }

    /// The slots that have items.
    #[must_use]
    pub fn pairs(&self) -> Vec<(u8, u64)> {
        let mut pairs = Vec::new();
        match self.slots {
            Slots::Pairs(mut bytes) => {
                while let (Some(slot), Some(count)) =
                    (take_byte(&mut bytes), take_number(&mut bytes))
                {
                    pairs.push((slot, u64::try_from(count).unwrap_or(u64::MAX)));
                }
            }
            Slots::Row(row) => {
                let (counts, _) = row.as_chunks::<2>();
                let counts = counts.iter().map(|count| u64::from(u16::from_le_bytes(*count)));
                pairs.extend((0_u8..).zip(counts).filter(|(_, count)| *count > 0));
            }
        }
        pairs
    }
}

/// Reads what [`MonthSums::encode_counts`] wrote, a day at a time with its place in the month.
/// `None` when the bytes are damaged.
pub fn decode_month_counts(
    mut bytes: &[u8],
    mut visit: impl FnMut(u8, DayCounts<'_>),
) -> Option<()> {
    while let Some((place, rest)) = bytes.split_first() {
        bytes = rest;
        let total = u64::try_from(take_number(&mut bytes)?).ok()?;
        let pairs = take_number(&mut bytes)?;
        let slots = if pairs == 0 {
            let (row, rest) = bytes.split_at_checked(ROW * 2)?;
            bytes = rest;
            Slots::Row(row)
        } else {
            let all = bytes;
            for _ in 0..pairs {
                take_byte(&mut bytes)?;
                take_number(&mut bytes)?;
            }
            Slots::Pairs(all.get(..all.len() - bytes.len())?)
        };
        visit(*place, DayCounts { total, slots });
    }
    Some(())
}

/// All of a month as it is kept.
#[must_use]
pub fn decode_month(sums: &[u8], counts: &[u8], updated_at: Timestamp) -> Option<MonthSums> {
    let mut month = MonthSums { sums: Sums::decode(sums)?, updated_at, ..MonthSums::default() };
    decode_month_counts(counts, |place, slots| {
        month.counts.insert(place, slots.pairs());
    })?;
    Some(month)
}

/// The first day of a month and of the one after it.
#[must_use]
pub fn days(month: Month) -> (Day, Day) {
    (month.first_day(), Month(month.0 + 1).first_day())
}
