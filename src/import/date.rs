//! Moments as files write them, by the formats and the time zone of the mapping.

use daybook_core::time::{Moment, date_in};
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Directives that can be read; `strftime` has more, which only write.
const READABLE: &str = "%AaBbhCDdeFfGgHIjklMmNnPpQRSsTtUuVWwYyz";
/// An offset of a day or more is no offset of any place (RFC 3339).
const OFFSET_END_S: i32 = 86_400;

#[derive(Debug)]
pub struct Dates {
    pub formats: Vec<DateFormat>,
    /// The zone of times that name none.
    pub tz: TimeZone,
    /// Years of two digits from this one on belong to the 1900s.
    pub pivot: i16,
}

/// A format in the notation of `strftime`.
#[derive(Clone, Debug)]
pub struct DateFormat {
    text: String,
    has_short_year: bool,
    /// A letter Z, or the word UTC or GMT, stands in it: the time is of no other zone.
    is_utc: bool,
    /// How the last directive writes the offset zero, where it is an offset.
    zero_offset: Option<&'static str>,
}

impl DateFormat {
    /// Takes a format apart.
    ///
    /// # Errors
    /// Names a directive that cannot be read, or that says too little.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut format =
            Self { text: text.to_owned(), has_short_year: false, is_utc: false, zero_offset: None };
        let (mut has_half_day_hour, mut has_half_day) = (false, false);
        let mut word = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character.is_alphabetic() {
                word.push(character);
                format.zero_offset = None;
                continue;
            }
            format.take_word(&mut word);
            if character != '%' {
                format.zero_offset = None;
                continue;
            }
            let mut colons = 0;
            let directive = characters.by_ref().find(|c| {
                colons += usize::from(*c == ':');
                !matches!(c, '-' | '_' | '^' | '#' | '.' | ':' | '0'..='9')
            });
            let Some(directive) = directive.filter(|directive| READABLE.contains(*directive))
            else {
                let shown = directive.map(String::from).unwrap_or_default();
                return Err(format!("'{text}' has '%{shown}', which cannot be read"));
            };
            has_half_day_hour |= matches!(directive, 'I' | 'l');
            has_half_day |= matches!(directive, 'p' | 'P');
            format.has_short_year |= matches!(directive, 'y' | 'D');
            format.zero_offset = match (directive, colons) {
                ('z' | 'Q', 0) => Some("+0000"),
                ('z' | 'Q', 1) | ('z', 3) => Some("+00:00"),
                ('z', 2) => Some("+00:00:00"),
                _ => None,
            };
        }
        format.take_word(&mut word);
        if has_half_day_hour && !has_half_day {
            return Err(format!(
                "'{text}' has an hour of twelve and no '%p' that tells morning from afternoon; \
                 '%H' is an hour of the day"
            ));
        }
        Ok(format)
    }

    fn take_word(&mut self, word: &mut String) {
        self.is_utc |= ["Z", "UTC", "GMT"].iter().any(|utc| word.eq_ignore_ascii_case(utc));
        word.clear();
    }

    /// The parts of a text that fits. A `Z` stands wherever an offset may stand, and is zero.
    fn parts(&self, text: &str) -> Option<BrokenDownTime> {
        let zulu = text.strip_suffix(['Z', 'z']).zip(self.zero_offset);
        match zulu {
            Some((rest, zero)) => BrokenDownTime::parse(&self.text, format!("{rest}{zero}")),
            None => BrokenDownTime::parse(&self.text, text),
        }
        .ok()
    }
}

/// The moment as the API takes it: by the first format that fits; without formats a time that names
/// no zone is of the mapping's, and any other text stays as it is.
///
/// # Errors
/// Says why the text is no moment, and names it as `shown`.
pub fn moment(text: &str, shown: &str, dates: &Dates) -> Result<String, String> {
    if dates.formats.is_empty() {
        return match local_text(text) {
            Some(Local::Date(date)) => start_of(date, shown, &dates.tz),
            Some(Local::Time(at)) => instant(at, shown, &dates.tz).map(|at| at.to_string()),
            None => Ok(text.to_owned()),
        };
    }
    let mut reason = None;
    for format in &dates.formats {
        match format.parts(text).map(|parts| read(parts, format, shown, dates)) {
            Some(Ok(moment)) => return Ok(moment),
            Some(Err(why)) => reason = reason.or(Some(why)),
            None => {}
        }
    }
    let formats: Vec<&str> = dates.formats.iter().map(|format| format.text.as_str()).collect();
    Err(reason.unwrap_or_else(|| {
        let formats = formats.join(" or ");
        format!(
            "{shown} does not fit {formats}; correct the row, or add its format to `dates.formats`"
        )
    }))
}

enum Local {
    Date(Date),
    Time(DateTime),
}

/// A date, or a date and a time without an offset, in the form that the API takes.
fn local_text(text: &str) -> Option<Local> {
    let (date, rest) = text.split_at_checked(10)?;
    if date.as_bytes().iter().any(|byte| !matches!(byte, b'0'..=b'9' | b'-')) {
        return None;
    }
    if rest.is_empty() {
        return date.parse().ok().map(Local::Date);
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let is_local = time.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.'));
    text.parse().ok().filter(|_| is_local).map(Local::Time)
}

fn read(
    mut parts: BrokenDownTime,
    format: &DateFormat,
    shown: &str,
    dates: &Dates,
) -> Result<String, String> {
    if let Some(timestamp) = parts.timestamp() {
        return Ok(timestamp.to_string());
    }
    if let Some(year) = parts.year().filter(|_| format.has_short_year) {
        let year = year.rem_euclid(100);
        let century = if year >= dates.pivot { 1900 } else { 2000 };
        let no_year = |_| format!("{shown} has no year of two digits");
        parts.set_year(Some(century + year)).map_err(no_year)?;
    }
    if let Some(offset) = parts.offset() {
        if offset.seconds().abs() >= OFFSET_END_S {
            return Err(format!("{shown} has an offset from UTC of a day or more"));
        }
        let at = parts.to_timestamp().map_err(|_| no_moment(shown))?;
        return Ok(at.to_string());
    }
    let named = match parts.iana_time_zone() {
        Some(name) => {
            let unknown = |_| format!("{shown} names a time zone that there is not, '{name}'");
            Some(TimeZone::get(name).map_err(unknown)?)
        }
        None => format.is_utc.then_some(TimeZone::UTC),
    };
    let tz = named.as_ref().unwrap_or(&dates.tz);
    let date = parts.to_date().map_err(|_| no_moment(shown))?;
    if parts.hour().is_none() {
        return start_of(date, shown, tz);
    }
    let time = parts.to_time().map_err(|_| no_moment(shown))?;
    instant(date.to_datetime(time), shown, tz).map(|at| at.to_string())
}

fn no_moment(shown: &str) -> String {
    format!("{shown} names no day and time of the calendar; correct the row")
}

/// The first moment of a day.
fn start_of(date: Date, shown: &str, tz: &TimeZone) -> Result<String, String> {
    let start = Moment::Date(date).start(tz);
    let at = jiff::Timestamp::from_microsecond(start.micros());
    let at = at.map_err(|_| no_moment(shown))?;
    if date_in(start, tz) == date { Ok(at.to_string()) } else { Err(no_such_time(shown, tz)) }
}

fn no_such_time(shown: &str, tz: &TimeZone) -> String {
    let zone = tz.iana_name().unwrap_or("that zone");
    format!(
        "{shown} does not exist in {zone}, where the clocks went forward; correct the row, or \
         `dates.tz` in the mapping"
    )
}

/// The moment when the clocks of a zone show a time: the earlier one, where they show it twice.
fn instant(at: DateTime, shown: &str, tz: &TimeZone) -> Result<jiff::Timestamp, String> {
    let ambiguous = tz.to_ambiguous_timestamp(at);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(no_such_time(shown, tz));
    }
    ambiguous.compatible().map_err(|_| no_moment(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(formats: &[&str], tz: &str) -> Dates {
        let formats = formats.iter().map(|format| DateFormat::parse(format).expect("a format"));
        let tz = TimeZone::get(tz).expect("a zone");
        Dates { formats: formats.collect(), tz, pivot: 69 }
    }

    fn shown(text: &str, dates: &Dates) -> String {
        moment(text, &format!("'{text}'"), dates).unwrap_or_else(|why| why)
    }

    #[test]
    fn a_moment_is_as_it_reads_or_refused() {
        for (text, format, expected) in [
            ("1/5/2024", "%m/%d/%Y", "2024-01-04T23:00:00Z"),
            ("01/05/2024 3:04 PM", "%m/%d/%Y %I:%M %p", "2024-01-05T14:04:00Z"),
            ("01/05/2024 12:04 AM", "%m/%d/%Y %I:%M %p", "2024-01-04T23:04:00Z"),
            ("Jan 5, 2024", "%b %d, %Y", "2024-01-04T23:00:00Z"),
            ("05-JAN-24", "%d-%b-%y", "2024-01-04T23:00:00Z"),
            ("5 janv. 2024", "%d %b %Y", "does not fit %d %b %Y"),
            ("15 Mär 2024", "%d %b %Y", "does not fit"),
            ("16 Oktober 2024", "%d %B %Y", "does not fit"),
            ("2024年1月5日", "%Y年%m月%d日", "2024-01-04T23:00:00Z"),
            ("2024-01-05T10:00:00.123Z", "%Y-%m-%dT%H:%M:%S%.fZ", "2024-01-05T10:00:00.123Z"),
            ("2024-01-05 10:00:00 -0700", "%Y-%m-%d %H:%M:%S %z", "2024-01-05T17:00:00Z"),
            ("2024-01-05T10:00:00+02:00", "%Y-%m-%dT%H:%M:%S%:z", "2024-01-05T08:00:00Z"),
            ("1704448800", "%s", "2024-01-05T10:00:00Z"),
            ("1704448800123", "%s", "does not fit"),
            ("2024-01-05 10:00:00 EST", "%Y-%m-%d %H:%M:%S", "does not fit"),
            ("Friday, 5 January 2024", "%A, %d %B %Y", "2024-01-04T23:00:00Z"),
            ("Sunday, 5 January 2024", "%A, %d %B %Y", "names no day and time of the calendar"),
            ("05.01.24", "%d.%m.%y", "2024-01-04T23:00:00Z"),
            ("31/02/2024", "%d/%m/%Y", "names no day and time of the calendar"),
            ("2024-03-31 02:30:00", "%Y-%m-%d %H:%M:%S", "does not exist in Europe/Madrid"),
            // The clocks show it twice; the earlier one is meant.
            ("2024-10-27 02:30:00", "%Y-%m-%d %H:%M:%S", "2024-10-27T00:30:00Z"),
            ("2024-10-27 03:00:00", "%Y-%m-%d %H:%M:%S", "2024-10-27T02:00:00Z"),
        ] {
            let said = shown(text, &dates(&[format], "Europe/Madrid"));
            let is_as_expected =
                said == expected || said.starts_with(&format!("'{text}' {expected}"));
            assert!(is_as_expected, "{text} by {format}: {said}");
        }
    }

    #[test]
    fn a_z_is_utc_wherever_it_is_read() {
        for (text, format) in [
            ("2024-07-05T10:00:00Z", "%Y-%m-%dT%H:%M:%SZ"),
            ("2024-07-05T10:00:00z", "%Y-%m-%dT%H:%M:%Sz"),
            ("2024-07-05T10:00:00.000Z", "%Y-%m-%dT%H:%M:%S%.fZ"),
            ("2024-07-05T10:00Z", "%FT%RZ"),
            ("20240705T100000Z", "%Y%m%dT%H%M%SZ"),
            ("Z 05.07.2024 10:00", "Z %d.%m.%Y %H:%M"),
            ("2024-07-05 10:00:00 UTC", "%Y-%m-%d %H:%M:%S UTC"),
            ("2024-07-05 10:00:00 (GMT)", "%Y-%m-%d %H:%M:%S (GMT)"),
            ("2024-07-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S%z"),
            ("2024-07-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S%:z"),
            ("2024-07-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S%::z"),
            ("2024-07-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S%:::z"),
            ("2024-07-05 10:00:00 Z", "%Y-%m-%d %H:%M:%S %Q"),
            // An offset that stands there too knows better.
            ("2024-07-05T12:00:00+0200 Z", "%Y-%m-%dT%H:%M:%S%z Z"),
        ] {
            for tz in ["UTC", "Europe/Madrid", "Asia/Kolkata", "America/St_Johns"] {
                let said = shown(text, &dates(&[format], tz));
                assert_eq!(said, "2024-07-05T10:00:00Z", "{text} by {format} in {tz}");
            }
        }
        // Letters of words and of formats are no zone.
        for (text, format) in [
            ("Zeit 05.07.2024 12:00", "Zeit %d.%m.%Y %H:%M"),
            ("12:00 am 05.07.2024 in Graz", "%H:%M am %d.%m.%Y in Graz"),
        ] {
            let said = shown(text, &dates(&[format], "Europe/Vienna"));
            assert_eq!(said, "2024-07-05T10:00:00Z", "{text}");
        }
        // The day of a date with a Z is a day of UTC.
        assert_eq!(shown("2024-07-05Z", &dates(&["%FZ"], "Asia/Tokyo")), "2024-07-05T00:00:00Z");
    }

    #[test]
    fn a_zone_or_an_offset_in_the_text_knows_better_than_the_mapping() {
        for (text, format, expected) in [
            ("2024-07-01T00:30:00[Europe/Madrid]", "%Y-%m-%dT%H:%M:%S[%Q]", "2024-06-30T22:30:00Z"),
            ("2024-07-01 America/New_York", "%Y-%m-%d %Q", "2024-07-01T04:00:00Z"),
            ("2024-07-01T00:30[No/Where]", "%Y-%m-%dT%H:%M[%Q]", "names a time zone that"),
            ("2024-07-01T00:30+23:59", "%Y-%m-%dT%H:%M%:z", "2024-06-30T00:31:00Z"),
            ("2024-07-01T00:30+24:00", "%Y-%m-%dT%H:%M%:z", "has an offset from UTC of a day"),
            ("2024-07-01T00:30-25:59", "%Y-%m-%dT%H:%M%:z", "has an offset from UTC of a day"),
        ] {
            let said = shown(text, &dates(&[format], "Asia/Tokyo"));
            let is_as_expected =
                said == expected || said.starts_with(&format!("'{text}' {expected}"));
            assert!(is_as_expected, "{text} by {format}: {said}");
        }
    }

    #[test]
    fn without_formats_the_zone_counts_where_the_text_names_none() {
        for (text, expected) in [
            ("2024-07-05", "2024-07-04T22:00:00Z"),
            ("2024-07-05T10:00:00", "2024-07-05T08:00:00Z"),
            ("2024-07-05T10:00", "2024-07-05T08:00:00Z"),
            ("2024-07-05 10:00:00.5", "2024-07-05T08:00:00.5Z"),
            ("2024-03-31T02:30:00", "'2024-03-31T02:30:00' does not exist in Europe/Madrid"),
            // The API reads or refuses these.
            ("2024-07-05T10:00:00Z", "2024-07-05T10:00:00Z"),
            ("2024-07-05T10:00:00-07:00", "2024-07-05T10:00:00-07:00"),
            ("2024-07-05T10:00:00[Europe/Paris]", "2024-07-05T10:00:00[Europe/Paris]"),
            ("20240705", "20240705"),
            ("2024-02-30", "2024-02-30"),
            ("soon, in the evening", "soon, in the evening"),
        ] {
            let said = shown(text, &dates(&[], "Europe/Madrid"));
            assert!(said.starts_with(expected), "{text}: {said}");
        }
        // UTC is a zone as any other.
        for (text, expected) in [
            ("2024-07-05", "2024-07-05T00:00:00Z"),
            ("2024-07-05T10:00", "2024-07-05T10:00:00Z"),
            ("2024-07-05 10:00:00.5", "2024-07-05T10:00:00.5Z"),
            ("2024-07-05T10:00:00-07:00", "2024-07-05T10:00:00-07:00"),
        ] {
            assert_eq!(shown(text, &dates(&[], "UTC")), expected, "{text}");
        }
        // A day that a zone left out.
        let said = shown("2011-12-30", &dates(&["%F"], "Pacific/Apia"));
        assert!(said.starts_with("'2011-12-30' does not exist in Pacific/Apia"), "{said}");
    }
}
