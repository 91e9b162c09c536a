//! Domain values to columns and back; the only place that knows how a row is written.

pub mod key;
pub mod ledger;
pub mod postgres;
pub mod sqlite;

use daybook_core::money::I256;
use daybook_core::stats::BucketKey;
use daybook_core::time::{Day, Month};
use daybook_core::transaction::Revision;
use daybook_core::{
    AccountId, Amount, Currency, Event, EventSeq, EventType, Json, KeyId, Side, Status, Subject,
    Timestamp, Transaction, TransactionId, TransactionType, TransferId, UserId,
};
use uuid::Uuid;

use crate::chain::Linked;
use crate::{Error, Result};

/// The columns of an item, in the order in which [`item`] reads them.
pub const ITEM: &str = "t.id, t.type, t.product, t.status, t.side, t.currency, t.digits, \
    t.amount, t.metadata, t.source, t.external_id, t.version, t.created_at, t.recorded_at, \
    t.updated_at, t.seq, t.transfer, t.side_given, t.source_version, t.source_updated_at";
/// How many they are.
pub const ITEM_COLUMNS: usize = 20;

/// How many columns of an event [`event`] reads: its number, type, time, subject, version, the
/// event before it, and its body.
pub const EVENT_COLUMNS: usize = 7;

/// A row, read by the places of its columns; `what` names the column when it is unreadable.
pub trait Columns {
    fn maybe_text(&self, at: usize, what: &str) -> Result<Option<&str>>;
    fn maybe_number(&self, at: usize, what: &str) -> Result<Option<i64>>;
    fn maybe_bytes(&self, at: usize, what: &str) -> Result<Option<&[u8]>>;
    fn maybe_uuid(&self, at: usize, what: &str) -> Result<Option<Uuid>>;
    /// A balance, in 10^-18 units.
    fn maybe_wide(&self, at: usize, what: &str) -> Result<Option<I256>>;
    fn flag(&self, at: usize, what: &str) -> Result<bool>;

    fn text(&self, at: usize, what: &str) -> Result<&str> {
        self.maybe_text(at, what)?.ok_or_else(|| corrupt(what))
    }

    fn number(&self, at: usize, what: &str) -> Result<i64> {
        self.maybe_number(at, what)?.ok_or_else(|| corrupt(what))
    }

    fn bytes(&self, at: usize, what: &str) -> Result<&[u8]> {
        self.maybe_bytes(at, what)?.ok_or_else(|| corrupt(what))
    }

    fn uuid(&self, at: usize, what: &str) -> Result<Uuid> {
        self.maybe_uuid(at, what)?.ok_or_else(|| corrupt(what))
    }

    /// An amount, in 10^-18 units.
    fn maybe_atto(&self, at: usize, what: &str) -> Result<Option<i128>> {
        let wide = self.maybe_wide(at, what)?;
        wide.map(|wide| i128::try_from(wide).map_err(|_| corrupt(what))).transpose()
    }

    fn wide(&self, at: usize, what: &str) -> Result<I256> {
        self.maybe_wide(at, what)?.ok_or_else(|| corrupt(what))
    }

    fn atto(&self, at: usize, what: &str) -> Result<i128> {
        self.maybe_atto(at, what)?.ok_or_else(|| corrupt(what))
    }

    /// A number of a narrower kind.
    fn small<T: TryFrom<i64>>(&self, at: usize, what: &str) -> Result<T> {
        T::try_from(self.number(at, what)?).map_err(|_| corrupt(what))
    }

    fn time(&self, at: usize, what: &str) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.number(at, what)?))
    }

    fn maybe_time(&self, at: usize, what: &str) -> Result<Option<Timestamp>> {
        Ok(self.maybe_number(at, what)?.map(Timestamp::from_micros))
    }

    fn maybe_seq(&self, at: usize, what: &str) -> Result<Option<EventSeq>> {
        Ok(self.maybe_number(at, what)?.map(EventSeq))
    }

    fn maybe_transfer(&self, at: usize) -> Result<Option<TransferId>> {
        Ok(self.maybe_uuid(at, "transfer id")?.map(TransferId))
    }

    fn maybe_string(&self, at: usize, what: &str) -> Result<Option<String>> {
        Ok(self.maybe_text(at, what)?.map(str::to_owned))
    }
}

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

pub fn corrupt(what: &str) -> Error {
    Error::Corrupt { what: format!("a row has an unreadable {what}") }
}

/// Reads [`ITEM`], which begins at the first column.
pub fn item(row: &impl Columns, user: &UserId) -> Result<Transaction> {
    let metadata = row.text(8, "metadata")?;
    Ok(Transaction {
        id: TransactionId(row.uuid(0, "id")?),
        user_id: user.clone(),
        transaction_type: TransactionType::from_name(row.text(1, "type")?)
            .ok_or_else(|| corrupt("type"))?,
        product: row.text(2, "product")?.to_owned(),
        status: Status::from_name(row.text(3, "status")?).ok_or_else(|| corrupt("status"))?,
        side: Side::from_name(row.text(4, "side")?).ok_or_else(|| corrupt("side"))?,
        side_given: row.flag(17, "side flag")?,
        currency: currency(row, 5)?,
        amount: Amount::from_atto(row.atto(7, "amount")?),
        metadata: Json::parse(metadata, usize::MAX).map_err(|_| corrupt("metadata"))?,
        source: row.maybe_string(9, "source")?,
        external_id: row.maybe_string(10, "external id")?,
        revision: Revision {
            version: row.maybe_number(18, "source version")?,
            updated_at: row.maybe_time(19, "source time")?,
        },
        version: row.small(11, "version")?,
        created_at: row.time(12, "time")?,
        recorded_at: row.time(13, "time")?,
        updated_at: row.maybe_time(14, "time")?,
        seq: EventSeq(row.number(15, "event number")?),
        transfer_id: row.maybe_transfer(16)?,
    })
}

/// What an event is about, as bytes: a number, a UUID, or nothing.
pub fn subject_bytes(subject: Subject) -> Vec<u8> {
    match subject {
        Subject::Item(id) => id.0.as_bytes().to_vec(),
        Subject::Account(id) => id.0.to_be_bytes().to_vec(),
        Subject::Transfer(id) => id.0.as_bytes().to_vec(),
        Subject::Key(id) => id.0.to_be_bytes().to_vec(),
        Subject::Audit => Vec::new(),
    }
}

fn subject(event_type: EventType, bytes: &[u8]) -> Result<Subject> {
    let uuid = || Uuid::from_slice(bytes).map_err(|_| corrupt("id"));
    let number = || bytes.try_into().map(i64::from_be_bytes).map_err(|_| corrupt("id"));
    Ok(match event_type {
        EventType::Created | EventType::Updated | EventType::Deleted => {
            Subject::Item(TransactionId(uuid()?))
        }
        EventType::AccountCreated | EventType::AccountUpdated => {
            Subject::Account(AccountId(number()?))
        }
        EventType::Submitted | EventType::Completed | EventType::Failed | EventType::RolledBack => {
            Subject::Transfer(TransferId(uuid()?))
        }
        EventType::KeyIssued | EventType::KeyRotated | EventType::KeyRevoked => {
            Subject::Key(KeyId(number()?))
        }
        EventType::Refused | EventType::Shredded | EventType::Rewrapped => Subject::Audit,
    })
}

/// An event as the chain sees it.
pub fn linked<'a>(event: &'a Event, user: i64, subject: &'a [u8]) -> Linked<'a> {
    Linked {
        seq: event.seq.0,
        event_type: event.event_type.name(),
        at: event.at.micros(),
        user,
        subject,
        version: event.version,
        previous: event.previous.map(|seq| seq.0),
        body: &event.body,
    }
}

/// Reads an event, which begins at the first column.
pub fn event(row: &impl Columns, user: Option<UserId>) -> Result<Event> {
    let event_type = EventType::from_name(row.text(1, "event type")?);
    let event_type = event_type.ok_or_else(|| corrupt("event type"))?;
    Ok(Event {
        seq: EventSeq(row.number(0, "event number")?),
        event_type,
        at: row.time(2, "time")?,
        user_id: user,
        subject: subject(event_type, row.bytes(3, "subject")?)?,
        version: row.small(4, "version")?,
        previous: row.maybe_seq(5, "event number")?,
        body: row.text(6, "event")?.into(),
    })
}

/// Reads a user's name, where there is one.
pub fn maybe_user(row: &impl Columns, at: usize) -> Result<Option<UserId>> {
    let name = row.maybe_text(at, "user")?;
    name.map(UserId::parse).transpose().map_err(|_| corrupt("user"))
}

/// Reads a user's name.
pub fn user(row: &impl Columns, at: usize) -> Result<UserId> {
    UserId::parse(row.text(at, "user")?).map_err(|_| corrupt("user"))
}

/// A currency: its code and digits, two columns from `at` on.
pub fn currency(row: &impl Columns, at: usize) -> Result<Currency> {
    let (code, digits) = (row.text(at, "currency")?, row.small(at + 1, "currency")?);
    Currency::new(code, digits).ok_or_else(|| corrupt("currency"))
}

/// What identifies the statistics of a day besides its user; day 0 is the whole month.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// A month in which items may have happened.
pub fn month(row: &impl Columns, at: usize) -> Result<Month> {
    let month = Month(row.small(at, "month")?);
    let known = Timestamp::MIN.day().month()..=Timestamp::END.day().month();
    if known.contains(&month) { Ok(month) } else { Err(corrupt("month")) }
}

/// The day of a month and a day's number in it, two columns from `at` on.
pub fn day(row: &impl Columns, at: usize) -> Result<Day> {
    let first = month(row, at)?.first_day();
    match row.small(at + 1, "day")? {
        day @ 1..=31_i32 => Ok(Day(first.0 + day - 1)),
        _ => Err(corrupt("day")),
    }
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
