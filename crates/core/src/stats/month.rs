//! A month of one user in one currency: what its days add up to, and when its items were.

use std::collections::BTreeMap;

use super::Delta;
use super::bucket::{Sums, put_number, take_byte, take_number};
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

    /// The bytes for [`decode_month_counts`].
    #[must_use]
    pub fn encode_counts(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.counts.len() * 6);
        for (place, slots) in &self.counts {
            out.push(*place);
            put_number(&mut out, slots.len() as u128);
            for (slot, count) in slots {
                out.push(*slot);
                put_number(&mut out, (*count).into());
            }
        }
        out
    }
}

/// Reads what [`MonthSums::encode_counts`] wrote, a day at a time: its place in the month and its
/// slots. `None` when the bytes are damaged.
pub fn decode_month_counts(
    mut bytes: &[u8],
    mut visit: impl FnMut(u8, &[(u8, u64)]),
) -> Option<()> {
    let mut slots = Vec::with_capacity(96);
    while let Some((place, rest)) = bytes.split_first() {
        bytes = rest;
        slots.clear();
        for _ in 0..take_number(&mut bytes)? {
            let slot = take_byte(&mut bytes)?;
            slots.push((slot, u64::try_from(take_number(&mut bytes)?).ok()?));
        }
        visit(*place, &slots);
    }
    Some(())
}

/// All of a month as it is kept.
#[must_use]
pub fn decode_month(sums: &[u8], counts: &[u8], updated_at: Timestamp) -> Option<MonthSums> {
    let mut month = MonthSums { sums: Sums::decode(sums)?, updated_at, ..MonthSums::default() };
    decode_month_counts(counts, |place, slots| {
        month.counts.insert(place, slots.to_vec());
    })?;
    Some(month)
}

/// The first day of a month and of the one after it.
#[must_use]
pub fn days(month: Month) -> (Day, Day) {
    (month.first_day(), Month(month.0 + 1).first_day())
}
