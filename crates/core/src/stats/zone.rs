//! The days of a time zone as they lie in UTC days and in slots.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{SLOT_US, slot_start};
use crate::time::{Day, Month, Timestamp, date_in, day_start};

/// A time zone whose days are looked up once for all currencies.
#[derive(Debug)]
pub struct Zone {
    tz: TimeZone,
    months: RefCell<HashMap<Month, Arc<LocalDays>>>,
}

/// The local days that touch a UTC month.
#[derive(Debug)]
pub(super) struct LocalDays {
    /// The first moment of each in the month, in order.
    starts: Vec<(Timestamp, Date)>,
    /// Whether all of them begin where a slot does.
    pub(super) is_aligned: bool,
}

impl Zone {
    #[must_use]
    pub fn new(tz: TimeZone) -> Self {
        Self { tz, months: RefCell::new(HashMap::new()) }
    }

    pub(super) fn is_utc(&self) -> bool {
        self.tz == TimeZone::UTC
    }

    /// The local day of a moment.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        if self.is_utc() { date_in(at, &self.tz) } else { self.month(at.day().month()).date(at) }
    }

    pub(super) fn month(&self, month: Month) -> Arc<LocalDays> {
        let mut months = self.months.borrow_mut();
        Arc::clone(months.entry(month).or_insert_with(|| Arc::new(LocalDays::of(month, &self.tz))))
    }
}

impl LocalDays {
    fn of(month: Month, tz: &TimeZone) -> Self {
        let (first, after) = super::month::days(month);
        let mut date = date_in(first.start(), tz);
        let mut starts = vec![(first.start(), date)];
        let mut is_aligned = true;
        while let Ok(next) = date.tomorrow() {
            date = next;
            let at = day_start(date, tz);
            if at >= after.start() {
                break;
            }
            is_aligned &= is_slot_start(at);
            // A day that the zone leaves out is empty: it begins where the next one does.
            starts.pop_if(|(last, _)| *last == at);
            starts.push((at, date));
        }
        Self { starts, is_aligned }
    }

    /// The local day of a moment in the month.
    pub(super) fn date(&self, at: Timestamp) -> Date {
        let behind = self.starts.partition_point(|(start, _)| *start <= at);
        let found = self.starts.get(behind.saturating_sub(1));
        found.map_or(Date::MAX, |(_, date)| *date)
    }

    /// The local days that touch a UTC day, the first one from its beginning or earlier on.
    pub(super) fn of_day(&self, day: Day) -> &[(Timestamp, Date)] {
        let first = self.starts.partition_point(|(start, _)| *start <= day.start());
        let behind = self.starts.partition_point(|(start, _)| *start < day.end());
        self.starts.get(first.saturating_sub(1)..behind).unwrap_or(&[])
    }

    /// Gives each slot of a UTC day to its local day. The slots come in order; one that a boundary
    /// cuts is not among them.
    pub(super) fn count(
        &self,
        day: Day,
        slots: impl Iterator<Item = (u8, u64)>,
        mut add: impl FnMut(Date, u64),
    ) {
        let mut days = self.of_day(day);
        let mut sum = 0;
        for (slot, count) in slots {
            let at = slot_start(day, slot);
            while let [(_, date), rest @ ..] = days
                && rest.first().is_some_and(|(start, _)| *start <= at)
            {
                add(*date, std::mem::take(&mut sum));
                days = rest;
            }
            sum += count;
        }
        if let Some((_, date)) = days.first() {
            add(*date, sum);
        }
    }
}

/// Whether no slot is cut by a boundary at this moment.
pub(super) fn is_slot_start(at: Timestamp) -> bool {
    at.micros().rem_euclid(SLOT_US) == 0
}
