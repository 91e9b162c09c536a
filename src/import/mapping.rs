//! How the columns of a character-separated file become the fields of a transaction or a transfer.
//! The format of the mapping file is explained in `docs/import.md`.

use std::collections::BTreeMap;
use std::path::Path;

use encoding_rs::Encoding;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::Error as _;
use toml::Value;

use super::opening::Opening;
use super::record::Format;
use crate::output::usage;

/// The fields of a transaction that a column or a constant may fill, besides `metadata.<key>`.
const TRANSACTION: &[&str] = &[
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

/// One column that may fill a target.
#[derive(Clone, Debug)]
pub struct Source {
    pub column: String,
    pub values: Option<BTreeMap<String, String>>,
    /// What a value becomes that `values` does not know.
    pub otherwise: Option<String>,
    pub prefix: String,
    pub kind: ValueKind,
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

#[derive(Debug)]
pub struct Dates {
    pub formats: Vec<String>,
    pub tz: TimeZone,
    /// Years of two digits from this one on belong to the 1900s.
    pub pivot: i16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    pub decimal: Option<char>,
    pub thousands: Option<char>,
    pub negative: Option<Negative>,
}

/// What a minus sign says, seen from the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negative {
    Debit,
    Credit,
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
    column: String,
    values: Option<ValuesToml>,
    otherwise: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default, rename = "type")]
    kind: ValueKind,
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
            let sources = sources(value, &toml.values)
                .map_err(|wrong| format!("`columns.{target}`: {wrong}"))?;
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
            }
        }
        let tz = daybook_core::time::zone(&toml.dates.tz)
            .ok_or_else(|| format!("`dates.tz`: there is no time zone '{}'", toml.dates.tz))?;
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
            dates: Dates { formats: toml.dates.formats, tz, pivot: toml.dates.pivot },
            amounts: toml.amounts,
        })
    }
}

fn check_transfers(
    is_said: impl Fn(&str) -> bool,
    negative: Option<Negative>,
) -> Result<(), String> {
    if let Some(missing) = TRANSFER_NEEDS.iter().find(|name| !is_said(name)) {
        return Err(format!("a transfer needs `{missing}`, in [columns] or in [constants]"));
    }
    if negative.is_some() {
        let why = "a transfer has no side: say in its accounts which way the money goes";
        return Err(format!("`amounts.negative`: {why}"));
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
        Value::Array(items) => items.into_iter().map(|item| source(item, maps)).collect(),
        one => Ok(vec![source(one, maps)?]),
    }
}

fn source(value: Value, maps: &Maps) -> Result<Source, String> {
    let toml = match value {
        Value::String(column) => SourceToml {
            column,
            values: None,
            otherwise: None,
            prefix: String::new(),
            kind: ValueKind::Text,
        },
        table => SourceToml::deserialize(table).map_err(|error| error.message().to_owned())?,
    };
    let values = match toml.values {
        Some(ValuesToml::Here(map)) => Some(map),
        Some(ValuesToml::Named(name)) => {
            let map = maps.get(&name).cloned();
            Some(map.ok_or_else(|| format!("there is no [values.{name}]"))?)
        }
        None => maps.get(&toml.column).cloned(),
    };
    Ok(Source {
        column: toml.column,
        values,
        otherwise: toml.otherwise,
        prefix: toml.prefix,
        kind: toml.kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_mapping_says_what_is_wrong() {
        for (text, expected) in [
            ("", "line 1: missing field `columns`"),
            ("[columns]\nuser = \"a\"", "there is no field `user`; the fields are user_id,"),
            ("[columns]\namount = []", "`columns.amount`: the list of columns is empty"),
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
            ("[constants]\namount = 1.5\n[columns]", "`constants.amount` is a text, a number or"),
            (
                "[file]\nrecords = \"accounts\"\n[columns]",
                "line 2: unknown variant `accounts`, exp",
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
