//! How the columns of a character-separated file become the fields of a transaction or a transfer.
//! The format of the mapping file is explained in `docs/import.md`.

use std::collections::BTreeMap;
use std::path::Path;

use daybook_core::transaction::Side;
use encoding_rs::Encoding;
use serde::Deserialize;
use serde::de::Error as _;
use toml::Value;

use super::date::{DateFormat, Dates};
use super::opening::Opening;
use super::record::Format;
use crate::output::usage;

/// The fields of a transaction that a column or a constant may fill, besides `metadata.<key>`.
const TRANSACTION: &[&str] = &[
    "id",
    "user_id",
    "transaction_type",
    "product",
    "status",
    "currency",
    // The sign of an amount may say the side, and a column of its own knows better.
    "amount",
    "side",
    "source",
    "external_id",
    "source_version",
    "source_updated_at",
    "created_at",
];
/// The fields of a transfer that may be filled.
const TRANSFER: &[&str] = &[
    "source_account_id",
    "destination_account_id",
    "amount",
    "currency",
    "reference",
    "created_at",
];
/// The fields of a transfer that must be.
const TRANSFER_NEEDS: &[&str] = &["source_account_id", "destination_account_id", "amount"];

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    #[default]
    Transactions,
    Transfers,
}

impl RowKind {
    /// The fields that may be filled, besides `metadata.<key>`.
    pub fn targets(self) -> &'static [&'static str] {
        match self {
            Self::Transactions => TRANSACTION,
            Self::Transfers => TRANSFER,
        }
    }
}

/// A mapping file, checked.
#[derive(Debug)]
pub struct Mapping {
    pub kind: RowKind,
    /// How accounts are opened that are not there yet; `None` leaves them unknown.
    pub accounts: Option<Opening>,
    pub format: Format,
    pub encoding: &'static Encoding,
    /// The columns' names, where the file does not begin with them.
    pub names: Option<Vec<String>>,
    pub trim: bool,
    /// For each target the columns to try, in this order.
    pub columns: BTreeMap<String, Vec<Source>>,
    /// What a target says when no column says anything.
    pub constants: BTreeMap<String, Constant>,
    pub dates: Dates,
    pub amounts: Amounts,
}

/// One column that may fill a target, or several that do so together.
#[derive(Clone, Debug)]
pub struct Source {
    /// Never empty. Several say something only where each of them does.
    pub columns: Vec<String>,
    /// Stands between the values of several columns.
    pub separator: String,
    pub values: Option<BTreeMap<String, String>>,
    /// What becomes of a value that `values` does not know.
    pub unknown: Unknown,
    pub prefix: String,
    pub kind: ValueKind,
    /// The side of an amount in this column.
    pub side: Option<Side>,
}

/// What becomes of a value that a map does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    Becomes(String),
    /// It stays as it is.
    Keep,
    /// It says nothing, and the next column is asked.
    Next,
}

/// What a metadata value is in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    #[default]
    Text,
    Number,
}

/// A constant as it stands in JSON: a text with its quotes, or a number or truth without.
#[derive(Clone, Debug)]
pub struct Constant(pub String);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    pub decimal: Option<char>,
    pub thousands: Option<char>,
    /// The side that a minus sign says, seen from the user.
    pub negative: Option<Side>,
}

impl Amounts {
    pub fn decimal_sign(&self) -> char {
        self.decimal.unwrap_or('.')
    }

    /// Whether a character is the declared thousands sign; one kind of blank is as good as another.
    pub fn is_thousands(&self, character: char) -> bool {
        let is_blank = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}');
        self.thousands
            .is_some_and(|sign| sign == character || (is_blank(sign) && is_blank(character)))
    }

    fn check(&self) -> Result<(), String> {
        let is_free = |c: char| !c.is_alphanumeric() && !"+-\u{2212}()".contains(c);
        let decimal = self.decimal_sign();
        if !is_free(decimal) || decimal.is_whitespace() {
            return Err(format!("`amounts.decimal` cannot be '{decimal}'; it is '.' or ','"));
        }
        match self.thousands {
            Some(sign) if sign == decimal => Err(format!(
                "`amounts.thousands` and the decimal sign are both '{sign}'; say `amounts.decimal` \
                 too"
            )),
            Some(sign) if !is_free(sign) => {
                Err(format!("`amounts.thousands` cannot be '{sign}'; it is ',', '.', ' ' or '\\''"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingToml {
    #[serde(default)]
    file: FileToml,
    accounts: Option<Opening>,
    columns: BTreeMap<String, Value>,
    #[serde(default)]
    constants: BTreeMap<String, Value>,
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    dates: DatesToml,
    #[serde(default)]
    amounts: Amounts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileToml {
    records: RowKind,
    delimiter: char,
    quote: char,
    encoding: String,
    header: bool,
    names: Option<Vec<String>>,
    trim: bool,
}

impl Default for FileToml {
    fn default() -> Self {
        Self {
            records: RowKind::default(),
            delimiter: ',',
            quote: '"',
            encoding: "utf-8".to_owned(),
            header: true,
            names: None,
            trim: true,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DatesToml {
    formats: Vec<String>,
    tz: String,
    pivot: i16,
}

impl Default for DatesToml {
    fn default() -> Self {
        // The pivot of POSIX: 69 is 1969 and 68 is 2068.
        Self { formats: Vec::new(), tz: "UTC".to_owned(), pivot: 69 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceToml {
    column: Option<String>,
    join: Option<Vec<String>>,
    separator: Option<String>,
    values: Option<ValuesToml>,
    otherwise: Option<String>,
    unknown: Option<UnknownToml>,
    #[serde(default)]
    prefix: String,
    #[serde(default, rename = "type")]
    kind: ValueKind,
    side: Option<Side>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnknownToml {
    Keep,
    Next,
}

/// A value map, written where it is used, or the name of one of `[values.<name>]`.
enum ValuesToml {
    Named(String),
    Here(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for ValuesToml {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Named(name)),
            table => table.try_into().map(Self::Here).map_err(D::Error::custom),
        }
    }
}

impl Mapping {
    /// Reads and checks a mapping file.
    ///
    /// # Errors
    /// Says in one sentence what is wrong and where.
    pub fn read(path: &Path) -> anyhow::Result<(Self, String)> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| usage(format!("the mapping '{shown}' cannot be read: {error}")))?;
        let mapping = Self::parse(&text)
            .map_err(|wrong| usage(format!("the mapping '{shown}' is wrong: {wrong}")))?;
        Ok((mapping, text))
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let toml: MappingToml = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            format!("line {line}: {}", error.message())
        })?;
        let names = match (toml.file.header, toml.file.names) {
            (true, None) => None,
            (false, Some(names)) => Some(names),
            (true, Some(_)) => return Err("`file.names` is for files without header".to_owned()),
            (false, None) => return Err("a file without header needs `file.names`".to_owned()),
        };
        let mut columns = BTreeMap::new();
        for (target, value) in toml.columns {
            let wrong = |wrong| format!("`columns.{target}`: {wrong}");
            let sources = sources(value, &toml.values).map_err(wrong)?;
            if target != "amount" && sources.iter().any(|source| source.side.is_some()) {
                return Err(wrong("`side` says the side of an `amount`".to_owned()));
            }
            columns.insert(target, sources);
        }
        let mut constants = BTreeMap::new();
        for (target, value) in toml.constants {
            let constant = constant(&value)
                .ok_or_else(|| format!("`constants.{target}` is a text, a number or a truth"))?;
            constants.insert(target, constant);
        }
        let kind = toml.file.records;
        for target in columns.keys().chain(constants.keys()) {
            check_target(target, kind)?;
        }
        match kind {
            RowKind::Transactions if toml.accounts.is_some() => {
                return Err("`[accounts]` is for `file.records = \"transfers\"`".to_owned());
            }
            RowKind::Transactions => {}
            RowKind::Transfers => {
                let is_said =
                    |name: &str| columns.contains_key(name) || constants.contains_key(name);
                check_transfers(is_said, toml.amounts.negative)?;
                if columns.values().flatten().any(|source| source.side.is_some()) {
                    return Err(format!("`columns.amount`: {NO_SIDE}"));
                }
            }
        }
        toml.amounts.check()?;
        let tz = daybook_core::time::zone(&toml.dates.tz)
            .ok_or_else(|| format!("`dates.tz`: there is no time zone '{}'", toml.dates.tz))?;
        let formats = toml.dates.formats.iter().map(|format| DateFormat::parse(format));
        let wrong = |wrong| format!("`dates.formats`: {wrong}");
        let formats = formats.collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Self {
            kind,
            accounts: toml.accounts,
            format: Format {
                delimiter: byte(toml.file.delimiter, "delimiter")?,
                quote: byte(toml.file.quote, "quote")?,
            },
            encoding: encoding(&toml.file.encoding)?,
            names,
            trim: toml.file.trim,
            columns,
            constants,
            dates: Dates { formats, tz, pivot: toml.dates.pivot },
            amounts: toml.amounts,
        })
    }
}

const NO_SIDE: &str = "a transfer has no side: say in its accounts which way the money goes";

fn check_transfers(is_said: impl Fn(&str) -> bool, negative: Option<Side>) -> Result<(), String> {
    if let Some(missing) = TRANSFER_NEEDS.iter().find(|name| !is_said(name)) {
        return Err(format!("a transfer needs `{missing}`, in [columns] or in [constants]"));
    }
    if negative.is_some() {
        return Err(format!("`amounts.negative`: {NO_SIDE}"));
    }
    Ok(())
}

fn check_target(target: &str, kind: RowKind) -> Result<(), String> {
    let is_metadata = target.strip_prefix("metadata.").is_some_and(|key| !key.is_empty());
    if is_metadata || kind.targets().contains(&target) {
        return Ok(());
    }
    let known = kind.targets().join(", ");
    Err(format!("there is no field `{target}`; the fields are {known}, metadata.<key>"))
}

fn byte(character: char, name: &str) -> Result<u8, String> {
    u8::try_from(character)
        .ok()
        .filter(|byte| byte.is_ascii() && !matches!(byte, b'\n' | b'\r'))
        .ok_or_else(|| format!("`file.{name}` is one ASCII character"))
}

fn encoding(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes())
        .filter(|encoding| encoding.is_ascii_compatible())
        .ok_or_else(|| {
            format!("`file.encoding`: '{label}' is not known; utf-8, latin1 and windows-1250 are")
        })
}

fn constant(value: &Value) -> Option<Constant> {
    match value {
        Value::String(text) => serde_json::to_string(text).ok().map(Constant),
        Value::Integer(_) | Value::Boolean(_) => Some(Constant(value.to_string())),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

type Maps = BTreeMap<String, BTreeMap<String, String>>;

/// A column's name, a table that says more, or a list of both to try in order.
fn sources(value: Value, maps: &Maps) -> Result<Vec<Source>, String> {
    match value {
        Value::Array(items) if items.is_empty() => Err("the list of columns is empty".to_owned()),
        Value::Array(items) => {
            let last = items.len() - 1;
            let is_last = |index| if index == last { Unknown::Keep } else { Unknown::Next };
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| source(item, maps, is_last(index))).collect()
        }
        one => Ok(vec![source(one, maps, Unknown::Keep)?]),
    }
}

/// One column; `unmapped` becomes of what its map does not know, unless it says so itself.
fn source(value: Value, maps: &Maps, unmapped: Unknown) -> Result<Source, String> {
    let toml = match value {
        Value::String(column) => SourceToml {
            column: Some(column),
            join: None,
            separator: None,
            values: None,
            otherwise: None,
            unknown: None,
            prefix: String::new(),
            kind: ValueKind::Text,
            side: None,
        },
        table => SourceToml::deserialize(table).map_err(|error| error.message().to_owned())?,
    };
    let columns = match (toml.column, toml.join) {
        (Some(column), None) => vec![column],
        (None, Some(columns)) if columns.len() > 1 => columns,
        (None, Some(_)) => return Err("`join` names two columns or more".to_owned()),
        (Some(_), Some(_)) => return Err("say `column` or `join`, not both".to_owned()),
        (None, None) => return Err("say the `column`, or the columns to `join`".to_owned()),
    };
    if toml.separator.is_some() && columns.len() == 1 {
        return Err("`separator` stands between the columns of a `join`".to_owned());
    }
    let values = match toml.values {
        Some(ValuesToml::Here(map)) => Some(map),
        Some(ValuesToml::Named(name)) => {
            let map = maps.get(&name).cloned();
            Some(map.ok_or_else(|| format!("there is no [values.{name}]"))?)
        }
        None => {
            columns.iter().filter(|_| columns.len() == 1).find_map(|one| maps.get(one)).cloned()
        }
    };
    let unknown = match (toml.otherwise, toml.unknown) {
        (Some(_), Some(_)) => return Err("say `otherwise` or `unknown`, not both".to_owned()),
        (Some(value), None) => Unknown::Becomes(value),
        (None, Some(UnknownToml::Keep)) => Unknown::Keep,
        (None, Some(UnknownToml::Next)) => Unknown::Next,
        // Without a map every value is as good as known.
        (None, None) if values.is_none() => Unknown::Keep,
        (None, None) => unmapped,
    };
    Ok(Source {
        columns,
        separator: toml.separator.unwrap_or_else(|| "-".to_owned()),
        values,
        unknown,
        prefix: toml.prefix,
        kind: toml.kind,
        side: toml.side,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_mapping_says_what_is_wrong() {
        for (text, expected) in [
            ("", "line 1: missing field `columns`"),
            ("[columns]\nuser = \"a\"", "there is no field `user`; the fields are id, user_id,"),
            ("[columns]\namount = []", "`columns.amount`: the list of columns is empty"),
            ("[columns]\namount = { }", "`columns.amount`: say the `column`, or the columns to"),
            (
                "[columns]\nsource = { join = [\"a\"] }",
                "`columns.source`: `join` names two columns or more",
            ),
            ("[columns]\namount = { col = \"a\" }", "`columns.amount`: unknown field `col`"),
            (
                "[columns]\nside = { column = \"a\", values = \"x\" }",
                "`columns.side`: there is no [values.x]",
            ),
            ("[file]\nheader = false\n[columns]", "a file without header needs `file.names`"),
            ("[file]\nencoding = \"ebcdic\"\n[columns]", "`file.encoding`: 'ebcdic' is not known"),
            ("[file]\nencoding = \"utf-16\"\n[columns]", "`file.encoding`: 'utf-16' is not known"),
            ("[file]\ndelimiter = \"é\"\n[columns]", "`file.delimiter` is one ASCII character"),
            ("[dates]\ntz = \"Nowhere\"\n[columns]", "`dates.tz`: there is no time zone 'Nowhere'"),
            ("[dates]\ntz = \"localtime\"\n[columns]", "`dates.tz`: there is no time zone 'local"),
            ("[constants]\namount = 1.5\n[columns]", "`constants.amount` is a text, a number or"),
            (
                "[file]\nrecords = \"accounts\"\n[columns]",
                "line 2: unknown variant `accounts`, exp",
            ),
            (
                "[columns]\nside = { column = \"a\", otherwise = \"x\", unknown = \"keep\" }",
                "`columns.side`: say `otherwise` or `unknown`, not both",
            ),
            (
                "[columns]\nstatus = { column = \"a\", side = \"debit\" }",
                "`columns.status`: `side` says the side of an `amount`",
            ),
            (
                "[amounts]\nthousands = \".\"\n[columns]",
                "`amounts.thousands` and the decimal sign are both '.'; say `amounts.decimal` too",
            ),
            ("[amounts]\nthousands = \"0\"\n[columns]", "`amounts.thousands` cannot be '0'"),
            ("[amounts]\ndecimal = \"-\"\n[columns]", "`amounts.decimal` cannot be '-'"),
            (
                "[dates]\nformats = [\"%d.%m.%Y %Z\"]\n[columns]",
                "`dates.formats`: '%d.%m.%Y %Z' has '%Z', which cannot be read",
            ),
            (
                "[dates]\nformats = [\"%d.%m.%Y %I:%M\"]\n[columns]",
                "`dates.formats`: '%d.%m.%Y %I:%M' has an hour of twelve and no '%p'",
            ),
            ("[accounts]\n[columns]", "`[accounts]` is for `file.records = \"transfers\"`"),
        ] {
            let said = Mapping::parse(text).expect_err("wrong");
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }

    #[test]
    fn a_wrong_mapping_of_transfers_says_what_is_wrong() {
        let accounts = "source_account_id = \"a\"\ndestination_account_id = \"b\"\n";
        for (text, expected) in [
            ("user_id = \"a\"", "there is no field `user_id`; the fields are source_account_id, "),
            (
                "source_account_id = \"a\"",
                "a transfer needs `destination_account_id`, in [columns]",
            ),
            (
                &format!("{accounts}amount = \"c\"\n[amounts]\nnegative = \"debit\""),
                "`amounts.negative`: a transfer has no side",
            ),
            (
                &format!("{accounts}amount = {{ column = \"c\", side = \"debit\" }}"),
                "`columns.amount`: a transfer has no side",
            ),
            (
                &format!("{accounts}amount = \"c\"\n[accounts]\nowner = \"x\""),
                "line 8: unknown field `owner`, expected one of `currency`, `owner_prefix`,",
            ),
        ] {
            let text = format!("[file]\nrecords = \"transfers\"\n[columns]\n{text}");
            let said = Mapping::parse(&text).expect_err("wrong");
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }

    #[test]
    fn every_shipped_mapping_is_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let files = std::fs::read_dir(folder).expect("the folder of mappings");
        let read = files.map(|file| Mapping::read(&file.expect("a file").path()).expect("right"));
        assert!(read.count() > 0);
    }
}
