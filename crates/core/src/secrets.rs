//! Which metadata fields are sensitive: those that the kinds name, and those that a deployment
//! adds.

use std::fmt;

use crate::json::Json;
use crate::kind;
use crate::transaction::TransactionType;

/// Begins every text that a store keeps in the place of a sealed value, so that no text and no key
/// that is sent may begin with it.
pub const RESERVED: char = '\u{7f}';

/// What has metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Item(TransactionType),
    /// Its items are of the type that people's transfers have.
    Transfer,
    /// What is sensitive in an item of any type.
    Account,
}

impl From<TransactionType> for Holder {
    fn from(transaction_type: TransactionType) -> Self {
        Self::Item(transaction_type)
    }
}

/// A field that a deployment adds, of one type or of every type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Added {
    of: Option<TransactionType>,
    path: String,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.of.map_or("*", TransactionType::name), self.path)
    }
}

/// The sensitive metadata fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Beyond those of the kinds.
    added: Vec<Added>,
}

/// The fields of an item that are not metadata. They are what items are found and counted by.
const ITEM_FIELDS: &[&str] = &[
    "id",
    "user_id",
    "transaction_type",
    "product",
    "status",
    "side",
    "side_given",
    "currency",
    "amount",
    "metadata",
    "display",
    "source",
    "external_id",
    "source_version",
    "source_updated_at",
    "version",
    "created_at",
    "recorded_at",
    "updated_at",
    "transfer_id",
];

/// Why a text names no sensitive field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' names no metadata field; write card.nickname, *.tax_id, or tax_id (and *.{name} for a \
     metadata field that is called as one of the item's own)"
)]
pub struct BadSecret {
    pub name: String,
}

impl Secrets {
    /// Adds fields to those of the kinds: `card.nickname` is a field of one type, `*.tax_id` and
    /// `tax_id` are of every type. Fields within others are written with dots.
    ///
    /// # Errors
    /// Names the first text that names no field.
    pub fn with(names: &[impl AsRef<str>]) -> Result<Self, BadSecret> {
        let read = |name: &str| {
            let (transaction_type, path) = match name.split_once('.') {
                Some(("*", path)) => (None, path),
                Some((first, path)) => match TransactionType::from_name(first) {
                    Some(transaction_type) => (Some(transaction_type), path),
                    None => (None, name),
                },
                None => (None, name),
            };
            let is_path = path.split('.').all(|key| !key.is_empty() && !key.contains('*'));
            // Whoever names such a field alone would believe that it is sealed.
            let is_own = ITEM_FIELDS.contains(&name);
            let bad = || BadSecret { name: name.to_owned() };
            let added = || Added { of: transaction_type, path: path.to_owned() };
            (is_path && !is_own).then(added).ok_or_else(bad)
        };
        let added = names.iter().map(|name| read(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(added))
    }

    fn of(mut added: Vec<Added>) -> Self {
        added.sort();
        added.dedup();
        Self { added }
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self::of([self.added.as_slice(), &others.added].concat())
    }

    /// The names of what was added, as [`Secrets::with`] reads them.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.added.iter().map(Added::to_string)
    }

    /// Whether what stands at a path is sealed as a whole.
    #[must_use]
    pub fn seals(&self, holder: impl Into<Holder>, path: &str) -> bool {
        let transaction_type = match holder.into() {
            Holder::Item(transaction_type) => transaction_type,
            Holder::Transfer => TransactionType::P2p,
            Holder::Account => return TransactionType::ALL.iter().any(|of| self.seals(*of, path)),
        };
        let is_of = |of: Option<TransactionType>| of.is_none_or(|of| of == transaction_type);
        kind::of(transaction_type).secrets().contains(&path)
            || self.added.iter().any(|added| added.path == path && is_of(added.of))
    }

    /// Whether a path of an item of this type is sensitive, or lies within what is.
    #[must_use]
    pub fn is_secret(&self, transaction_type: TransactionType, path: &str) -> bool {
        ancestry(path).any(|path| self.seals(transaction_type, path))
    }

    /// Whether a path is sensitive in items of any type.
    #[must_use]
    pub fn may_be_secret(&self, path: &str) -> bool {
        TransactionType::ALL.iter().any(|of| self.is_secret(*of, path))
    }

    /// Visits every value that is sealed as a whole, with its path; `null` has nothing to hide.
    pub fn visit<'a>(
        &self,
        holder: impl Into<Holder>,
        metadata: &'a mut Json,
        visit: &mut impl FnMut(&str, &'a mut Json),
    ) {
        let holder = holder.into();
        let seals = |path: &str| self.seals(holder, path);
        visit_under(metadata, &mut String::new(), &seals, visit);
    }

    /// Whether any value is sealed.
    #[must_use]
    pub fn has_any(&self, holder: impl Into<Holder>, metadata: &Json) -> bool {
        let holder = holder.into();
        has_under(metadata, &mut String::new(), &|path| self.seals(holder, path))
    }
}

/// A path, and the paths that it lies within.
fn ancestry(path: &str) -> impl Iterator<Item = &str> {
    let within = path.match_indices('.').filter_map(|(dot, _)| path.get(..dot));
    within.chain(std::iter::once(path))
}

fn visit_under<'a>(
    value: &'a mut Json,
    path: &mut String,
    seals: &impl Fn(&str) -> bool,
    visit: &mut impl FnMut(&str, &'a mut Json),
) {
    if !path.is_empty() && *value != Json::Null && seals(path) {
        return visit(path, value);
    }
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                let parent = deepen(path, key);
                visit_under(value, path, seals, visit);
                path.truncate(parent);
            }
        }
        Json::Array(items) => {
            for item in items {
                visit_under(item, path, seals, visit);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn has_under(value: &Json, path: &mut String, seals: &impl Fn(&str) -> bool) -> bool {
    if !path.is_empty() && *value != Json::Null && seals(path) {
        return true;
    }
    match value {
        Json::Object(entries) => entries.iter().any(|(key, value)| {
            let parent = deepen(path, key);
            let has = has_under(value, path, seals);
            path.truncate(parent);
            has
        }),
        Json::Array(items) => items.iter().any(|item| has_under(item, path, seals)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Adds a key to a path; answers how long the path was.
fn deepen(path: &mut String, key: &str) -> usize {
    let parent = path.len();
    if parent > 0 {
        path.push('.');
    }
    path.push_str(key);
    parent
}

/// Whether no text and no key begins as only a store may let it begin.
pub(crate) fn keeps_reserved_free(value: &Json) -> bool {
    match value {
        Json::String(text) => !text.starts_with(RESERVED),
        Json::Object(entries) => entries
            .iter()
            .all(|(key, value)| !key.starts_with(RESERVED) && keeps_reserved_free(value)),
        Json::Array(items) => items.iter().all(keeps_reserved_free),
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_of_one_type_or_of_every_type() {
        let secrets = Secrets::with(&["card.nickname", "*.tax_id", "bank.iban"]).expect("fields");
        let (card, p2p) = (TransactionType::Card, TransactionType::P2p);
        for (of, path, expected) in [
            (card, "card_last_four", true),
            (p2p, "card_last_four", false),
            (card, "nickname", true),
            (p2p, "nickname", false),
            (p2p, "tax_id", true),
            (p2p, "tax_id.number", true),
            (p2p, "tax", false),
            (p2p, "bank", false),
            (p2p, "bank.iban", true),
        ] {
            assert_eq!(secrets.is_secret(of, path), expected, "{path}");
        }
        assert!(secrets.may_be_secret("nickname") && !secrets.may_be_secret("merchant_name"));
        for bad in ["", "*.", "card.", "*", "a..b", "external_id", "amount"] {
            assert!(Secrets::with(&[bad]).is_err(), "{bad}");
        }
        assert!(Secrets::with(&["*.amount"]).expect("a field").is_secret(card, "amount"));
    }

    #[test]
    fn a_transfer_has_the_secrets_of_its_items_and_an_account_those_of_all() {
        let secrets = Secrets::with(&["card.nickname", "p2p.memo"]).expect("fields");
        for (path, transfer, account) in
            [("peer_email", true, true), ("memo", true, true), ("nickname", false, true)]
        {
            assert_eq!(secrets.seals(Holder::Transfer, path), transfer, "{path}");
            assert_eq!(secrets.seals(Holder::Account, path), account, "{path}");
        }
        assert!(!secrets.seals(Holder::Account, "merchant_name"));
    }

    #[test]
    fn fields_are_added_to_fields_and_named_as_they_are_read() {
        let (one, two) = (Secrets::with(&["tax_id"]), Secrets::with(&["card.a", "*.tax_id"]));
        let both = one.expect("a field").and(&two.expect("fields"));
        let names: Vec<String> = both.names().collect();
        assert_eq!(names, ["*.tax_id", "card.a"]);
        assert_eq!(Secrets::with(&names), Ok(both));
    }

    #[test]
    fn sealed_values_are_found_wherever_they_are() {
        let secrets = Secrets::with(&["people.iban", "doctor"]).expect("fields");
        let text = r#"{"people":[{"iban":1,"name":"A"},{"iban":null}],"doctor":{"name":"B"}}"#;
        let mut metadata = Json::parse(text, 9).expect("JSON");
        let mut found = Vec::new();
        secrets.visit(TransactionType::Other, &mut metadata, &mut |path, value| {
            found.push(format!("{path}={value}"));
        });
        assert_eq!(found, ["people.iban=1", r#"doctor={"name":"B"}"#]);
        assert!(secrets.has_any(TransactionType::Other, &metadata));
        let plain = Json::parse(r#"{"people":[{"name":"A"}],"doctor":null}"#, 9).expect("JSON");
        assert!(!secrets.has_any(TransactionType::Other, &plain));
    }
}
