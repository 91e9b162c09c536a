//! The CSV that `export` writes: it is told by its header and needs no mapping.

use daybook_core::Rejection;
use serde_json::value::RawValue;

use super::convert::object;
use super::record::{Format, split};
use crate::export::{COLUMNS, unguarded};

/// Columns that follow from the others.
const DERIVED: &[&str] = &["title", "category"];
/// Columns without which no export can be told from another file.
const NEEDED: &[&str] = &["id", "user_id", "transaction_type", "amount", "version", "recorded_at"];

pub const FORMAT: Format = Format { delimiter: b',', quote: b'"' };

/// The columns of an export, in the order of the file.
pub struct OwnColumns {
    names: Vec<&'static str>,
}

impl OwnColumns {
    /// Reads the header of an export; `None` when it is none.
    pub fn of_header(line: &[u8]) -> Option<Self> {
        let fields = split(line, FORMAT)?;
        let known = |field: &Vec<u8>| COLUMNS.iter().find(|name| name.as_bytes() == field).copied();
        let names = fields.iter().map(known).collect::<Option<Vec<_>>>()?;
        NEEDED.iter().all(|name| names.contains(name)).then_some(Self { names })
    }

    /// The body of a row, as an export of lines would have it.
    ///
    /// # Errors
    /// When the row has other columns, or one of them is not what an export writes.
    pub fn body(&self, fields: &[Vec<u8>]) -> Result<String, Rejection> {
        let count = self.names.len();
        if fields.len() != count {
            let detail = format!("the row has {} columns, not {count}", fields.len());
            return Err(Rejection::field("", "COLUMNS", detail));
        }
        let mut body = Vec::new();
        for (name, field) in self.names.iter().copied().zip(fields) {
            let Ok(text) = std::str::from_utf8(field) else {
                let detail = format!("column '{name}' is not UTF-8");
                return Err(Rejection::field(&format!("/{name}"), "ENCODING", detail));
            };
            if text.is_empty() || DERIVED.contains(&name) {
                continue;
            }
            let json = match name {
                // What is no JSON is refused by the checks of the row.
                "metadata" if serde_json::from_str::<&RawValue>(text).is_ok() => text.to_owned(),
                _ => serde_json::to_string(unguarded(text)).unwrap_or_default(),
            };
            body.push((name, json));
        }
        Ok(object(&body))
    }
}
