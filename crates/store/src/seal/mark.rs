//! What stands in the place of a sealed value: a JSON string that no client can send.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_core::json::Fields;
use daybook_core::secrets::RESERVED;
use daybook_core::{AccountId, Subject};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Error, Result};

/// How every mark begins in JSON text. In such text a quote within a string has a backslash before
/// it, so this is found nowhere else but where a string begins.
const BEGINNING: &str = "\"\\u0001";

/// The number of no key, so that what needs it does not open.
const NO_KEY: i64 = -1;

/// The record that an account is.
pub fn record_of(account: AccountId) -> Uuid {
    Uuid::from_u64_pair(0, account.0 as u64)
}

/// The record that an event is of; `None` where nothing is ever sealed.
pub fn record(subject: Subject) -> Option<Uuid> {
    match subject {
        Subject::Item(id) => Some(id.0),
        Subject::Transfer(id) => Some(id.0),
        Subject::Account(id) => Some(record_of(id)),
        Subject::Key(_) | Subject::Audit => None,
    }
}

/// Where a sealed value stands.
pub struct Field<'a> {
    pub record: Uuid,
    /// In the record's published JSON.
    pub path: &'a str,
}

impl Field<'_> {
    /// What a value is bound to, so that it opens nowhere else.
    pub fn bound(&self) -> Vec<u8> {
        [b"daybook seal v1", self.record.as_bytes().as_slice(), self.path.as_bytes()].concat()
    }

    pub fn does_not_open(&self) -> Error {
        Error::Corrupt {
            what: format!("the sealed `{}` of {} does not open", self.path, self.record),
        }
    }
}

/// A sealed value, and the number of the key that sealed it.
pub struct Mark {
    pub number: i64,
    /// The nonce, the ciphertext and the tag.
    pub sealed: Vec<u8>,
}

impl Mark {
    /// The text of the JSON string.
    pub fn to_text(&self) -> String {
        format!("{RESERVED}{}.{}", self.number, URL_SAFE_NO_PAD.encode(&self.sealed))
    }

    /// Takes the sealed value out.
    pub fn take(&mut self) -> Self {
        Self { number: self.number, sealed: std::mem::take(&mut self.sealed) }
    }

    /// Reads the text of a JSON string; `None` when it is no mark. What begins as one and is none
    /// is damaged, because no client can send such a text.
    pub fn read(text: &str) -> Option<Self> {
        let (number, sealed) = text.strip_prefix(RESERVED)?.split_once('.')?;
        Some(Self { number: number.parse().ok()?, sealed: URL_SAFE_NO_PAD.decode(sealed).ok()? })
    }

    /// The key number of a JSON string that is a mark, without a look at the rest: that of no key
    /// when the number is damaged.
    pub fn number(text: &str) -> Option<i64> {
        text.strip_prefix(RESERVED).map(number)
    }
}

/// The number that a mark begins with.
fn number(text: &str) -> i64 {
    let number = text.split_once('.').and_then(|(number, _)| number.parse().ok());
    number.unwrap_or(NO_KEY)
}

/// Whether a JSON text may have marks.
pub fn may_be_in(json: &str) -> bool {
    json.contains(BEGINNING)
}

/// The numbers of the keys of all marks in a JSON text.
pub fn numbers(json: &str) -> impl Iterator<Item = i64> {
    json.split(BEGINNING).skip(1).map(number)
}

/// A mark in a JSON text: from where to where it stands, and at which path.
pub struct Place {
    pub from: usize,
    pub to: usize,
    pub path: String,
    pub mark: Mark,
}

/// Finds all marks in a JSON text, in order.
pub fn find(json: &str) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    if may_be_in(json) {
        find_under(json, json, &mut String::new(), &mut found)?;
    }
    Ok(found)
}

fn find_under(whole: &str, part: &str, path: &mut String, found: &mut Vec<Place>) -> Result<()> {
    match part.as_bytes().first() {
        Some(b'{') if may_be_in(part) => {
            for (key, value) in Fields::parse(part).map_err(|_| unreadable())?.0 {
                let parent = path.len();
                if parent > 0 {
                    path.push('.');
                }
                path.push_str(&key);
                find_under(whole, value.get(), path, found)?;
                path.truncate(parent);
            }
        }
        Some(b'[') if may_be_in(part) => {
            let items: Vec<&RawValue> = serde_json::from_str(part).map_err(|_| unreadable())?;
            for item in items {
                find_under(whole, item.get(), path, found)?;
            }
        }
        Some(b'"') if part.starts_with(BEGINNING) => {
            let text: String = serde_json::from_str(part).map_err(|_| unreadable())?;
            let mark = Mark::read(&text).ok_or_else(unreadable)?;
            let (from, to) = place_of(whole, part);
            found.push(Place { from, to, path: path.clone(), mark });
        }
        _ => {}
    }
    Ok(())
}

/// From where to where a part stands in the text that it was taken from.
pub fn place_of(whole: &str, part: &str) -> (usize, usize) {
    let from = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    (from, from + part.len())
}

fn unreadable() -> Error {
    Error::Corrupt { what: "the JSON of a record is unreadable".to_owned() }
}

/// Puts texts in the place of parts of a text; the parts are in order.
pub fn replaced<'a>(
    json: &str,
    parts: impl IntoIterator<Item = (usize, usize, &'a str)>,
) -> String {
    let mut text = String::with_capacity(json.len() + 256);
    let mut behind = 0;
    for (from, to, part) in parts {
        text.push_str(json.get(behind..from).unwrap_or_default());
        text.push_str(part);
        behind = to;
    }
    text.push_str(json.get(behind..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_stand_and_nowhere_else() {
        let mark = Mark { number: 7, sealed: vec![1, 2, 3] };
        let marked = serde_json::to_string(&mark.to_text()).expect("JSON");
        let looks_so = r#"a \"\u00017.AQID\" b"#;
        let json = format!(
            r#"{{"id":1,"metadata":{{"note":"{looks_so}","x":[{{"y":{marked}}},2]}},"display":{marked}}}"#
        );
        let found = find(&json).expect("JSON");
        let paths: Vec<&str> = found.iter().map(|place| place.path.as_str()).collect();
        assert_eq!(paths, ["metadata.x.y", "display"]);
        assert!(found.iter().all(|place| json.get(place.from..place.to) == Some(marked.as_str())));
        let parts = found.iter().map(|place| (place.from, place.to, "null"));
        assert_eq!(replaced(&json, parts), json.replace(&marked, "null"));
        assert_eq!(numbers(&json).filter(|number| *number == 7).count(), 3);
        assert!(find(r#"{"metadata":{}}"#).expect("JSON").is_empty());
    }
}
