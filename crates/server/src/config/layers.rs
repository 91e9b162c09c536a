//! Where values come from: the defaults, a file, the environment, flags; the later wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, DEFAULT_TOML, Error};

const PREFIX: &str = "DAYBOOK_";
/// Names the configuration file, so it is no key of it.
const FILE_VARIABLE: &str = "DAYBOOK_CONFIG";
/// The file that is read when none is named and it is there.
const FILE_DEFAULT: &str = "daybook.toml";

/// Numbers whose zero turns something off.
const MAY_BE_ZERO: &[&str] = &[
    "ledger.verify_interval_s",
    "limits.start_wait_s",
    "rate.address_reads",
    "rate.address_writes",
    "rate.address_batch_items",
    "rate.address_tokens",
    "rate.user_reads",
    "rate.user_writes",
    "rate.user_batch_items",
    "rate.service_reads",
    "rate.service_writes",
    "rate.service_batch_items",
];

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    /// A variable that names no key.
    Environment,
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment => f.write_str("from the environment"),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value that the command line gives to a key.
#[derive(Clone)]
pub struct Flag {
    pub key: &'static str,
    /// As it is typed: `--listen`.
    pub name: &'static str,
    pub value: String,
}

/// What overrides the defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that must be there; otherwise `daybook.toml` is read when it is.
    pub file: Option<PathBuf>,
    /// Variables; those that do not begin with `DAYBOOK_` are passed over.
    pub environment: Vec<(String, String)>,
    pub flags: Vec<Flag>,
}

/// A configuration together with who set each value.
#[derive(Clone)]
pub struct Effective {
    pub config: Config,
    values: BTreeMap<String, (Value, Origin)>,
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}

impl Effective {
    /// Lays the sources over the defaults.
    ///
    /// # Errors
    /// Names the first key that is unknown or has a value that it cannot have.
    pub fn load(sources: Sources) -> Result<Self, Error> {
        let mut layers = Layers::defaults()?;
        let variable = |name: &str| {
            let found =
                sources.environment.iter().find(|(n, value)| n == name && !value.is_empty());
            found.map(|(_, value)| PathBuf::from(value))
        };
        let named = sources.file.clone().or_else(|| variable(FILE_VARIABLE));
        let standing = || Some(PathBuf::from(FILE_DEFAULT)).filter(|path| path.exists());
        if let Some(path) = named.or_else(standing) {
            let table = read(&path)?;
            layers.lay("", table, &Origin::File(path))?;
        }
        for (name, text) in &sources.environment {
            if name.starts_with(PREFIX) && name != FILE_VARIABLE && !is_service_link(name, text) {
                let key = layers.key_of_variable(name)?;
                layers.set_text(&key, text, Origin::Variable(name.clone()))?;
            }
        }
        for flag in sources.flags {
            layers.set_text(flag.key, &flag.value, Origin::Flag(flag.name))?;
        }
        layers.finish()
    }

    /// Who set a key; `None` when there is no such key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// The effective values as TOML, in the order of the defaults, each with where it came from.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for line in key_lines() {
            match line {
                KeyLine::Section(name) => text.push_str(&format!("\n[{name}]\n")),
                KeyLine::Key(key) => {
                    let Some((value, origin)) = self.values.get(&key) else {
                        continue;
                    };
                    let name = key.rsplit('.').next().unwrap_or(&key);
                    let is_secret =
                        ["secret", "auth.key_secret", "encryption.key"].contains(&key.as_str());
                    let secret = is_secret && value.as_str() != Some("");
                    let shown = match value.as_str() {
                        _ if secret => "\"********\"".to_owned(),
                        Some(url) if ["store", "replica", "auth.jwks_url"].contains(&&*key) => {
                            inline(&Value::String(daybook_store::masked(url)))
                        }
                        _ => inline(value),
                    };
                    text.push_str(&format!("{name} = {shown} # {origin}\n"));
                }
            }
        }
        text
    }
}

/// A value on one line; the serializer writes tables as sections.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entries = table.iter().map(|(name, value)| format!("{name} = {}", inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => value.to_string(),
    }
}

enum KeyLine {
    Section(String),
    Key(String),
}

/// The sections and keys in the order in which the defaults explain them.
fn key_lines() -> Vec<KeyLine> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            lines.push(KeyLine::Section(name.to_owned()));
        } else if !line.starts_with('#')
            && let Some((name, _)) = line.split_once(" = ")
        {
            lines.push(KeyLine::Key(format!("{section}{name}")));
        }
    }
    lines
}

struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Layers {
    fn defaults() -> Result<Self, Error> {
        let table: Table = DEFAULT_TOML.parse().map_err(|error: toml::de::Error| {
            Error::Inconsistent { reason: error.message().to_owned() }
        })?;
        let mut values = BTreeMap::new();
        for line in key_lines() {
            if let KeyLine::Key(key) = line {
                let found = match key.split_once('.') {
                    Some((section, name)) => table.get(section).and_then(|t| t.get(name)),
                    None => table.get(&key),
                };
                values.extend(found.map(|value| (key, (value.clone(), Origin::Default))));
            }
        }
        Ok(Self { values })
    }

    /// Lays a file's table over the values; `path` is the dotted name of the section it is.
    fn lay(&mut self, path: &str, table: Table, origin: &Origin) -> Result<(), Error> {
        for (name, value) in table {
            let key = if path.is_empty() { name } else { format!("{path}.{name}") };
            let section = format!("{key}.");
            match value {
                Value::Table(inner) if self.values.keys().any(|k| k.starts_with(&section)) => {
                    self.lay(&key, inner, origin)?;
                }
                value => self.set(&key, value, origin.clone())?,
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), Error> {
        let Some((old, old_origin)) = self.values.get_mut(key) else {
            let nearest = nearest(key, self.values.keys().map(String::as_str), '.');
            return Err(Error::Unknown { key: key.to_owned(), origin, nearest });
        };
        if let Some(expected) = mismatch(key, old, &value) {
            return Err(Error::Wrong { key: key.to_owned(), origin, expected });
        }
        (*old, *old_origin) = (value, origin);
        Ok(())
    }

    /// Sets a key from text, read as its default's type.
    fn set_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Error> {
        let value = match self.values.get(key).map(|(old, _)| old) {
            Some(old) => from_text(text, old),
            None => Value::String(text.to_owned()),
        };
        self.set(key, value, origin)
    }

    fn key_of_variable(&self, name: &str) -> Result<String, Error> {
        let variables: Vec<(String, &String)> =
            self.values.keys().map(|key| (variable_of(key), key)).collect();
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, key)| (*key).clone()).ok_or_else(|| {
            let nearest = nearest(name, variables.iter().map(|(v, _)| v.as_str()), '_');
            Error::Unknown { key: name.to_owned(), origin: Origin::Environment, nearest }
        })
    }

    fn finish(self) -> Result<Effective, Error> {
        let mut table = Table::new();
        for (key, (value, _)) in &self.values {
            let place = match key.split_once('.') {
                Some((section, name)) => {
                    let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                    inner.as_table_mut().map(|inner| (inner, name))
                }
                None => Some((&mut table, key.as_str())),
            };
            if let Some((table, name)) = place {
                table.insert(name.to_owned(), value.clone());
            }
        }
        let wrong = |key: &str, expected: String| {
            let origin = self.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone());
            Error::Wrong { key: key.to_owned(), origin, expected }
        };
        let format = table.get("log").and_then(|log| log.get("format")).and_then(Value::as_str);
        if !matches!(format, Some("text" | "json")) {
            return Err(wrong("log.format", "text or json".to_owned()));
        }
        let config = Config::deserialize(table)
            .map_err(|error| Error::Inconsistent { reason: error.message().to_owned() })?;
        config.check().map_err(|(key, expected)| wrong(key, expected))?;
        Ok(Effective { config, values: self.values })
    }
}

fn read(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
    text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        Error::Syntax { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Kubernetes sets such variables in every pod beside a service that is named daybook.
fn is_service_link(name: &str, value: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
        || (rest == "PORT" && value.contains("://"))
        || (rest.starts_with("PORT_") && (rest.contains("_TCP") || rest.contains("_UDP")))
}

/// What is expected instead, when a value cannot stand where the old one stood.
fn mismatch(key: &str, old: &Value, new: &Value) -> Option<String> {
    let expected = match (old, new) {
        (Value::String(_), Value::String(_)) | (Value::Boolean(_), Value::Boolean(_)) => {
            return None;
        }
        (Value::Integer(_), Value::Integer(number)) if *number >= 1 => return None,
        (Value::Integer(_), Value::Integer(0)) if MAY_BE_ZERO.contains(&key) => return None,
        (Value::Array(_), Value::Array(items)) if items.iter().all(Value::is_str) => return None,
        (Value::Table(_), Value::Table(inner)) if inner.values().all(is_digits) => return None,
        (Value::String(_), _) => "a text in quotes",
        (Value::Boolean(_), _) => "true or false",
        (Value::Integer(_), _) => "a whole number from 1 on",
        (Value::Array(_), _) => "a list of texts",
        (Value::Table(_), _) => {
            "codes of 2 to 12 capital letters and digits, with 0 to 18 fraction digits, such as \
             { XYZ = 8 }"
        }
        (Value::Float(_) | Value::Datetime(_), _) => "of another type",
    };
    Some(expected.to_owned())
}

fn is_digits(value: &Value) -> bool {
    value.as_integer().is_some_and(|digits| (0..=18).contains(&digits))
}

fn from_text(text: &str, like: &Value) -> Value {
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let as_text = || Value::String(text.to_owned());
    match like {
        Value::Integer(_) => {
            text.trim().replace('_', "").parse().map_or_else(|_| as_text(), Value::Integer)
        }
        Value::Boolean(_) => text.trim().parse().map_or_else(|_| as_text(), Value::Boolean),
        Value::Array(_) => Value::Array(parts().map(|part| part.to_owned().into()).collect()),
        Value::Table(_) => {
            let entry = |part: &str| {
                let (name, number) = part.split_once('=')?;
                let number = number.trim().parse().ok()?;
                Some((name.trim().to_owned(), Value::Integer(number)))
            };
            parts().map(entry).collect::<Option<Table>>().map_or_else(as_text, Value::Table)
        }
        Value::String(_) | Value::Float(_) | Value::Datetime(_) => as_text(),
    }
}

/// The known name that is most like the given one, by its whole or by its last part; `None`
/// when none is alike.
fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
    separator: char,
) -> Option<String> {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    let distance = |candidate: &str| {
        let candidate = candidate.strip_prefix(PREFIX).unwrap_or(candidate);
        let last = candidate.split_once(separator).map_or(candidate, |(_, last)| last);
        let whole = strsim::damerau_levenshtein(bare, candidate);
        whole.min(strsim::damerau_levenshtein(bare, last) + 1)
    };
    let found = known.map(|candidate| (distance(candidate), candidate)).min()?;
    (found.0 <= bare.chars().count().div_ceil(2)).then(|| found.1.to_owned())
}
