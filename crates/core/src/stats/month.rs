//! A month of one user in one currency: what its days add up to, and when its items were.

use std::collections::BTreeMap;

use super::Delta;
use super::bucket::{Sums, put_number, take_byte, take_number};
use crate::time::{Day, Month, Timestamp};

/// The statistics of a whole month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthSums {
    pub sums: Sums,
    /// How many items count in each slot of each day, by the day's place in the month from 0 on.
    pub days: BTreeMap<u8, Vec<(u8, u64)>>,
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
            let slots = self.days.entry(place).or_default();
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
                self.days.remove(&place);
            }
        }
    }

    /// The bytes for [`Busiest::split`]: the busiest UTC day, then the sums. A question in UTC
    /// needs no more.
    #[must_use]
    pub fn encode_sums(&self) -> Vec<u8> {
        let total = |slots: &[(u8, u64)]| slots.iter().map(|(_, count)| *count).sum::<u64>();
        // Of two equally busy days the earlier one counts.
        let busiest = self.days.iter().rev().max_by_key(|(_, slots)| total(slots));
        let mut out = vec![busiest.map_or(0, |(place, _)| *place)];
        put_number(&mut out, busiest.map_or(0, |(_, slots)| total(slots)).into());
        out.extend(self.sums.encode());
        out
    }

    /// When the items were, a day at a time: its place, the width of its counts, its slots.
    #[must_use]
    pub fn encode_counts(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.days.len() * 8);
        for (place, slots) in &self.days {
            let wide = slots.iter().any(|(_, count)| *count > u64::from(u16::MAX));
            let form = if wide { Form::Wide } else { Form::Narrow };
            out.push(*place);
            out.push(form as u8);
            out.push(u8::try_from(slots.len()).unwrap_or(u8::MAX));
            for (slot, count) in slots {
                out.push(*slot);
                let bytes = count.to_le_bytes();
                out.extend_from_slice(bytes.get(..form.bytes()).unwrap_or(&bytes));
            }
        }
        out
    }
}

/// The UTC day of a month in which the most items count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busiest {
    /// The day's place in the month, from 0 on.
    pub place: u8,
    pub count: u64,
}

impl Busiest {
    /// Splits what [`MonthSums::encode_sums`] wrote into the busiest day and the bytes of the sums.
    #[must_use]
    pub fn split(mut bytes: &[u8]) -> Option<(Self, &[u8])> {
        let place = take_byte(&mut bytes)?;
        let count = u64::try_from(take_number(&mut bytes)?).ok()?;
        Some((Self { place, count }, bytes))
    }
}

/// How many bytes a count takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Narrow = 2,
    Wide = 8,
}

impl Form {
    const fn bytes(self) -> usize {
        self as usize
    }
}

/// When the items of one UTC day were.
#[derive(Clone, Copy, Debug)]
pub struct DayCounts<'a> {
    /// The day's place in the month, from 0 on.
    pub place: u8,
    form: Form,
    slots: &'a [u8],
}

/// Visits the days of what [`MonthSums::encode_counts`] wrote; `None` when it is damaged.
pub fn visit_days(mut bytes: &[u8], mut visit: impl FnMut(DayCounts<'_>)) -> Option<()> {
    while let Some(place) = take_byte(&mut bytes) {
        let form = match take_byte(&mut bytes)? {
            2 => Form::Narrow,
            8 => Form::Wide,
            _ => return None,
        };
        let length = usize::from(take_byte(&mut bytes)?) * (1 + form.bytes());
        let (slots, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        visit(DayCounts { place, form, slots });
    }
    Some(())
}

impl DayCounts<'_> {
    /// The slots that have items, and how many.
    pub fn slots(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let each = self.slots.chunks_exact(1 + self.form.bytes());
        each.filter_map(|chunk| {
            let (slot, bytes) = chunk.split_first()?;
            let mut count = [0; 8];
            count.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some((*slot, u64::from_le_bytes(count)))
        })
    }
}

/// All of a month as it is kept.
#[must_use]
pub fn decode_month(sums: &[u8], counts: &[u8], updated_at: Timestamp) -> Option<MonthSums> {
    let (_, sums) = Busiest::split(sums)?;
    let mut month = MonthSums { sums: Sums::decode(sums)?, updated_at, ..MonthSums::default() };
    visit_days(counts, |day| {
        month.days.insert(day.place, day.slots().collect());
    })?;
    Some(month)
}

/// The first day of a month and of the one after it.
#[must_use]
pub fn days(month: Month) -> (Day, Day) {
    (month.first_day(), Month(month.0 + 1).first_day())
}
