//! The statistics of a user, counted anew from the user's items.

use std::collections::BTreeMap;

use daybook_core::stats::{self, Bucket, BucketKey, Extreme, MonthSums, Sums, decode_month};
use daybook_core::time::{Day, Month};
use daybook_core::{Currency, Transaction, UserId};

use super::Findings;
use super::past::{Claims, Fact, Stretch};
use crate::Result;
use crate::codec::{self, Columns};

/// The columns of statistics that [`Recount::row`] reads, in every store.
pub const STATISTICS: &str = "currency, digits, month, day, sums, counts, slots, updated_at";

/// What the items of a user add up to. An item counts from its latest change on, so a row of
/// statistics changed no earlier than that.
pub struct Recount<'a> {
    user: &'a UserId,
    buckets: BTreeMap<BucketKey, Bucket>,
    months: BTreeMap<(Currency, Month), MonthSums>,
    /// Rows of statistics of single days.
    pub rows: u64,
}

impl<'a> Recount<'a> {
    pub fn new(user: &'a UserId) -> Self {
        Self { user, buckets: BTreeMap::new(), months: BTreeMap::new(), rows: 0 }
    }

    pub fn item(&mut self, item: &Transaction) {
        let at = item.updated_at.unwrap_or(item.recorded_at);
        let (key, delta) = stats::count(item, true, at);
        let month = self.months.entry((key.currency, key.day.month())).or_default();
        month.apply(key.day, std::slice::from_ref(&delta));
        self.buckets.entry(key).or_default().apply(&[delta]);
    }

    /// Compares a row of [`STATISTICS`]. What only the log can tell of it is claimed.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn row(
        &mut self,
        findings: &mut Findings,
        claims: &mut Claims,
        row: &impl Columns,
    ) -> Result<()> {
        let currency = codec::currency(row, 0)?;
        let month = codec::month(row, 2)?;
        if row.number(3, "day")? == 0 {
            return self.month(findings, claims, (currency, month), row);
        }
        self.rows += 1;
        let day = codec::day(row, 2)?;
        if day.month() != month {
            let (user, first) = (self.user, month.first_day().start());
            let what = format!("{user}, {currency}, month of {first}: has a day of another month");
            findings.differs("statistics", what);
        }
        self.day(findings, claims, (currency, day), row)
    }

    fn day(
        &mut self,
        findings: &mut Findings,
        claims: &mut Claims,
        (currency, day): (Currency, Day),
        row: &impl Columns,
    ) -> Result<()> {
        let name = format!("{}, {currency}, {}", self.user, day.start());
        let key = BucketKey { user_id: self.user.clone(), currency, day };
        let counted = self.buckets.remove(&key);
        let (sums, counts) = (row.bytes(4, "sums")?, row.bytes(5, "counts")?);
        let slots = row.maybe_bytes(6, "slots")?.unwrap_or_default();
        let updated_at = row.time(7, "time")?;
        let Some(bucket) = Bucket::decode_slots(slots).map(|slots| Bucket { slots, updated_at })
        else {
            findings.differs("statistics", format!("{name}: unreadable"));
            return Ok(());
        };
        if bucket.summary().encode() != sums
            || bucket.encode_counts() != counts
            || bucket.encode_slots() != slots
        {
            findings.differs("statistics", format!("{name}: the sums of its slots differ"));
        }
        // An empty row has nothing but the time of its last change, which the log must know.
        if counted.is_none() && !bucket.is_empty() {
            findings.differs("statistics", format!("{name}: counted, but there are no items"));
            return Ok(());
        }
        let counted = counted.unwrap_or_default();
        if !same_counts(&bucket, &counted) {
            findings.differs("statistics", format!("{name}: the items add up to something else"));
        }
        if updated_at < counted.updated_at {
            findings.differs("statistics", format!("{name}: changed before its items did"));
        } else if updated_at > counted.updated_at {
            claims.add(currency, Stretch::Day(day), Fact::Changed(updated_at), &name);
        }
        for (slot, sums) in &bucket.slots {
            claim_bounds(claims, (currency, Stretch::Slot(day, *slot)), sums, &name);
        }
        Ok(())
    }

    fn month(
        &mut self,
        findings: &mut Findings,
        claims: &mut Claims,
        (currency, month): (Currency, Month),
        row: &impl Columns,
    ) -> Result<()> {
        let name = format!("{}, {currency}, month of {}", self.user, month.first_day().start());
        let counted = self.months.remove(&(currency, month)).unwrap_or_default();
        let (sums, counts) = (row.bytes(4, "sums")?, row.bytes(5, "counts")?);
        let updated_at = row.time(7, "time")?;
        let Some(kept) = decode_month(sums, counts, updated_at) else {
            findings.differs("statistics", format!("{name}: unreadable"));
            return Ok(());
        };
        if kept.days != counted.days
            || !same_sums(&kept.sums, &counted.sums)
            // The busiest day stands beside the sums, and a month has no slots.
            || kept.encode_sums() != sums
            || kept.encode_counts() != counts
            || row.maybe_bytes(6, "slots")?.is_some()
        {
            findings.differs("statistics", format!("{name}: adds up differently"));
        }
        if updated_at < counted.updated_at {
            findings.differs("statistics", format!("{name}: changed before its items did"));
        } else if updated_at > counted.updated_at {
            claims.add(currency, Stretch::Month(month), Fact::Changed(updated_at), &name);
        }
        claim_bounds(claims, (currency, Stretch::Month(month)), &kept.sums, &name);
        Ok(())
    }

    /// After all rows of the user: names days and months that have none.
    pub fn finish(self, findings: &mut Findings) {
        let user = self.user;
        for (currency, month) in self.months.into_keys() {
            let first = month.first_day().start();
            findings
                .differs("statistics", format!("{user}, {currency}, month of {first}: missing"));
        }
        for key in self.buckets.into_keys() {
            let day = key.day.start();
            findings.differs("statistics", format!("{user}, {}, {day}: not counted", key.currency));
        }
    }
}

/// A bound is the amount of an item that has left.
fn claim_bounds(
    claims: &mut Claims,
    (currency, stretch): (Currency, Stretch),
    sums: &Sums,
    name: &str,
) {
    for bound in [sums.largest, sums.smallest].into_iter().flatten().filter(|bound| !bound.exact) {
        claims.add(currency, stretch, Fact::Left(bound.amount), name);
    }
}

fn same_counts(kept: &Bucket, counted: &Bucket) -> bool {
    kept.slots.len() == counted.slots.len()
        && kept
            .slots
            .iter()
            .zip(&counted.slots)
            .all(|((a, kept), (b, counted))| a == b && same_sums(kept, counted))
}

/// The same items; a largest or smallest amount that is marked as a bound may lie further out.
fn same_sums(kept: &Sums, counted: &Sums) -> bool {
    let bound =
        |kept: Option<Extreme>, counted: Option<Extreme>, largest: bool| match (kept, counted) {
            (None, None) => true,
            (Some(kept), Some(counted)) if kept.exact => kept.amount == counted.amount,
            (Some(kept), Some(counted)) if largest => kept.amount >= counted.amount,
            (Some(kept), Some(counted)) => kept.amount <= counted.amount,
            (Some(_), None) | (None, Some(_)) => false,
        };
    kept.cells == counted.cells
        && bound(kept.largest, counted.largest, true)
        && bound(kept.smallest, counted.smallest, false)
}
