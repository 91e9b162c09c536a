//! The days of time zones. One rule says which local day a moment belongs to; ranges, the busiest
//! day and the points of a series all follow it.
//!
//! A local day begins when the clocks of the zone show its date for good. So days follow each other
//! without a gap and without returning, whatever the clocks do:
//!
//! | clocks | the day begins |
//! |---|---|
//! | pass midnight once | at midnight |
//! | go forward over midnight | when they go forward |
//! | leave out a whole date | as the next day does: the day is empty |
//! | go back to midnight | at the first midnight |
//! | go back over midnight | at the last midnight; the minutes between the first midnight and the change belong to the day before |

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::Timestamp;

/// The longest name of a time zone that is looked up.
const NAME_CHARS_MAX: usize = 64;
/// Names that stand for no place: one of the database, and one that its readers add.
const NOT_ZONES: &[&str] = &["Factory", "Etc/Unknown"];

/// Finds a time zone by its name in the IANA database that is part of the program, in any case.
/// What the machine calls a zone, as `localtime`, is none.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let is_no_zone = NOT_ZONES.iter().any(|other| other.eq_ignore_ascii_case(name));
    if name.len() > NAME_CHARS_MAX || is_no_zone {
        return None;
    }
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The local day of a moment in a time zone.
#[must_use]
pub fn date_in(at: Timestamp, tz: &TimeZone) -> Date {
    let shown = clock_date(at, tz);
    match shown.yesterday() {
        // The clocks show the date, but are going back over midnight.
        Ok(before) if *tz != TimeZone::UTC && at < day_start(shown, tz) => before,
        _ => shown,
    }
}

/// The first moment of a local day in a time zone. Of a date that the zone leaves out, it is the
/// first moment of the next day.
#[must_use]
pub fn day_start(date: Date, tz: &TimeZone) -> Timestamp {
    let midnight = date.at(0, 0, 0, 0);
    let at = |offset: jiff::tz::Offset| {
        let instant = offset.to_timestamp(midnight);
        instant.map_or(Timestamp::END, |at| Timestamp::from_micros(at.as_microsecond()))
    };
    match tz.to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset),
        AmbiguousOffset::Gap { before, .. } => last_change(at(before), tz),
        AmbiguousOffset::Fold { before, after } => {
            let last = at(after);
            let returns = clock_date(Timestamp::from_micros(last.micros() - 1), tz) < date;
            if returns { last } else { at(before) }
        }
    }
}

/// The date that the clocks of a time zone show.
fn clock_date(at: Timestamp, tz: &TimeZone) -> Date {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(instant) => tz.to_datetime(instant).date(),
        Err(_) => Date::MAX,
    }
}

/// The last change of the clocks at a moment or before it.
fn last_change(at: Timestamp, tz: &TimeZone) -> Timestamp {
    let behind = jiff::Timestamp::from_microsecond(at.micros() + 1);
    let change = behind.ok().and_then(|behind| tz.preceding(behind).next());
    change.map_or(at, |change| Timestamp::from_micros(change.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

    #[test]
    fn only_names_of_the_iana_database_are_zones() {
        for name in ["UTC", "Europe/Madrid", "europe/madrid", "America/St_Johns", "EST5EDT", "Zulu"]
        {
            assert!(zone(name).is_some(), "{name}");
        }
        for name in [
            "localtime",
            "posixrules",
            "Factory",
            "factory",
            "Etc/Unknown",
            "etc/unknown",
            "posix/Europe/Madrid",
            "right/Europe/Madrid",
            "/usr/share/zoneinfo/Europe/Madrid",
            "/etc/localtime",
            "../Europe/Madrid",
            "Europe/../Europe/Madrid",
            "Europe",
            "zone.tab",
            "+02:00",
            "UTC+2",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "Mars/Olympus",
            " UTC",
            "",
        ] {
            assert!(zone(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_day_begins_when_the_clocks_show_its_date_for_good() {
        for (name, date, start) in [
            ("Europe/Madrid", "2024-03-31", "2024-03-30T23:00:00.000000Z"),
            ("Europe/Madrid", "2024-04-01", "2024-03-31T22:00:00.000000Z"),
            // Forward from 23:30 to 00:30, and from 00:00 to 01:00.
            ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00.000000Z"),
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000000Z"),
            // Back from 00:00 to 23:00, from 01:00 to 00:00, and from 00:01 to 23:01.
            ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00.000000Z"),
            ("America/Havana", "2023-11-05", "2023-11-05T04:00:00.000000Z"),
            ("America/St_Johns", "2006-10-29", "2006-10-29T03:30:00.000000Z"),
            // The whole day is left out, and the next one begins where it would have.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00.000000Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00.000000Z"),
        ] {
            let tz = zone(name).expect(name);
            let date: Date = date.parse().expect(date);
            assert_eq!(day_start(date, &tz).to_string(), start, "{date} {name}");
        }
    }

    #[test]
    fn a_day_that_a_zone_leaves_out_is_an_empty_range() {
        let apia = zone("Pacific/Apia").expect("a zone");
        let date = |text| Some(Moment::parse(text).expect(text));
        let (from, to) = Moment::range(date("2011-12-30"), date("2011-12-30"), &apia)
            .expect("the end is not before the start");
        assert_eq!(from, to);
        let around = Moment::range(date("2011-12-29"), date("2011-12-31"), &apia);
        let hours = around.map(|(from, to)| (to.micros() - from.micros()) / 3_600_000_000);
        assert_eq!(hours, Some(48));
        for (start, end) in [
            ("2011-12-31", "2011-12-30"),
            ("2024-01-02", "2024-01-01"),
            ("2024-01-02T00:00:00Z", "2024-01-01T23:59:59.999999Z"),
            ("2024-01-03T00:00:00Z", "2024-01-02"),
        ] {
            assert_eq!(Moment::range(date(start), date(end), &apia), None, "{start} {end}");
        }
        let one = Moment::range(date("2024-01-02T00:00:00Z"), date("2024-01-02T00:00:00Z"), &apia);
        assert_eq!(one.map(|(from, to)| to.micros() - from.micros()), Some(1));
    }
}
