//! Statistics that stay exact and cost the same at any size.
//!
//! Every item is counted in one bucket per user, currency and UTC day, and inside it in one of 96
//! slots of a quarter of an hour, because every time zone in use since 1979 is a whole number of
//! quarters away from UTC. Days are added up to months. A question is answered from whole months,
//! then whole days, then whole slots, and only where a boundary cuts a slot from the items
//! themselves. The days of a time zone are those of [`crate::time::date_in`].

mod bucket;
mod month;
mod series;
mod tally;
mod zone;

pub use bucket::{Bucket, Cell, Dims, Extreme, Sums, decode_counts};
pub use month::{Busiest, DayCounts, MonthSums, decode_month};
pub use series::{Group, GroupBy, Interval, Point, Series, SeriesTally};
pub use tally::{DayPlan, Item, Span, Statistics, Tally, plan_day, takes_whole_month};
pub use zone::Zone;

use crate::id::UserId;
use crate::money::{Amount, Currency};
use crate::time::{Day, Timestamp, US_PER_DAY};
use crate::transaction::Transaction;

pub const SLOTS_PER_DAY: i64 = 96;
pub const SLOT_US: i64 = US_PER_DAY / SLOTS_PER_DAY;

/// Which bucket an item is counted in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey {
    pub user_id: UserId,
    pub currency: Currency,
    pub day: Day,
}

/// One item that comes into a bucket or leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    pub slot: u8,
    pub dims: Dims,
    pub amount: Amount,
    pub enters: bool,
    /// When the books changed.
    pub at: Timestamp,
}

/// The slot of its UTC day that contains a moment.
#[must_use]
pub fn slot_of(at: Timestamp) -> u8 {
    u8::try_from(at.micros().rem_euclid(US_PER_DAY) / SLOT_US).unwrap_or(0)
}

/// The first moment of a slot.
#[must_use]
pub fn slot_start(day: Day, slot: u8) -> Timestamp {
    Timestamp::from_micros(day.start().micros() + i64::from(slot) * SLOT_US)
}

/// Where an item is counted, and as what.
#[must_use]
pub fn count(item: &Transaction, enters: bool, at: Timestamp) -> (BucketKey, Delta) {
    let key = BucketKey {
        user_id: item.user_id.clone(),
        currency: item.currency,
        day: item.created_at.day(),
    };
    let dims = Dims::of(item);
    (key, Delta { slot: slot_of(item.created_at), dims, amount: item.amount, enters, at })
}
