//! How the changes of items come into the rows of statistics, whichever store keeps them.

use std::collections::BTreeMap;

use daybook_core::stats::{Bucket, BucketKey, Delta, decode_month};
use daybook_core::{Timestamp, UserId};

use crate::codec::Place;
use crate::{Error, Result};

/// A row of statistics as it stands.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub updated_at: Timestamp,
    pub sums: &'a [u8],
    pub counts: &'a [u8],
    /// Only a day has them.
    pub slots: Option<&'a [u8]>,
}

/// A row of statistics as it is to be.
#[derive(Debug)]
pub struct Kept {
    pub updated_at: Timestamp,
    pub sums: Vec<u8>,
    pub counts: Vec<u8>,
    pub slots: Option<Vec<u8>>,
}

/// A row of statistics that changes: a day, or a month with all of its days that do.
pub struct Part<'a> {
    pub place: Place,
    days: &'a [(&'a BucketKey, &'a Vec<Delta>)],
    first: &'a BucketKey,
}

/// The changes in the order of their keys, so that the days of a month lie together.
pub fn sorted(statistics: &BTreeMap<BucketKey, Vec<Delta>>) -> Vec<(&BucketKey, &Vec<Delta>)> {
    statistics.iter().collect()
}

/// The rows that changes touch: all days, then all months.
pub fn parts<'a>(all: &'a [(&'a BucketKey, &'a Vec<Delta>)]) -> Vec<Part<'a>> {
    let same = |a: &BucketKey, b: &BucketKey| {
        a.user_id == b.user_id && a.currency == b.currency && a.day.month() == b.day.month()
    };
    let part = |days: &'a [(&'a BucketKey, &'a Vec<Delta>)], place: fn(&BucketKey) -> Place| {
        days.first().map(|(first, _)| Part { place: place(first), days, first })
    };
    let days = all.chunks(1).filter_map(|day| part(day, Place::of_day));
    let month = |key: &BucketKey| Place::of_month(key.currency, key.day.month());
    let months = all.chunk_by(|(a, _), (b, _)| same(a, b)).filter_map(|days| part(days, month));
    days.chain(months).collect()
}

impl Part<'_> {
    pub fn user(&self) -> &UserId {
        &self.first.user_id
    }

    /// The row after the changes. A row that has no items any more stays, because it says when the
    /// last one left.
    ///
    /// # Errors
    /// When the row as it stands cannot be read.
    pub fn fold(&self, found: Option<Found<'_>>) -> Result<Kept> {
        if self.place.day == 0 { self.month(found) } else { self.day(found) }
    }

    fn day(&self, found: Option<Found<'_>>) -> Result<Kept> {
        let read = |row: Found<'_>| {
            let slots = row.slots.and_then(Bucket::decode_slots);
            let bucket = slots.map(|slots| Bucket { slots, updated_at: row.updated_at });
            bucket.ok_or_else(|| self.unreadable())
        };
        let mut bucket = found.map(read).transpose()?.unwrap_or_default();
        for (_, deltas) in self.days {
            bucket.apply(deltas);
        }
        Ok(Kept {
            updated_at: bucket.updated_at,
            sums: bucket.summary().encode(),
            counts: bucket.encode_counts(),
            slots: Some(bucket.encode_slots()),
        })
    }

    fn month(&self, found: Option<Found<'_>>) -> Result<Kept> {
        let read = |row: Found<'_>| {
            let month = decode_month(row.sums, row.counts, row.updated_at);
            month.ok_or_else(|| self.unreadable())
        };
        let mut month = found.map(read).transpose()?.unwrap_or_default();
        for (key, deltas) in self.days {
            month.apply(key.day, deltas);
        }
        Ok(Kept {
            updated_at: month.updated_at,
            sums: month.encode_sums(),
            counts: month.encode_counts(),
            slots: None,
        })
    }

    fn unreadable(&self) -> Error {
        let (user, day) = (&self.first.user_id, self.first.day.start());
        Error::Corrupt { what: format!("the statistics of {user} on {day} are unreadable") }
    }
}
