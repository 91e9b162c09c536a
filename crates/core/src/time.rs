//! Moments and days. A moment is a whole number of microseconds since 1970 in UTC; it comes from
//! outside, because nothing in this crate reads a clock.

mod local;
mod parse;

use std::fmt;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{CREATED_AT_END_S, CREATED_AT_MIN_S};

pub use local::{date_in, day_start, zone};
pub use parse::TimeError;

pub const US_PER_S: i64 = 1_000_000;
pub const US_PER_DAY: i64 = 86_400 * US_PER_S;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A UTC month: months since January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i32);

impl Month {
    #[must_use]
    pub fn first_day(self) -> Day {
        let (year, month) = (1970 + self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        let date = i16::try_from(year).ok().zip(i8::try_from(month).ok());
        let date = date.and_then(|(year, month)| civil::Date::new(year, month, 1).ok());
        date.map_or(Day(i32::MAX), |date| day_start(date, &TimeZone::UTC).day())
    }
}

/// A moment or a whole day, as a text names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Instant(Timestamp),
    Date(civil::Date),
}

impl Timestamp {
    pub const MIN: Timestamp = Timestamp(CREATED_AT_MIN_S * US_PER_S);
    /// The first moment that is too late to be stored.
    pub const END: Timestamp = Timestamp(CREATED_AT_END_S * US_PER_S);

    #[must_use]
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(US_PER_S)
    }

    /// The UTC day that contains the moment.
    #[must_use]
    pub fn day(self) -> Day {
        // Cannot overflow: i64 microseconds are fewer than 2^27 days.
        Day(i32::try_from(self.0.div_euclid(US_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// Reads a moment as [`Moment::parse`] does; a bare date is its midnight in UTC.
    ///
    /// # Errors
    /// As [`Moment::parse`].
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        Moment::parse(text).map(|moment| moment.start(&TimeZone::UTC))
    }

    fn in_range(self) -> bool {
        (Self::MIN..Self::END).contains(&self)
    }
}

impl Moment {
    /// Reads RFC 3339: `2024-01-15T10:30:00Z`, with any offset and any number of fraction digits, of
    /// which six are kept. Beyond RFC 3339, a blank may stand for the `T`, a time without an offset is
    /// UTC, and a bare date `2024-01-15` is the whole day.
    ///
    /// # Errors
    /// When the text is none of these, or lies outside of the years 1900 to 2199.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        parse::moment(text)
    }

    /// Reads what [`Moment::parse`] does, and Unix time: seconds of 9 or 10 digits, with a fraction or
    /// without, or milliseconds of 12 or 13 digits.
    ///
    /// # Errors
    /// As [`Moment::parse`].
    pub fn parse_parameter(text: &str) -> Result<Self, TimeError> {
        parse::parameter(text)
    }

    /// The moment itself, or the first moment of the day in `tz`.
    #[must_use]
    pub fn start(self, tz: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => day_start(date, tz),
        }
    }

    /// The first moment that an inclusive range ending here no longer contains.
    #[must_use]
    pub fn end(self, tz: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => Timestamp(at.0 + 1),
            Self::Date(date) => day_start(date.tomorrow().unwrap_or(date), tz),
        }
    }

    /// The range from one moment or day to another, which is in it: its first moment, and the first
    /// one behind it. A day that the zone leaves out makes an empty range. `None` when the end is
    /// before the start.
    #[must_use]
    pub fn range(
        start: Option<Self>,
        end: Option<Self>,
        tz: &TimeZone,
    ) -> Option<(Timestamp, Timestamp)> {
        let from = start.map_or(Timestamp::MIN, |start| start.start(tz)).max(Timestamp::MIN);
        let to = end.map_or(Timestamp::END, |end| end.end(tz)).min(Timestamp::END);
        let is_reversed = match (start, end) {
            (Some(Self::Date(start)), Some(Self::Date(end))) => end < start,
            _ => to <= from,
        };
        (!is_reversed).then_some((from, to))
    }
}

impl Day {
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * US_PER_DAY)
    }

    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp((self.0 as i64 + 1) * US_PER_DAY)
    }

    /// The month that contains the day.
    #[must_use]
    pub fn month(self) -> Month {
        let date = date_in(self.start(), &TimeZone::UTC);
        Month((i32::from(date.year()) - 1970) * 12 + i32::from(date.month()) - 1)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six fraction digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(instant) = jiff::Timestamp::from_microsecond(self.0) else {
            return Err(fmt::Error);
        };
        let at = Offset::UTC.to_datetime(instant);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |from: usize, digits: usize, mut value: u32| {
            for place in text.iter_mut().skip(from).take(digits).rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, at.year().unsigned_abs().into());
        put(5, 2, at.month().unsigned_abs().into());
        put(8, 2, at.day().unsigned_abs().into());
        put(11, 2, at.hour().unsigned_abs().into());
        put(14, 2, at.minute().unsigned_abs().into());
        put(17, 2, at.second().unsigned_abs().into());
        put(20, 6, at.subsec_nanosecond().unsigned_abs() / 1000);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
