//! Turns one record of a character-separated file into the body that the API would get.

use std::collections::HashMap;

use daybook_core::transaction::Side;
use daybook_core::{FieldError, Rejection};

use super::date::moment;
use super::fernet::Fernet;
use super::mapping::{Amounts, Mapping, RowKind, Source, Unknown, ValueKind};
use super::number::{Number, refusal};
use crate::output::usage;

/// A mapping together with where each of its columns stands in the file.
pub struct Converter {
    mapping: Mapping,
    places: HashMap<String, usize>,
    columns: usize,
    /// Opens cells that another system encrypted.
    fernet: Option<Fernet>,
}

/// What a cell says.
struct Cell {
    text: String,
    /// It was encrypted, so no message shows it.
    was_sealed: bool,
}

impl Cell {
    fn shown(&self) -> String {
        if self.was_sealed { "the opened value".to_owned() } else { format!("'{}'", self.text) }
    }
}

/// What a column says about a target.
struct Said<'a> {
    cell: Cell,
    source: &'a Source,
}

impl Converter {
    /// Finds the mapping's columns in the file's header.
    ///
    /// # Errors
    /// Names a column that the file does not have, or a Fernet field that the mapping does not.
    pub fn new(
        mapping: Mapping,
        header: Vec<String>,
        fernet: Option<Fernet>,
    ) -> anyhow::Result<Self> {
        let columns = header.len();
        let mut places = HashMap::new();
        for (place, name) in header.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        let wanted = mapping.columns.values().flatten().flat_map(|source| &source.columns);
        for name in wanted {
            if !places.contains_key(name) {
                let names = header.join(", ");
                return Err(usage(format!("the file has no column '{name}', it has {names}")));
            }
        }
        let is_mapped = |field: &str| {
            mapping.columns.iter().any(|(target, sources)| {
                let mut columns = sources.iter().flat_map(|source| &source.columns);
                columns.any(|column| is_named(field, target, column))
            })
        };
        let fields = fernet.iter().flat_map(Fernet::fields);
        if let Some(field) = fields.into_iter().find(|field| !is_mapped(field)) {
            return Err(usage(format!(
                "--fernet-field '{field}': the mapping fills no such field and reads no such column"
            )));
        }
        Ok(Self { mapping, places, columns, fernet })
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
            Ok(Some(said)) => self.put(body, target, said),
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

    /// What the first column says that says something. In a list a zero is a filler of banks that
    /// write every column of every row: it says something only where no other column does.
    fn value(&self, target: &str, fields: &[Vec<u8>]) -> Result<Option<Said<'_>>, FieldError> {
        let sources = self.mapping.columns.get(target).map_or(&[][..], Vec::as_slice);
        let mut zero = None;
        for source in sources {
            let cell = self.cell(target, source, fields)?;
            if cell.text.is_empty() {
                continue;
            }
            let known = source.values.as_ref().and_then(|map| map.get(&cell.text));
            let is_filler = sources.len() > 1 && known.is_none() && self.is_zero(&cell.text);
            let value = match (known, &source.unknown) {
                (Some(value), _) | (None, Unknown::Becomes(value)) => value.clone(),
                // Nobody knows the value: the check of the row decides whether it will do.
                (None, Unknown::Keep) => cell.text,
                (None, Unknown::Next) => continue,
            };
            if value.is_empty() {
                continue;
            }
            let text = format!("{}{value}", source.prefix);
            let said = Said { cell: Cell { text, was_sealed: cell.was_sealed }, source };
            if !is_filler {
                return Ok(Some(said));
            }
            zero = zero.or(Some(said));
        }
        Ok(zero)
    }

    fn is_zero(&self, text: &str) -> bool {
        Number::read(text, &self.mapping.amounts).is_some_and(|number| number.is_zero())
    }

    /// The cell of a source; of several columns their values with the separator between them, and
    /// nothing where one of them says nothing: part of a name is no name.
    fn cell(&self, target: &str, source: &Source, fields: &[Vec<u8>]) -> Result<Cell, FieldError> {
        let mut joined = Cell { text: String::new(), was_sealed: false };
        for (index, column) in source.columns.iter().enumerate() {
            let cell = self.column(target, column, fields)?;
            if cell.text.is_empty() {
                return Ok(cell);
            }
            if index > 0 {
                joined.text.push_str(&source.separator);
            }
            joined.text.push_str(&cell.text);
            joined.was_sealed |= cell.was_sealed;
        }
        Ok(joined)
    }

    fn column(&self, target: &str, column: &str, fields: &[Vec<u8>]) -> Result<Cell, FieldError> {
        let place = self.places.get(column).copied();
        let bytes = place.and_then(|place| fields.get(place)).map_or(&[][..], Vec::as_slice);
        let encoding = self.mapping.encoding;
        let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) else {
            let detail = format!("column '{column}' is not {}", encoding.name());
            return Err(FieldError::new(pointer(target), "ENCODING", detail));
        };
        let trimmed = |text: &str| {
            let text = if self.mapping.trim { text.trim() } else { text };
            text.to_owned()
        };
        let text = trimmed(&text);
        let Some(fernet) = self.fernet.as_ref().filter(|_| !text.is_empty()) else {
            return Ok(Cell { text, was_sealed: false });
        };
        match fernet.open_text(&text) {
            Some(opened) => Ok(Cell { text: trimmed(&opened), was_sealed: true }),
            None if fernet.fields().any(|field| is_named(field, target, column)) => {
                let detail = "no Fernet key that was given opens this value; add the key that \
                              does to the file of --fernet-key-file";
                Err(FieldError::new(pointer(target), "FERNET", detail))
            }
            None => Ok(Cell { text, was_sealed: false }),
        }
    }

    fn put(&self, body: &mut Body, target: &str, said: Said<'_>) {
        let Said { cell, source } = said;
        let (text, style) = (cell.text.as_str(), &self.mapping.amounts);
        match target {
            "amount" => match Number::read(text, style) {
                Some(number) => self.put_amount(body, &number, source.side),
                None => {
                    let detail = refusal(&cell.shown(), style);
                    body.errors.push(FieldError::new("/amount", "AMOUNT", detail));
                }
            },
            "created_at" | "source_updated_at" => {
                match moment(text, &cell.shown(), &self.mapping.dates) {
                    Ok(moment) => body.set_text(target, &moment),
                    Err(detail) => {
                        body.errors.push(FieldError::new(pointer(target), "TIME", detail));
                    }
                }
            }
            _ => match source.kind {
                ValueKind::Text => body.set_text(target, text),
                ValueKind::Number => match json_number(text, style) {
                    Some(number) => body.set(target, number),
                    None => {
                        let detail = refusal(&cell.shown(), style);
                        body.errors.push(FieldError::new(pointer(target), "NUMBER", detail));
                    }
                },
            },
        }
    }

    /// Sets the amount and its side: a minus says the side that the mapping gives it, any other
    /// amount has the side of its column, or else the other one than a minus.
    fn put_amount(&self, body: &mut Body, number: &Number, column: Option<Side>) {
        let negative = self.mapping.amounts.negative;
        let is_negative = number.is_negative && !number.is_zero();
        let side = match (negative, column) {
            (Some(side), _) if number.is_negative => Some(side),
            (_, Some(side)) => Some(side),
            (Some(side), None) => Some(other(side)),
            (None, None) => None,
        };
        if is_negative && negative.is_none() && self.mapping.kind == RowKind::Transactions {
            let detail = "the amount is negative; say which side that is by `negative` under \
                          [amounts] in the mapping, or correct the row";
            body.errors.push(FieldError::new("/amount", "AMOUNT", detail));
            return;
        }
        let amount = if negative.is_some() { number.digits.clone() } else { number.signed() };
        body.set_text("amount", &amount);
        if let Some(side) = side {
            body.set_text("side", side.name());
        }
    }
}

/// Whether a Fernet field is a column, or the target that the column fills.
fn is_named(field: &str, target: &str, column: &str) -> bool {
    field == column || field == target || target.strip_prefix("metadata.") == Some(field)
}

fn other(side: Side) -> Side {
    match side {
        Side::Debit => Side::Credit,
        Side::Credit => Side::Debit,
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

/// A number as JSON writes it, with its digits.
fn json_number(text: &str, style: &Amounts) -> Option<String> {
    let text = Number::read(text, style)?.signed();
    match daybook_core::Json::parse(&text, 0) {
        Ok(daybook_core::Json::Number(number)) => Some(number.into()),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(mapping: &str, header: &str, row: &str) -> String {
        let mapping = Mapping::parse(mapping).expect("a mapping");
        let header = header.split(';').map(str::to_owned).collect();
        let converter = Converter::new(mapping, header, None).expect("known columns");
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
        for refused in ["7,0", "-7.0", "7.0-", "(7.0)"] {
            assert_eq!(body(plain, "a", refused), "/amount AMOUNT ", "{refused}");
        }
        assert_eq!(body(plain, "a", "-0.00"), r#"{"amount":"-0.00"}"#);
    }

    #[test]
    fn a_zero_and_an_empty_cell_take_the_next_column_of_a_list() {
        let mapping = r#"
            [columns]
            amount = [{ column = "d", side = "debit" }, { column = "c", side = "credit" }]
            "metadata.fee" = [{ column = "d", type = "number" }, { column = "c", type = "number" }]
        "#;
        let said = |amount: &str, side: &str, fee: &str| {
            format!(r#"{{"amount":"{amount}","side":"{side}","metadata":{{"fee":{fee}}}}}"#)
        };
        for (row, expected) in [
            ("500.00;0.00", said("500.00", "debit", "500.00")),
            ("0.00;20000.00", said("20000.00", "credit", "20000.00")),
            (";20000.00", said("20000.00", "credit", "20000.00")),
            ("500.00;", said("500.00", "debit", "500.00")),
            ("-0;7", said("7", "credit", "7")),
            ("0.00;0", said("0.00", "debit", "0.00")),
            (";0.00", said("0.00", "credit", "0.00")),
            ("x;7", "/amount AMOUNT /metadata/fee NUMBER ".to_owned()),
            ("-5;7", "/amount AMOUNT ".to_owned()),
        ] {
            assert_eq!(body(mapping, "d;c", row), expected, "{row}");
        }
    }

    #[test]
    fn every_column_of_a_list_may_say_what_a_value_means() {
        let mapping = |unknown: &str| {
            format!(
                r#"
                [columns]
                amount = [{{ column = "d", values = {{ "n/a" = "", "0" = "0" }}{unknown} }}, "c"]
                side = [{{ column = "d", otherwise = "debit" }}, {{ column = "c", otherwise = "credit" }}]
                "#
            )
        };
        let (keep, next) = (mapping(", unknown = \"keep\""), mapping(", unknown = \"next\""));
        for (text, row, expected) in [
            (&keep, "5;7", r#"{"amount":"5","side":"debit"}"#),
            (&keep, "n/a;7", r#"{"amount":"7","side":"debit"}"#),
            (&keep, "0.00;7", r#"{"amount":"7","side":"credit"}"#),
            // The map says that this zero is an amount.
            (&keep, "0;7", r#"{"amount":"0","side":"credit"}"#),
            (&next, "5;7", r#"{"amount":"7","side":"debit"}"#),
            (&mapping(""), "5;7", r#"{"amount":"7","side":"debit"}"#),
        ] {
            assert_eq!(body(text, "d;c", row), expected, "{row} in {text}");
        }
        // A single column keeps its zero.
        let one = "[columns]\namount = { column = \"a\", side = \"debit\" }";
        assert_eq!(body(one, "a", "0"), r#"{"amount":"0","side":"debit"}"#);
    }

    #[test]
    fn a_minus_says_the_side_and_then_the_column() {
        let mapping = "[columns]\namount = [{ column = \"d\", side = \"debit\" }, \"c\"]\n\
                       [amounts]\nnegative = \"credit\"";
        for (row, expected) in [
            ("5;", r#"{"amount":"5","side":"debit"}"#),
            ("-5;", r#"{"amount":"5","side":"credit"}"#),
            (";5", r#"{"amount":"5","side":"debit"}"#),
            (";-5", r#"{"amount":"5","side":"credit"}"#),
        ] {
            assert_eq!(body(mapping, "d;c", row), expected, "{row}");
        }
    }

    #[test]
    fn columns_are_joined_where_each_says_something() {
        let mapping = r#"
            [columns]
            external_id = [{ join = ["a", "b"], separator = "/" }, { join = ["b", "c"], prefix = "x" }]
        "#;
        for (row, expected) in [
            ("1;2;3", r#"{"external_id":"1/2"}"#),
            (";2;3", r#"{"external_id":"x2-3"}"#),
            ("1;;3", "{}"),
        ] {
            assert_eq!(body(mapping, "a;b;c", row), expected, "{row}");
        }
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
        let converter = Converter::new(mapping, vec!["u".to_owned()], None).expect("a converter");
        let refused = converter.body(&[b"caf\xe9".to_vec()]).expect_err("no UTF-8");
        assert!(matches!(refused, Rejection::Invalid(e) if e[0].code == "ENCODING"));
        let mapping = "[file]\nencoding = \"windows-1250\"\n[columns]\nuser_id = \"u\"";
        let mapping = Mapping::parse(mapping).expect("a mapping");
        let converter = Converter::new(mapping, vec!["u".to_owned()], None).expect("a converter");
        let body = converter.body(&[b"\x9elut\xfd".to_vec()]).expect("Czech");
        assert_eq!(body, r#"{"user_id":"žlutý"}"#);
    }
}
