//! What stands in the place of a sealed value: a JSON string that no client can send. The sensitive values
//! of a record are sealed together; the first mark of them has all, each other says which it is.

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
pub const BEGINNING: &str = "\"\u{7f}";

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

/// What values are bound to, so that they open in no other record and at no other places.
pub fn bound<'a>(record: Uuid, paths: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut bound = Vec::with_capacity(128);
    bound.extend_from_slice(b"daybook seal v1");
    bound.extend_from_slice(record.as_bytes());
    for path in paths {
        bound.extend_from_slice(&(path.len() as u64).to_be_bytes());
        bound.extend_from_slice(path.as_bytes());
    }
    bound
}

/// That values of a record cannot be opened.
pub fn does_not_open(record: Uuid, path: &str) -> Error {
    Error::Corrupt { what: format!("the sealed `{path}` of {record} does not open") }
}

/// What stands in the place of a value, and the number of the key that sealed it.
pub enum Mark {
    /// All values of a record, of which this is the place of the first: the nonce, the ciphertext of a
    /// JSON array, and the tag.
    All { number: i64, sealed: Vec<u8> },
    /// The place of another one, and which it is.
    One { number: i64, index: usize },
}

impl Mark {
    /// The text of the JSON string.
    pub fn to_text(&self) -> String {
        match self {
            Self::All { number, sealed } => {
                format!("{RESERVED}{number}.{}", URL_SAFE_NO_PAD.encode(sealed))
            }
            Self::One { number, index } => format!("{RESERVED}{number}:{index}"),
        }
    }

    /// Reads the text of a JSON string; `None` when it is no mark. What begins as one and is none
    /// is damaged, because no client can send such a text.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix(RESERVED)?;
        let end = text.find(['.', ':'])?;
        let (number, rest) = text.split_at(end);
        let number = number.parse().ok()?;
        if let Some(sealed) = rest.strip_prefix('.') {
            return Some(Self::All { number, sealed: URL_SAFE_NO_PAD.decode(sealed).ok()? });
        }
        Some(Self::One { number, index: rest.strip_prefix(':')?.parse().ok()? })
    }

    /// The key number of a JSON string that is a mark, without a look at the rest: that of no key
    /// when the number is damaged.
    pub fn number(text: &str) -> Option<i64> {
        text.strip_prefix(RESERVED).map(number)
    }
}

/// The number that a mark begins with.
fn number(text: &str) -> i64 {
    let number = text.split_once(['.', ':']).and_then(|(number, _)| number.parse().ok());
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

/// Where a mark stands in a JSON text: from where to where, and at which path.
pub struct Place {
    pub from: usize,
    pub to: usize,
    pub path: String,
}

/// Finds all marks in a JSON text, in order.
pub fn find(json: &str) -> Result<Vec<(Place, Mark)>> {
    let mut found = Vec::new();
    if may_be_in(json) {
        find_under(json, json, &mut String::new(), &mut found)?;
    }
    Ok(found)
}

fn find_under(
    whole: &str,
    part: &str,
    path: &mut String,
    found: &mut Vec<(Place, Mark)>,
) -> Result<()> {
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
            found.push((Place { from, to, path: path.clone() }, mark));
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
        let mark = |mark: Mark| serde_json::to_string(&mark.to_text()).expect("JSON");
        let all = mark(Mark::All { number: 7, sealed: vec![1, 2, 3] });
        let one = mark(Mark::One { number: 7, index: 1 });
        let looks_so = "a \\\"\u{7f}7.AQID\\\" b";
        let json = format!(
            r#"{{"id":1,"metadata":{{"note":"{looks_so}","x":[{{"y":{all}}},{one}]}},"display":{all}}}"#
        );
        let found = find(&json).expect("JSON");
        let paths: Vec<&str> = found.iter().map(|(place, _)| place.path.as_str()).collect();
        assert_eq!(paths, ["metadata.x.y", "metadata.x", "display"]);
        assert!(matches!(found[1].1, Mark::One { number: 7, index: 1 }));
        let texts = found.iter().map(|(place, _)| json.get(place.from..place.to).expect("a place"));
        assert!(texts.eq([all.as_str(), &one, &all]));
        let parts = found.iter().map(|(place, _)| (place.from, place.to, "null"));
        assert_eq!(replaced(&json, parts), json.replace(&all, "null").replace(&one, "null"));
        assert_eq!(numbers(&json).filter(|number| *number == 7).count(), 4);
        assert!(find(r#"{"metadata":{}}"#).expect("JSON").is_empty());
    }

    #[test]
    fn what_is_no_mark_is_told_apart() {
        for text in ["\u{7f}", "\u{7f}7", "\u{7f}x.AQID", "\u{7f}7.A", "\u{7f}7:x", "7.AQID"] {
            assert!(Mark::read(text).is_none(), "{text}");
        }
        assert_eq!((Mark::number("\u{7f}x.AQID"), Mark::number("7.AQID")), (Some(NO_KEY), None));
    }
}
