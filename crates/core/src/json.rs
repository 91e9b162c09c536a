//! Free JSON that comes back as it was sent: objects keep the order of their keys and numbers
//! keep their digits, which `serde_json::Value` does not promise.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::search::Decimal;

/// A JSON value. A number is its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Box<str>),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Says why a text is not the JSON that is wanted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JsonError {
    #[error("the JSON is malformed: {reason}")]
    Malformed { reason: String },
    #[error("the key '{key}' stands twice in one object")]
    DuplicateKey { key: String },
    #[error("the JSON is nested deeper than {max} levels")]
    TooDeep { max: usize },
}

impl Json {
    /// Reads a value nested at most `depth_max` levels.
    ///
    /// # Errors
    /// When the text is no JSON, repeats a key in one object, or is nested too deep.
    pub fn parse(text: &str, depth_max: usize) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(malformed)?;
        Self::from_raw(raw, depth_max)
    }

    /// As [`Json::parse`], for a value whose syntax is already known to be right.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn from_raw(raw: &RawValue, depth_max: usize) -> Result<Self, JsonError> {
        Self::read(raw, depth_max, depth_max)
    }

    fn read(raw: &RawValue, depth_left: usize, max: usize) -> Result<Self, JsonError> {
        let text = raw.get();
        let deeper = || depth_left.checked_sub(1).ok_or(JsonError::TooDeep { max });
        match text.as_bytes().first() {
            Some(b'{') => {
                let deeper = deeper()?;
                let fields = Fields::parse(text)?;
                let mut entries = Vec::with_capacity(fields.0.len());
                for (key, value) in fields.0 {
                    entries.push((key, Self::read(value, deeper, max)?));
                }
                Ok(Self::Object(entries))
            }
            Some(b'[') => {
                let deeper = deeper()?;
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(malformed)?;
                let items = items.into_iter().map(|item| Self::read(item, deeper, max));
                Ok(Self::Array(items.collect::<Result<_, _>>()?))
            }
            Some(b'"') => Ok(Self::String(serde_json::from_str(text).map_err(malformed)?)),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'n') => Ok(Self::Null),
            _ => Ok(Self::Number(text.into())),
        }
    }

    /// The value of a key of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    /// The text of a key of an object, when it is a string that is not blank.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Self::String(text)) if !text.trim().is_empty() => Some(text.trim()),
            _ => None,
        }
    }

    /// Visits every scalar with its dotted path; the items of an array share the array's path.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&str, &'a Json)) {
        self.visit_leaves(&mut |path, value| match value {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => visit(path, value),
            Self::Array(_) | Self::Object(_) => {}
        });
    }

    /// As [`Json::visit`], and visits empty arrays and objects too, below the value itself.
    pub fn visit_leaves<'a>(&'a self, visit: &mut impl FnMut(&str, &'a Json)) {
        self.visit_under(&mut String::new(), visit);
    }

    fn visit_under<'a>(&'a self, path: &mut String, visit: &mut impl FnMut(&str, &'a Json)) {
        match self {
            Self::Object(entries) if entries.is_empty() && !path.is_empty() => visit(path, self),
            Self::Array(items) if items.is_empty() && !path.is_empty() => visit(path, self),
            Self::Object(entries) => {
                for (key, value) in entries {
                    let parent = path.len();
                    if parent > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    value.visit_under(path, visit);
                    path.truncate(parent);
                }
            }
            Self::Array(items) => {
                for item in items {
                    item.visit_under(path, visit);
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => visit(path, self),
        }
    }

    /// How many keys the value has, those of nested objects included.
    #[must_use]
    pub fn key_count(&self) -> usize {
        match self {
            Self::Object(entries) => {
                entries.len() + entries.iter().map(|(_, value)| value.key_count()).sum::<usize>()
            }
            Self::Array(items) => items.iter().map(Json::key_count).sum(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
        }
    }

    /// Compares two values by their meaning: the order of keys says nothing, and numbers are compared
    /// by their value.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(entries), Self::Object(others)) => {
                entries.len() == others.len()
                    && entries
                        .iter()
                        .all(|(key, value)| other.get(key).is_some_and(|other| value.means(other)))
            }
            (Self::Array(items), Self::Array(others)) => {
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| item.means(other))
            }
            (Self::Number(text), Self::Number(other)) => {
                let value = Decimal::parse(text);
                text == other || (value.is_some() && value == Decimal::parse(other))
            }
            _ => self == other,
        }
    }

    /// Applies a JSON merge patch (RFC 7396): `null` removes a key, objects merge, the rest replaces.
    #[must_use]
    pub fn merge(self, patch: Json) -> Json {
        let Json::Object(changes) = patch else {
            return patch;
        };
        let mut entries = match self {
            Json::Object(entries) => entries,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Vec::new()
            }
        };
        for (key, change) in changes {
            let found = entries.iter().position(|(k, _)| *k == key);
            match (found, change) {
                (Some(at), Json::Null) => drop(entries.remove(at)),
                (None, Json::Null) => {}
                (Some(at), change) => {
                    if let Some((_, value)) = entries.get_mut(at) {
                        *value = std::mem::replace(value, Json::Null).merge(change);
                    }
                }
                (None, change) => entries.push((key, Json::Null.merge(change))),
            }
        }
        Json::Object(entries)
    }
}

fn malformed(error: serde_json::Error) -> JsonError {
    JsonError::Malformed { reason: error.to_string() }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(text) => RawValue::from_string(text.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(&raw, usize::MAX).map_err(serde::de::Error::custom)
    }
}

/// The fields of one JSON object, each still unread, in the order in which they came.
#[derive(Debug)]
pub struct Fields<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Splits an object into its fields.
    ///
    /// # Errors
    /// When the text is no JSON object, or one of its keys stands twice.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        struct Split;
        impl<'de> Visitor<'de> for Split {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(fields)
            }
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = reader.deserialize_map(Split).map_err(malformed)?;
        reader.end().map_err(malformed)?;
        let mut keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some([key, _]) = keys.array_windows().find(|[a, b]| a == b) {
            return Err(JsonError::DuplicateKey { key: (*key).to_owned() });
        }
        Ok(Self(fields))
    }

    /// Takes a field out; an explicit `null` counts as absent.
    pub fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        self.take_with_null(key).filter(|raw| raw.get() != "null")
    }

    /// Takes a field out, an explicit `null` included.
    pub fn take_with_null(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_back() {
        let text = r#"{"z":1.10,"a":[1e400,{"k":null}],"s":"caf\u00e9 \"x\"","t":true}"#;
        let json = Json::parse(text, 5).expect("valid");
        assert_eq!(
            json.to_string(),
            r#"{"z":1.10,"a":[1e400,{"k":null}],"s":"café \"x\"","t":true}"#
        );
    }

    #[test]
    fn duplicate_keys_and_deep_nesting_are_refused() {
        assert!(matches!(Json::parse(r#"{"a":1,"a":2}"#, 5), Err(JsonError::DuplicateKey { .. })));
        let deep = format!("{}{}", "[".repeat(6), "]".repeat(6));
        assert_eq!(Json::parse(&deep, 5), Err(JsonError::TooDeep { max: 5 }));
        let very_deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Json::parse(&very_deep, 5).is_err());
    }

    #[test]
    fn a_merge_patch_follows_rfc_7396() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let merged = Json::parse(target, 5)
                .expect("target")
                .merge(Json::parse(patch, 5).expect("patch"));
            assert_eq!(merged.to_string(), expected);
        }
    }
}
