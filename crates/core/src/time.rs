//! Moments and days. A moment is a whole number of microseconds since 1970 in UTC; it comes from
//! outside, because nothing in this crate reads a clock.

use std::fmt;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{CREATED_AT_END_S, CREATED_AT_MIN_S};

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
        date.map_or(Day(i32::MAX), |date| midnight(date, &TimeZone::UTC).day())
    }
}

/// Says why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a time: write it as 2024-01-15T10:30:00Z, with any offset, or as a date")]
pub struct TimeError {
    pub text: String,
}

/// What a text named: one moment, or a whole day.
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

    /// Reads RFC 3339 with any offset; without an offset the time is UTC; a bare date is midnight.
    ///
    /// # Errors
    /// When the text is no such time, or lies outside the years 1900 to 2199.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        Moment::parse(text).map(|moment| moment.start(&TimeZone::UTC))
    }

    fn in_range(self) -> bool {
        (Self::MIN..Self::END).contains(&self)
    }
}

impl Moment {
    /// Reads a moment or a bare date.
    ///
    /// # Errors
    /// When the text is neither, or lies outside the years 1900 to 2199.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError { text: text.chars().take(64).collect() };
        if text.len() > 64 {
            return Err(error());
        }
        if text.len() == 10 {
            let date: civil::Date = text.parse().map_err(|_| error())?;
            let midnight = midnight(date, &TimeZone::UTC);
            return if midnight.in_range() { Ok(Self::Date(date)) } else { Err(error()) };
        }
        let time_part = text.get(10..).unwrap_or("");
        let has_offset = time_part.contains(['Z', 'z', '+', '-']);
        let us = if has_offset {
            let parsed: jiff::Timestamp = text.parse().map_err(|_| error())?;
            parsed.as_microsecond()
        } else {
            let parsed: civil::DateTime = text.parse().map_err(|_| error())?;
            Offset::UTC.to_timestamp(parsed).map_err(|_| error())?.as_microsecond()
        };
        let timestamp = Timestamp(us);
        if timestamp.in_range() { Ok(Self::Instant(timestamp)) } else { Err(error()) }
    }

    /// The moment itself, or the first moment of the day in `tz`.
    #[must_use]
    pub fn start(self, tz: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => midnight(date, tz),
        }
    }

    /// The first moment that an inclusive range ending here no longer contains.
    #[must_use]
    pub fn end(self, tz: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => Timestamp(at.0 + 1),
            Self::Date(date) => midnight(date.tomorrow().unwrap_or(date), tz),
        }
    }
}

/// The first moment of a calendar day in a time zone (where midnight does not exist, the first
/// moment that does).
#[must_use]
pub fn midnight(date: civil::Date, tz: &TimeZone) -> Timestamp {
    match tz.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible() {
        Ok(at) => Timestamp(at.as_microsecond()),
        Err(_) => Timestamp::END,
    }
}

/// The calendar day of a moment in a time zone.
#[must_use]
pub fn date_in(at: Timestamp, tz: &TimeZone) -> civil::Date {
    match jiff::Timestamp::from_microsecond(at.0) {
        Ok(instant) => tz.to_datetime(instant).date(),
        Err(_) => civil::Date::MAX,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Timestamp::parse(text).map_or_else(|error| error.to_string(), |at| at.to_string())
    }

    #[test]
    fn any_offset_is_accepted_and_utc_comes_back() {
        for (text, expected) in [
            ("2024-01-15T10:30:00.000000Z", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T10:30:00", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T10:30:00.5+02:00", "2024-01-15T08:30:00.500000Z"),
            ("2024-01-15 10:30:00Z", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T00:15:00-05:30", "2024-01-15T05:45:00.000000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000000Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-04-31T00:00:00Z",
            "2024-01-15T25:00:00Z",
            "",
            "yesterday",
            "1705314600",
            "2024-01-15T10:30:00+99:00",
            "1800-01-01",
            "2300-01-01",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_ends_a_range_with_its_whole_day_in_the_zone_asked_for() {
        let madrid = TimeZone::get("Europe/Madrid").expect("the zone is bundled");
        // The day the clocks go forward has 23 hours.
        let day = Moment::parse("2024-03-31").expect("a date");
        let hours = (day.end(&madrid).micros() - day.start(&madrid).micros()) / 3_600_000_000;
        assert_eq!(hours, 23);
    }
}
