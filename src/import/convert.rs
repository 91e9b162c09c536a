//! Turns one record of a character-separated file into the body that the API would get.

use std::collections::HashMap;

use daybook_core::{FieldError, Rejection};
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::mapping::{Amounts, Dates, Mapping, Negative, Source, ValueKind};
use crate::output::usage;

/// A mapping together with where each of its columns stands in the file.
pub struct Converter {
    mapping: Mapping,
    places: HashMap<String, usize>,
    columns: usize,
}

impl Converter {
    /// Finds the mapping's columns in the file's header.
    ///
    /// # Errors
    /// Names a column that the file does not have.
    pub fn new(mapping: Mapping, header: Vec<String>) -> anyhow::Result<Self> {
        let columns = header.len();
        let mut places = HashMap::new();
        for (place, name) in header.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        let wanted = mapping.columns.values().flatten().map(|source| &source.column);
        for name in wanted {
            if !places.contains_key(name) {
                let names = header.join(", ");
                return Err(usage(format!("the file has no column '{name}', it has {names}")));
            }
        }
        Ok(Self { mapping, places, columns })
    }

    /// The body of a record.
    ///
    /// # Errors
    /// Names every field that cannot be read.
    pub fn body(&self, fields: &[Vec<u8>]) -> Result<String, Rejection> {
        if fields.len() != self.columns {
            let detail = format!("the row has {} columns, not {}", fields.len(), self.columns);
            return Err(Rejection::field("", "COLUMNS", detail));
        }
        let mut body = Body::default();
        for target in self.mapping.kind.targets() {
            self.fill(&mut body, target, fields);
        }
        let metadata = |name: &&String| name.starts_with("metadata.");
        let constants = self.mapping.constants.keys().filter(metadata);
        let mut keys: Vec<&String> = self.mapping.columns.keys().filter(metadata).collect();
        keys.extend(constants.filter(|name| !self.mapping.columns.contains_key(*name)));
        for target in keys {
            self.fill(&mut body, target, fields);
        }
        body.finish()
    }

    fn fill(&self, body: &mut Body, target: &str, fields: &[Vec<u8>]) {
        match self.value(target, fields) {
            Ok(Some((text, kind))) => self.put(body, target, &text, kind),
            Ok(None) => {
                // The sign of the amount is better than a constant.
                let known = target == "side" && body.side.is_some();
                if let Some(constant) = self.mapping.constants.get(target).filter(|_| !known) {
                    body.set(target, constant.0.clone());
                }
            }
            Err(error) => body.errors.push(error),
        }
    }

    /// What the first column says that says something.
    fn value(
        &self,
        target: &str,
        fields: &[Vec<u8>],
    ) -> Result<Option<(String, ValueKind)>, FieldError> {
        let sources = self.mapping.columns.get(target).map_or(&[][..], Vec::as_slice);
        for (index, source) in sources.iter().enumerate() {
            let is_last = index + 1 == sources.len();
            let text = self.text(target, source, fields)?;
            if text.is_empty() {
                continue;
            }
            let mapped = match &source.values {
                None => Some(text.clone()),
                Some(map) => map.get(&text).cloned().or_else(|| source.otherwise.clone()),
            };
            match mapped {
                Some(value) if value.is_empty() => continue,
                Some(value) => return Ok(Some((format!("{}{value}", source.prefix), source.kind))),
                // Nobody knows the value: the check of the row decides whether it will do.
                None if is_last => {
                    return Ok(Some((format!("{}{text}", source.prefix), source.kind)));
                }
                None => {}
            }
        }
        Ok(None)
    }

    fn text(
        &self,
        target: &str,
        source: &Source,
        fields: &[Vec<u8>],
    ) -> Result<String, FieldError> {
        let place = self.places.get(&source.column).copied();
        let bytes = place.and_then(|place| fields.get(place)).map_or(&[][..], Vec::as_slice);
        let encoding = self.mapping.encoding;
        let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) else {
            let detail = format!("column '{}' is not {}", source.column, encoding.name());
            return Err(FieldError::new(pointer(target), "ENCODING", detail));
        };
        let text = if self.mapping.trim { text.trim() } else { &text };
        Ok(text.to_owned())
    }

    fn put(&self, body: &mut Body, target: &str, text: &str, kind: ValueKind) {
        match target {
            "amount" => {
                let (amount, negative) = plain_amount(text, &self.mapping.amounts);
                body.set_text("amount", &amount);
                if let Some(rule) = self.mapping.amounts.negative {
                    let is_debit = (rule == Negative::Debit) == negative;
                    body.set_text("side", if is_debit { "debit" } else { "credit" });
                }
            }
            "created_at" => match moment(text, &self.mapping.dates) {
                Ok(moment) => body.set_text(target, &moment),
                Err(detail) => body.errors.push(FieldError::new("/created_at", "TIME", detail)),
            },
            _ => match kind {
                ValueKind::Text => body.set_text(target, text),
                ValueKind::Number => match number(text, &self.mapping.amounts) {
                    Some(number) => body.set(target, number),
                    None => {
                        let detail = format!("'{text}' is no number");
                        body.errors.push(FieldError::new(pointer(target), "NUMBER", detail));
                    }
                },
            },
        }
    }
}

fn pointer(target: &str) -> String {
    format!("/{}", target.replacen('.', "/", 1))
}

/// The JSON of a body while it grows.
#[derive(Default)]
struct Body {
    fields: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
    side: Option<String>,
    errors: Vec<FieldError>,
}

impl Body {
    fn set_text(&mut self, target: &str, text: &str) {
        match serde_json::to_string(text) {
            Ok(json) => self.set(target, json),
            Err(error) => {
                self.errors.push(FieldError::new(pointer(target), "TEXT", error.to_string()));
            }
        }
    }

    fn set(&mut self, target: &str, json: String) {
        match target.strip_prefix("metadata.") {
            Some(key) => self.metadata.push((key.to_owned(), json)),
            None if target == "side" => self.side = Some(json),
            None => self.fields.push((target.to_owned(), json)),
        }
    }

    fn finish(mut self) -> Result<String, Rejection> {
        if !self.errors.is_empty() {
            return Err(Rejection::Invalid(self.errors));
        }
        self.fields.extend(self.side.map(|side| ("side".to_owned(), side)));
        if !self.metadata.is_empty() {
            self.fields.push(("metadata".to_owned(), object(&self.metadata)));
        }
        Ok(object(&self.fields))
    }
}

/// Writes an object of values that are JSON already.
pub fn object<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    let mut text = String::from("{");
    for (index, (key, json)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // A text always has a JSON form.
        text.push_str(&serde_json::to_string(key.as_ref()).unwrap_or_default());
        text.push(':');
        text.push_str(json.as_ref());
    }
    text.push('}');
    text
}

/// The amount as the API takes it, and whether it was negative where a sign has a meaning.
fn plain_amount(text: &str, rules: &Amounts) -> (String, bool) {
    let text = plain_number(text, rules);
    if rules.negative.is_none() {
        return (text, false);
    }
    let bare =
        [('-', None), ('\u{2212}', None), ('(', Some(')'))].iter().find_map(|(sign, end)| {
            let rest = text.strip_prefix(*sign)?;
            end.map_or(Some(rest), |end| rest.strip_suffix(end))
        });
    match bare.or_else(|| text.strip_suffix('-')) {
        Some(bare) => (bare.trim().to_owned(), true),
        None => (text.strip_prefix('+').unwrap_or(&text).trim().to_owned(), false),
    }
}

/// A number with a point as its decimal sign and nothing between its thousands.
fn plain_number(text: &str, rules: &Amounts) -> String {
    let is_space = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{202f}');
    let between = |c: char| rules.thousands.is_some_and(|t| c == t || (is_space(t) && is_space(c)));
    let decimal = rules.decimal.unwrap_or('.');
    let plain = text.chars().filter(|c| !between(*c));
    plain.map(|c| if c == decimal { '.' } else { c }).collect()
}

fn number(text: &str, rules: &Amounts) -> Option<String> {
    let text = plain_number(text, rules);
    match daybook_core::Json::parse(&text, 0) {
        Ok(daybook_core::Json::Number(number)) => Some(number.into()),
        Ok(_) | Err(_) => None,
    }
}

/// The moment as the API takes it: the first format that fits, or as it is where there is none.
fn moment(text: &str, dates: &Dates) -> Result<String, String> {
    if dates.formats.is_empty() {
        return Ok(text.to_owned());
    }
    let found = dates.formats.iter().find_map(|format| read_moment(text, format, dates));
    found.ok_or_else(|| format!("'{text}' does not fit {}", dates.formats.join(" or ")))
}

fn read_moment(text: &str, format: &str, dates: &Dates) -> Option<String> {
    let mut parts = BrokenDownTime::parse(format, text).ok()?;
    if format.contains("%y") {
        let year = parts.year()?.rem_euclid(100);
        let century = if year >= dates.pivot { 1900 } else { 2000 };
        parts.set_year(Some(century + year)).ok()?;
    }
    let instant = match parts.timestamp() {
        Some(timestamp) => timestamp,
        None if parts.offset().is_some() => parts.to_timestamp().ok()?,
        None => {
            let time = if parts.hour().is_some() { parts.to_time().ok()? } else { midnight() };
            local(parts.to_date().ok()?.to_datetime(time), &dates.tz)?
        }
    };
    Some(instant.to_string())
}

fn midnight() -> jiff::civil::Time {
    jiff::civil::Time::midnight()
}

fn local(at: DateTime, tz: &TimeZone) -> Option<jiff::Timestamp> {
    tz.to_ambiguous_timestamp(at).compatible().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(mapping: &str, header: &str, row: &str) -> String {
        let mapping = Mapping::parse(mapping).expect("a mapping");
        let header = header.split(';').map(str::to_owned).collect();
        let converter = Converter::new(mapping, header).expect("known columns");
        let fields: Vec<Vec<u8>> = row.split(';').map(|field| field.as_bytes().to_vec()).collect();
        converter.body(&fields).unwrap_or_else(|rejection| match rejection {
            Rejection::Invalid(errors) => {
                errors.iter().map(|e| format!("{} {} ", e.pointer, e.code)).collect()
            }
            other => other.to_string(),
        })
    }

    #[test]
    fn the_first_column_that_says_something_wins() {
        let mapping = r#"
            [columns]
            transaction_type = [
                { column = "symbol", values = { "I" = "earnings", "X" = "" } },
                { column = "how", values = { "cash" = "withdrawal" }, otherwise = "other" },
            ]
            side = "way"
            [constants]
            transaction_type = "card"
            [values.way]
            in = "credit"
        "#;
        let shown = |row| body(mapping, "symbol;how;way", row);
        assert_eq!(shown("I;cash;in"), r#"{"transaction_type":"earnings","side":"credit"}"#);
        assert_eq!(shown("?;cash;in"), r#"{"transaction_type":"withdrawal","side":"credit"}"#);
        assert_eq!(shown("X;cash; "), r#"{"transaction_type":"withdrawal"}"#);
        assert_eq!(shown(";swap;in"), r#"{"transaction_type":"other","side":"credit"}"#);
        assert_eq!(shown(";;odd"), r#"{"transaction_type":"card","side":"odd"}"#);
        assert_eq!(shown("I"), " COLUMNS ");
    }

    #[test]
    fn amounts_lose_their_clothes_and_signs_say_the_side() {
        let mapping = "[columns]\namount = \"a\"\n[amounts]\ndecimal = \",\"\nthousands = \" \"\n\
                       negative = \"debit\"";
        for (text, expected) in [
            ("1 234,50", r#"{"amount":"1234.50","side":"credit"}"#),
            ("-1\u{a0}234,50", r#"{"amount":"1234.50","side":"debit"}"#),
            ("(7,00)", r#"{"amount":"7.00","side":"debit"}"#),
            ("7,00-", r#"{"amount":"7.00","side":"debit"}"#),
            ("\u{2212}7", r#"{"amount":"7","side":"debit"}"#),
            ("+7", r#"{"amount":"7","side":"credit"}"#),
        ] {
            assert_eq!(body(mapping, "a", text), expected, "{text}");
        }
        let plain = "[columns]\namount = \"a\"";
        assert_eq!(body(plain, "a", "-7,0"), r#"{"amount":"-7,0"}"#);
    }

    #[test]
    fn dates_are_read_in_their_zone_and_century() {
        let mapping = |tz: &str| {
            format!(
                "[columns]\ncreated_at = \"d\"\n[dates]\n\
                 formats = [\"%y%m%d\", \"%d.%m.%Y %H:%M\", \"%Y-%m-%dT%H:%M:%S%z\"]\n\
                 tz = \"{tz}\"\npivot = 50"
            )
        };
        for (tz, text, expected) in [
            ("UTC", "930101", r#"{"created_at":"1993-01-01T00:00:00Z"}"#),
            ("UTC", "490101", r#"{"created_at":"2049-01-01T00:00:00Z"}"#),
            ("UTC", "500101", r#"{"created_at":"1950-01-01T00:00:00Z"}"#),
            ("UTC", "000229", r#"{"created_at":"2000-02-29T00:00:00Z"}"#),
            ("Europe/Prague", "930101", r#"{"created_at":"1992-12-31T23:00:00Z"}"#),
            ("Europe/Prague", "01.07.2024 10:30", r#"{"created_at":"2024-07-01T08:30:00Z"}"#),
            (
                "Europe/Prague",
                "2024-07-01T10:30:00+0000",
                r#"{"created_at":"2024-07-01T10:30:00Z"}"#,
            ),
            ("UTC", "930231", "/created_at TIME "),
            ("UTC", "soon", "/created_at TIME "),
        ] {
            assert_eq!(body(&mapping(tz), "d", text), expected, "{text} in {tz}");
        }
    }

    #[test]
    fn metadata_is_text_or_a_number_with_its_digits() {
        let mapping = r#"
            [columns]
            "metadata.note" = "n"
            "metadata.balance" = { column = "b", type = "number" }
            [constants]
            "metadata.bank" = "X"
            "metadata.level" = 3
        "#;
        let shown = |row| body(mapping, "n;b", row);
        let whole = r#"{"metadata":{"balance":100.50,"note":"say \"hi\"","bank":"X","level":3}}"#;
        assert_eq!(shown("say \"hi\";100.50"), whole);
        assert_eq!(shown(";"), r#"{"metadata":{"bank":"X","level":3}}"#);
        assert_eq!(shown(";much"), "/metadata/balance NUMBER ");
    }

    #[test]
    fn bytes_that_the_encoding_does_not_have_are_refused() {
        let mapping = Mapping::parse("[columns]\nuser_id = \"u\"").expect("a mapping");
        let converter = Converter::new(mapping, vec!["u".to_owned()]).expect("a converter");
        let refused = converter.body(&[b"caf\xe9".to_vec()]).expect_err("no UTF-8");
        assert!(matches!(refused, Rejection::Invalid(e) if e[0].code == "ENCODING"));
        let mapping = "[file]\nencoding = \"windows-1250\"\n[columns]\nuser_id = \"u\"";
        let mapping = Mapping::parse(mapping).expect("a mapping");
        let converter = Converter::new(mapping, vec!["u".to_owned()]).expect("a converter");
        let body = converter.body(&[b"\x9elut\xfd".to_vec()]).expect("Czech");
        assert_eq!(body, r#"{"user_id":"žlutý"}"#);
    }
}
