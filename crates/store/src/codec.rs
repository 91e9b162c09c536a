//! Domain values to columns and back; the only place that knows how a row is written.

use daybook_core::stats::{BucketKey, MonthSums, decode_month};
use daybook_core::time::{Day, Month};
use daybook_core::{
    Amount, Currency, Event, EventSeq, EventType, Json, Side, Status, Timestamp, Transaction,
    TransactionId, TransactionType, UserId,
};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::{Error, Result};

/// The columns of an item, in the order in which [`item`] reads and inserts bind them.
pub const ITEM: &str = "t.pos, t.id, t.type, t.product, t.status, t.side, t.currency, t.digits, \
    t.amount, t.metadata, t.source, t.external_id, t.version, t.created_at, t.recorded_at, \
    t.updated_at, t.seq";

/// The columns of an event, in the order in which [`event`] reads them.
pub const EVENT: &str =
    "e.seq, e.event_type, e.at, e.transaction_id, e.version, e.previous, e.body";

/// The low bits of a row number, which tell items of one second apart.
const POS_LOW_BITS: u32 = 29;
const POS_LOW_MASK: i64 = (1 << POS_LOW_BITS) - 1;

/// The row number of an item: the second in which it happened, then the event that put it there.
/// Two items of one second would have to be 2^29 events apart to collide.
pub fn pos(created_at: Timestamp, seq: EventSeq) -> i64 {
    (created_at.seconds() << POS_LOW_BITS) | (seq.0 & POS_LOW_MASK)
}

/// The second in which the item of a row number happened.
pub fn pos_second(pos: i64) -> i64 {
    pos >> POS_LOW_BITS
}

/// The first row number of the second of a moment.
pub fn pos_from(at: Timestamp) -> i64 {
    at.seconds() << POS_LOW_BITS
}

/// The last row number of the second of a moment.
pub fn pos_to(at: Timestamp) -> i64 {
    pos_from(at) | POS_LOW_MASK
}

/// The prefix that keeps the words of users apart in the index.
pub fn prefix(user: i64) -> String {
    let digits = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut left = user.unsigned_abs();
    let mut text = Vec::new();
    while left > 0 || text.is_empty() {
        text.push(digits.get((left % 36) as usize).copied().unwrap_or(b'0'));
        left /= 36;
    }
    text.reverse();
    text.into_iter().map(char::from).collect()
}

/// An amount as sixteen bytes that sort as it does.
pub fn amount_bytes(amount: Amount) -> [u8; 16] {
    amount.atto().to_be_bytes()
}

fn corrupt(what: &str) -> Error {
    Error::Corrupt { what: format!("a row has an unreadable {what}") }
}

fn text<'a>(row: &'a Row, at: usize, what: &str) -> Result<&'a str> {
    row.get_ref(at)?.as_str().map_err(|_| corrupt(what))
}

fn uuid(row: &Row, at: usize) -> Result<TransactionId> {
    let bytes = row.get_ref(at)?.as_blob().map_err(|_| corrupt("id"))?;
    Uuid::from_slice(bytes).map(TransactionId).map_err(|_| corrupt("id"))
}

/// Reads [`ITEM`], which begins at the first column.
pub fn item(row: &Row, user: &UserId) -> Result<Transaction> {
    let amount = row.get_ref(8)?.as_blob().map_err(|_| corrupt("amount"))?;
    let amount = <[u8; 16]>::try_from(amount).map_err(|_| corrupt("amount"))?;
    let metadata = text(row, 9, "metadata")?;
    let named = |at, what| text(row, at, what);
    Ok(Transaction {
        id: uuid(row, 1)?,
        user_id: user.clone(),
        transaction_type: TransactionType::from_name(named(2, "type")?)
            .ok_or_else(|| corrupt("type"))?,
        product: named(3, "product")?.to_owned(),
        status: Status::from_name(named(4, "status")?).ok_or_else(|| corrupt("status"))?,
        side: Side::from_name(named(5, "side")?).ok_or_else(|| corrupt("side"))?,
        currency: Currency::new(named(6, "currency")?, row.get(7)?)
            .ok_or_else(|| corrupt("currency"))?,
        amount: Amount::from_atto(i128::from_be_bytes(amount)),
        metadata: Json::parse(metadata, usize::MAX).map_err(|_| corrupt("metadata"))?,
        source: row.get(10)?,
        external_id: row.get(11)?,
        version: row.get(12)?,
        created_at: Timestamp::from_micros(row.get(13)?),
        recorded_at: Timestamp::from_micros(row.get(14)?),
        updated_at: row.get::<_, Option<i64>>(15)?.map(Timestamp::from_micros),
        seq: EventSeq(row.get(16)?),
    })
}

/// Reads [`EVENT`], which begins at the first column.
pub fn event(row: &Row, user: &UserId) -> Result<Event> {
    Ok(Event {
        seq: EventSeq(row.get(0)?),
        event_type: EventType::from_name(text(row, 1, "event type")?)
            .ok_or_else(|| corrupt("event type"))?,
        at: Timestamp::from_micros(row.get(2)?),
        user_id: user.clone(),
        transaction_id: uuid(row, 3)?,
        version: row.get(4)?,
        previous: row.get::<_, Option<i64>>(5)?.map(EventSeq),
        body: text(row, 6, "event")?.into(),
    })
}

/// Reads a user's name.
pub fn user(row: &Row, at: usize) -> Result<UserId> {
    UserId::parse(text(row, at, "user")?).map_err(|_| corrupt("user"))
}

/// The currency of a bucket: its code and digits, two columns from `at` on.
pub fn currency(row: &Row, at: usize) -> Result<Currency> {
    Currency::new(text(row, at, "currency")?, row.get(at + 1)?).ok_or_else(|| corrupt("currency"))
}

/// The statistics of a month.
pub fn month(sums: ValueRef, counts: ValueRef, updated_at: i64) -> Result<MonthSums> {
    let blob = |value: ValueRef| value.as_blob().map(<[u8]>::to_vec).map_err(|_| corrupt("month"));
    let updated_at = Timestamp::from_micros(updated_at);
    decode_month(&blob(sums)?, &blob(counts)?, updated_at).ok_or_else(|| corrupt("month"))
}

/// What identifies the statistics of a day besides its user; day 0 is the whole month.
pub struct Place {
    pub code: String,
    pub digits: u8,
    pub month: i32,
    pub day: i32,
}

impl Place {
    pub fn of_day(key: &BucketKey) -> Self {
        let month = key.day.month();
        Self { day: key.day.0 - month.first_day().0 + 1, ..Self::of_month(key.currency, month) }
    }

    pub fn of_month(currency: Currency, month: Month) -> Self {
        let code = currency.code().to_owned();
        Self { code, digits: currency.digits(), month: month.0, day: 0 }
    }
}

/// The day of a month and a day's number in it, two columns from `at` on.
pub fn day(row: &Row, at: usize) -> Result<Day> {
    Ok(Day(Month(row.get(at)?).first_day().0 + row.get::<_, i32>(at + 1)? - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_numbers_lie_in_the_order_of_time() {
        let at = |us| Timestamp::from_micros(us);
        let early = pos(at(-1_500_000), EventSeq(9));
        let late = pos(at(1_700_000_000_000_000), EventSeq(1));
        assert!(early < late);
        assert_eq!(pos_second(early), -2);
        assert!(pos_from(at(-1_500_000)) <= early && early <= pos_to(at(-1_500_000)));
    }

    #[test]
    fn prefixes_are_short_and_distinct() {
        assert_eq!(prefix(0), "0");
        assert_eq!(prefix(35), "z");
        assert_eq!(prefix(36), "10");
    }
}
