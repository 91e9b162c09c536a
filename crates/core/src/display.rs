//! What people read about an item (its `display`): computed for every answer and never stored as
//! the truth. The kinds under `kind/` say what their items show, in the words that clients sent; here is
//! what they share, and `people` makes it fit for a screen. Events keep what was published, so what
//! people read of an old change stays as it was, and no proof compares it.

mod brands;
mod category;
mod merchant;
mod people;

use serde::Serialize;

use crate::id::EventSeq;
use crate::json::Json;
use crate::transaction::Transaction;

pub use category::Category;
pub use merchant::merchant;

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

impl Display {
    /// A title and a category; a kind adds what else it knows.
    #[must_use]
    pub fn titled(title: impl Into<String>, category: Category) -> Self {
        Self {
            title: title.into(),
            subtitle: None,
            category: category.name(),
            merchant: None,
            card: None,
        }
    }
}

impl Display {
    /// What people read about an item of which only the published JSON is there.
    #[must_use]
    pub fn of_published(body: &str) -> Option<Self> {
        let item = Transaction::of_published(body, EventSeq::default())?;
        Some(item.display())
    }
}

/// A middle dot between the parts of a subtitle.
const SEPARATOR: &str = " · ";

/// Joins what there is with a middle dot.
#[must_use]
pub fn join(parts: &[Option<&str>]) -> Option<String> {
    let mut joined = String::new();
    for part in parts.iter().copied().flatten().filter(|part| !part.is_empty()) {
        if !joined.is_empty() {
            joined.push_str(SEPARATOR);
        }
        joined.push_str(part);
    }
    (!joined.is_empty()).then_some(joined)
}

/// `•••• 5678`
#[must_use]
pub fn masked_card(last_four: &str) -> String {
    format!("•••• {last_four}")
}

/// The text or the number of the first of these keys that has one.
#[must_use]
pub fn first<'a>(metadata: &'a Json, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| match metadata.get(name) {
        Some(Json::Number(text)) => Some(&**text),
        _ => metadata.text(name),
    })
}

/// A name that programs use, as a sentence begins: `bank_transfer` becomes `Bank transfer`. What
/// has spaces or capitals already is meant for people and stays as it is.
#[must_use]
pub fn humanized(name: &str) -> String {
    if name.contains(char::is_whitespace) || name.contains(char::is_uppercase) {
        return name.to_owned();
    }
    let spaced = name.replace(['_', '-'], " ");
    let mut chars = spaced.chars();
    match chars.next() {
        Some(initial) => initial.to_uppercase().chain(chars).collect(),
        None => spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtitle_joins_only_what_there_is() {
        assert_eq!(join(&[Some("a"), None, Some(""), Some("b")]).as_deref(), Some("a · b"));
        assert_eq!(join(&[None, Some("")]), None);
    }

    #[test]
    fn names_for_programs_become_words_and_words_stay() {
        for (name, expected) in [
            ("bank_transfer", "Bank transfer"),
            ("cash", "Cash"),
            ("ACH", "ACH"),
            ("Apple Pay", "Apple Pay"),
            ("", ""),
        ] {
            assert_eq!(humanized(name), expected);
        }
    }
}
