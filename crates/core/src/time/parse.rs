//! Times as texts name them.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::{Moment, Timestamp, US_PER_S};

/// The longest text that is read as a time.
const CHARS_MAX: usize = 64;
const S_PER_MINUTE: i64 = 60;
const US_PER_MS: i64 = 1_000;

/// Says why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error(
        "'{text}' is not a time: write it as 2024-01-15T10:30:00Z, with any offset, or as a date"
    )]
    NotATime { text: String },
    #[error("'{text}' is not a time: there is no such day in the calendar")]
    NoSuchDay { text: String },
    #[error("'{text}' is not a time: an offset lies between -23:59 and +23:59")]
    NoSuchOffset { text: String },
    #[error(
        "'{text}' is not a time: write a date as 2024-01-15, and Unix time in seconds of 9 or 10 \
         digits or in milliseconds of 12 or 13"
    )]
    NotUnixTime { text: String },
    #[error("the time '{text}' lies outside of the years 1900 to 2199")]
    OutOfRange { text: String },
}

/// Reads [`Moment::parse`].
pub fn moment(text: &str) -> Result<Moment, TimeError> {
    let not_a_time = || TimeError::NotATime { text: shown(text) };
    let out_of_range = || TimeError::OutOfRange { text: shown(text) };
    if text.len() > CHARS_MAX {
        return Err(not_a_time());
    }
    let mut rest = Rest(text.as_bytes());
    let (year, month, day) = rest.date().ok_or_else(not_a_time)?;
    let date = Date::new(year, month, day);
    let date = date.map_err(|_| TimeError::NoSuchDay { text: shown(text) })?;
    if rest.is_empty() {
        let midnight = utc(date.at(0, 0, 0, 0)).ok_or_else(out_of_range)?;
        return in_range(midnight, text).map(|_| Moment::Date(date));
    }
    let time = rest.time().ok_or_else(not_a_time)?;
    let offset_s = rest.offset_s().ok_or_else(not_a_time)?;
    let offset_s = offset_s.ok_or_else(|| TimeError::NoSuchOffset { text: shown(text) })?;
    if !rest.is_empty() {
        return Err(not_a_time());
    }
    let is_leap = time.second == 60;
    let second = if is_leap { 59 } else { time.second };
    let at = utc(date.at(time.hour, time.minute, second, 0)).ok_or_else(out_of_range)?;
    let at = Timestamp::from_micros(at.micros() - offset_s * US_PER_S);
    if is_leap && !ends_june_or_december(at) {
        return Err(not_a_time());
    }
    // UTC as computers count it has no leap second; the moment before it is in the same day.
    let us = if is_leap { US_PER_S - 1 } else { time.us };
    in_range(Timestamp::from_micros(at.micros() + us), text).map(Moment::Instant)
}

/// Reads [`Moment::parse_parameter`].
pub fn parameter(text: &str) -> Result<Moment, TimeError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > CHARS_MAX || !digits(whole) || !digits(fraction) {
        return moment(text);
    }
    let unit = match whole.len() {
        9 | 10 => US_PER_S,
        12 | 13 if !unsigned.contains('.') => US_PER_MS,
        _ => return Err(TimeError::NotUnixTime { text: shown(text) }),
    };
    let us = Rest(whole.as_bytes()).number(whole.len()).unwrap_or(0) * unit
        + Rest(fraction.as_bytes()).fraction_us().unwrap_or(0);
    let us = if text.starts_with('-') { -us } else { us };
    in_range(Timestamp::from_micros(us), text).map(Moment::Instant)
}

fn shown(text: &str) -> String {
    text.chars().take(CHARS_MAX).collect()
}

fn utc(at: DateTime) -> Option<Timestamp> {
    let instant = Offset::UTC.to_timestamp(at).ok()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

fn in_range(at: Timestamp, text: &str) -> Result<Timestamp, TimeError> {
    if at.in_range() { Ok(at) } else { Err(TimeError::OutOfRange { text: shown(text) }) }
}

/// Whether the moment is the last whole second of June or of December, behind which leap seconds
/// are inserted (ITU-R TF.460).
fn ends_june_or_december(at: Timestamp) -> bool {
    let next = Timestamp::from_micros(at.micros() + US_PER_S);
    let month = next.day().month();
    next == month.first_day().start() && month.0.rem_euclid(6) == 0
}

struct Time {
    hour: i8,
    minute: i8,
    /// 60 is a leap second.
    second: i8,
    us: i64,
}

/// The part of a text that is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one byte when it is one of these.
    fn take(&mut self, any: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !any.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    /// Takes a number of so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    }

    /// Takes a number of two digits up to a maximum.
    fn two(&mut self, max: i8) -> Option<i8> {
        self.number(2).and_then(|value| i8::try_from(value).ok()).filter(|value| *value <= max)
    }

    fn date(&mut self) -> Option<(i16, i8, i8)> {
        let year = i16::try_from(self.number(4)?).ok()?;
        self.take(b"-")?;
        let month = self.two(99)?;
        self.take(b"-")?;
        Some((year, month, self.two(99)?))
    }

    fn time(&mut self) -> Option<Time> {
        self.take(b"Tt ")?;
        let hour = self.two(23)?;
        self.take(b":")?;
        let minute = self.two(59)?;
        self.take(b":")?;
        let second = self.two(60)?;
        let us = if self.take(b".").is_some() { self.fraction_us()? } else { 0 };
        Some(Time { hour, minute, second, us })
    }

    /// Takes digits of a fraction of a second, at least one; what is behind the sixth is cut off.
    fn fraction_us(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let kept = digits.iter().map(|byte| i64::from(byte - b'0')).chain(std::iter::repeat(0));
        (length > 0).then(|| kept.take(6).fold(0, |us, digit| us * 10 + digit))
    }

    /// Takes an offset, where there is one: its seconds, or `None` inside when it is too large.
    fn offset_s(&mut self) -> Option<Option<i64>> {
        if self.is_empty() || self.take(b"Zz").is_some() {
            return Some(Some(0));
        }
        let sign = if self.take(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number(2)?;
        self.take(b":")?;
        let minutes = self.number(2)?;
        let is_offset = hours <= 23 && minutes <= 59;
        Some(is_offset.then_some(sign * (hours * 60 + minutes) * S_PER_MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn shown(parsed: Result<Moment, TimeError>) -> String {
        match parsed {
            Ok(Moment::Date(date)) => date.to_string(),
            Ok(moment) => moment.start(&TimeZone::UTC).to_string(),
            Err(TimeError::NotATime { .. }) => "not a time".to_owned(),
            Err(TimeError::NoSuchDay { .. }) => "no such day".to_owned(),
            Err(TimeError::NoSuchOffset { .. }) => "no such offset".to_owned(),
            Err(TimeError::NotUnixTime { .. }) => "not Unix time".to_owned(),
            Err(TimeError::OutOfRange { .. }) => "out of range".to_owned(),
        }
    }

    fn read(forms: &[(&str, &str)]) {
        for (text, expected) in forms {
            assert_eq!(shown(moment(text)), *expected, "{text}");
            let expected = if *text == "20240101" { "not Unix time" } else { *expected };
            assert_eq!(shown(parameter(text)), expected, "{text} as a parameter");
        }
    }

    /// Each form is decided here and below, for bodies and for parameters alike.
    #[test]
    fn rfc_3339_and_three_more_forms_are_read() {
        read(&[
            // RFC 3339, and its notes.
            ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15t10:30:00z", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T00:15:00-05:30", "2024-01-15T05:45:00.000000Z"),
            ("2024-01-15T10:30:00.5+02:00", "2024-01-15T08:30:00.500000Z"),
            ("2024-01-15T10:30:00-00:00", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T10:30:00+23:59", "2024-01-14T10:31:00.000000Z"),
            ("2024-01-15T10:30:00-23:59", "2024-01-16T10:29:00.000000Z"),
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520000Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870000Z"),
            // Fractions of any length; what a microsecond cannot hold is cut off, never rounded up.
            ("2024-01-15T10:30:00.1234567890123Z", "2024-01-15T10:30:00.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
            // Leap seconds, where there can be one: they end their day.
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59.999999Z"),
            ("1990-12-31T15:59:60.5-08:00", "1990-12-31T23:59:59.999999Z"),
            ("2015-06-30T23:59:60Z", "2015-06-30T23:59:59.999999Z"),
            ("2015-06-30T23:58:60Z", "not a time"),
            ("2015-05-31T23:59:60Z", "not a time"),
            ("2015-06-30T23:59:60+01:00", "not a time"),
            // The three forms beyond it.
            ("2024-01-15 10:30:00Z", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15T10:30:00", "2024-01-15T10:30:00.000000Z"),
            ("2024-01-15 10:30:00.25", "2024-01-15T10:30:00.250000Z"),
            ("2024-02-29", "2024-02-29"),
            ("1900-01-01", "1900-01-01"),
            ("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z"),
        ]);
    }

    #[test]
    fn what_is_only_like_rfc_3339_is_refused() {
        read(&[
            // Time zones in brackets, on times and on dates.
            ("2024-07-01T00:30:00[Europe/Madrid]", "not a time"),
            ("2024-07-01T00:30:00+02:00[Europe/Madrid]", "not a time"),
            ("2024-07-01T00:30:00Z[UTC]", "not a time"),
            ("2024-01-01[Europe/Madrid]", "not a time"),
            ("2024-01-01T00:00:00[u-ca=gregory]", "not a time"),
            // Other forms of ISO 8601.
            ("20240101", "not a time"),
            ("20240101T103000Z", "not a time"),
            ("2024-01-15T103000Z", "not a time"),
            ("2024-01", "not a time"),
            ("2024-015", "not a time"),
            ("2024-W03-1", "not a time"),
            ("2024-01-15T10:30Z", "not a time"),
            ("2024-01-15T10:30", "not a time"),
            ("2024-01-15T10Z", "not a time"),
            ("2024-01-15T24:00:00Z", "not a time"),
            ("2024-01-15T10:30:00,5Z", "not a time"),
            ("+002024-01-15T10:30:00Z", "not a time"),
            ("-2024-01-15", "not a time"),
            ("12024-01-15", "not a time"),
            ("2024-01-15Z", "not a time"),
            ("2024-01-15+02:00", "not a time"),
            // Offsets.
            ("2024-01-15T10:30:00+24:00", "no such offset"),
            ("2024-01-15T10:30:00-25:59", "no such offset"),
            ("2024-01-15T10:30:00+02:60", "no such offset"),
            ("2024-01-15T10:30:00+02", "not a time"),
            ("2024-01-15T10:30:00+0200", "not a time"),
            ("2024-01-15T10:30:00+2:00", "not a time"),
            ("2024-01-15T10:30:00+02:00:30", "not a time"),
            ("2024-01-15T10:30:00 +02:00", "not a time"),
            ("2024-01-15T10:30:00 UTC", "not a time"),
            ("2024-01-15T10:30:00ZZ", "not a time"),
            // Numbers and blanks out of place.
            ("2024-01-15T25:00:00Z", "not a time"),
            ("2024-01-15T10:60:00Z", "not a time"),
            ("2024-01-15T10:30:61Z", "not a time"),
            ("2024-01-15T10:30:00.Z", "not a time"),
            (" 2024-01-15", "not a time"),
            ("2024-01-15 ", "not a time"),
            ("2024-1-15", "not a time"),
            ("2024/01/15", "not a time"),
            ("15.01.2024", "not a time"),
            ("2024-01-15_10:30:00Z", "not a time"),
            ("２０２４-01-15", "not a time"),
            ("", "not a time"),
            ("yesterday", "not a time"),
            // Days that there are not.
            ("2023-02-29", "no such day"),
            ("2024-13-01", "no such day"),
            ("2024-00-01T00:00:00Z", "no such day"),
            ("2024-04-31T00:00:00Z", "no such day"),
            // Years.
            ("1899-12-31", "out of range"),
            ("0000-01-01", "out of range"),
            ("1899-12-31T23:59:59.999999Z", "out of range"),
            ("1900-01-01T00:00:00+00:01", "out of range"),
            ("2199-12-31T23:59:59-00:01", "out of range"),
            ("2200-01-01", "out of range"),
            ("9999-12-31T23:59:59Z", "out of range"),
        ]);
    }

    #[test]
    fn parameters_may_be_unix_time_and_bodies_may_not() {
        for (text, expected) in [
            ("1705314600", "2024-01-15T10:30:00.000000Z"),
            ("1705314600.25", "2024-01-15T10:30:00.250000Z"),
            ("1705314600.1234567", "2024-01-15T10:30:00.123456Z"),
            ("1705314600250", "2024-01-15T10:30:00.250000Z"),
            ("100000000", "1973-03-03T09:46:40.000000Z"),
            ("-100000000.5", "1966-10-31T14:13:19.500000Z"),
            ("-2208988800", "1900-01-01T00:00:00.000000Z"),
            ("7258118399", "2199-12-31T23:59:59.000000Z"),
            ("7258118400", "out of range"),
            ("-2208988801", "out of range"),
            ("7258118400000", "out of range"),
            ("0", "not Unix time"),
            ("2024", "not Unix time"),
            ("202401", "not Unix time"),
            ("20240101", "not Unix time"),
            ("12345678901", "not Unix time"),
            ("20240101103000", "not Unix time"),
            ("1705314600250.5", "not Unix time"),
            ("1705314600.", "not a time"),
            ("+1705314600", "not a time"),
            ("1.7e9", "not a time"),
            ("1,705,314,600", "not a time"),
        ] {
            assert_eq!(shown(parameter(text)), expected, "{text}");
            assert_eq!(shown(moment(text)), "not a time", "{text} in a body");
        }
    }

    #[test]
    fn what_is_refused_is_explained() {
        for (text, says) in [
            ("1800-01-01", "lies outside of the years 1900 to 2199"),
            ("2024-02-30", "there is no such day in the calendar"),
            ("2024-01-15T10:30:00+25:59", "an offset lies between -23:59 and +23:59"),
            ("20240101", "write it as 2024-01-15T10:30:00Z"),
        ] {
            let error = moment(text).expect_err(text).to_string();
            assert!(error.contains(says) && error.contains(text), "{error}");
        }
        let long = "x".repeat(10_000);
        assert!(moment(&long).expect_err("no time").to_string().len() < 300);
    }
}
