//! Seals what a commit writes. A decision is made over plain values, and its answers are plain;
//! between the two, what is to be written is replaced.

use std::collections::{BTreeSet, HashMap};

use daybook_core::json::Fields;
use daybook_core::search::{Document, value_key};
use daybook_core::write_set::StoredVerdict;
use daybook_core::{
    EventSeq, Json, Subject, Transaction, TransactionId, TransactionType, UserId, WriteSet,
};

use super::mark::{self, Field};
use super::{DataKey, DataKeys, Seal};
use crate::{Error, Result};

/// What the index is given for items with sealed values; all others' follows from the item.
#[derive(Default)]
pub struct Documents(HashMap<TransactionId, Document>);

impl Documents {
    /// Takes what the index is given for an item.
    pub fn of(&self, item: &Transaction) -> Document {
        self.0.get(&item.id).cloned().unwrap_or_else(|| Document::of(item))
    }
}

/// What of a write set is to be sealed.
#[derive(Default)]
pub struct Plan {
    /// Whose keys are needed.
    pub owners: BTreeSet<UserId>,
    /// Places of rows.
    rows: Vec<usize>,
    /// Places of events, with the type of their item.
    events: Vec<(usize, TransactionType)>,
}

impl Plan {
    pub fn of(write: &WriteSet, seal: &Seal) -> Result<Self> {
        let mut plan = Self::default();
        // Most events say what a row becomes, and then the row tells whether there is a secret.
        let mut told: HashMap<EventSeq, Option<TransactionType>> = HashMap::new();
        for (place, row) in write.rows.iter().enumerate() {
            let Some(item) = &row.new else { continue };
            let has_secrets = seal.has_secrets(item);
            told.insert(item.seq, has_secrets.then_some(item.transaction_type));
            if has_secrets {
                plan.rows.push(place);
                plan.owners.insert(item.user_id.clone());
            }
        }
        for (place, event) in write.events.iter().enumerate() {
            let (Subject::Item(_), Some(user)) = (event.subject, &event.user_id) else { continue };
            let of = match told.get(&event.seq) {
                Some(of) => *of,
                None => said(&event.body, seal)?,
            };
            if let Some(of) = of {
                plan.events.push((place, of));
                plan.owners.insert(user.clone());
            }
        }
        Ok(plan)
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Replaces secrets by what seals them, in rows and in events.
    pub fn seal(self, write: &mut WriteSet, keys: &DataKeys, seal: &Seal) -> Result<Documents> {
        let key = |user: &UserId| {
            let missing = || Error::Corrupt { what: format!("user {user} has no key") };
            keys.get(user).ok_or_else(missing)
        };
        let mut documents = Documents::default();
        let mut texts: HashMap<EventSeq, String> = HashMap::new();
        for place in self.rows {
            let row = write.rows.get_mut(place).and_then(|row| row.new.as_mut());
            let Some(item) = row else { continue };
            let key = key(&item.user_id)?;
            let paths = seal.paths(item);
            documents.0.insert(item.id, seal.document(item, &paths, key));
            seal.metadata(item.transaction_type, item.id, &mut item.metadata, key)?;
            texts.insert(item.seq, item.metadata.to_string());
        }
        for (place, of) in self.events {
            let Some(event) = write.events.get_mut(place) else { continue };
            let (Subject::Item(id), Some(user)) = (event.subject, &event.user_id) else { continue };
            let known = texts.get(&event.seq).map(String::as_str);
            event.body = seal.body(&event.body, (of, id), known, key(user)?)?.into();
        }
        Ok(documents)
    }
}

impl Seal {
    /// What the index keeps of an item whose values at some paths are sealed.
    pub fn document(&self, item: &Transaction, sealed: &[String], key: &DataKey) -> Document {
        document(item, sealed, key, self.searched)
    }

    /// The paths of an item's metadata that are sealed.
    fn paths(&self, item: &mut Transaction) -> Vec<String> {
        let mut paths = Vec::new();
        self.secrets.visit(item.transaction_type, &mut item.metadata, &mut |path, _| {
            paths.push(path.to_owned());
        });
        paths
    }

    fn metadata(
        &self,
        of: TransactionType,
        id: TransactionId,
        metadata: &mut Json,
        key: &DataKey,
    ) -> Result<()> {
        let mut sealed = Ok(());
        self.secrets.visit(of, metadata, &mut |path, value| {
            let path = format!("metadata.{path}");
            let field = Field { record: id.0, path: &path };
            match key.seal(&field, &value.to_string()) {
                Ok(mark) => *value = Json::String(mark),
                Err(error) => sealed = Err(error),
            }
        });
        sealed
    }

    /// The body of an event, whose metadata may be sealed and written already. What people read is
    /// computed from secrets, so it is sealed as a whole.
    fn body(
        &self,
        body: &str,
        (of, id): (TransactionType, TransactionId),
        metadata: Option<&str>,
        key: &DataKey,
    ) -> Result<String> {
        let fields = Fields::parse(body).map_err(|_| unreadable())?;
        let mut parts: Vec<(usize, usize, String)> = Vec::with_capacity(2);
        for (name, raw) in &fields.0 {
            let (from, to) = mark::place_of(body, raw.get());
            match (name.as_str(), metadata) {
                ("metadata", Some(known)) => parts.push((from, to, known.to_owned())),
                ("metadata", None) => {
                    let mut metadata = Json::from_raw(raw, usize::MAX).map_err(|_| unreadable())?;
                    self.metadata(of, id, &mut metadata, key)?;
                    parts.push((from, to, metadata.to_string()));
                }
                ("display", _) => {
                    let sealed = key.seal(&Field { record: id.0, path: "display" }, raw.get())?;
                    parts.push((from, to, Json::String(sealed).to_string()));
                }
                _ => {}
            }
        }
        let parts = parts.iter().map(|(from, to, text)| (*from, *to, text.as_str()));
        Ok(mark::replaced(body, parts))
    }
}

/// The type of a published item that has a secret.
fn said(body: &str, seal: &Seal) -> Result<Option<TransactionType>> {
    let mut fields = Fields::parse(body).map_err(|_| unreadable())?;
    let (Some(of), Some(metadata)) = (fields.take("transaction_type"), fields.take("metadata"))
    else {
        return Ok(None);
    };
    let of: &str = serde_json::from_str(of.get()).map_err(|_| unreadable())?;
    let of = TransactionType::from_name(of).ok_or_else(unreadable)?;
    let metadata = Json::from_raw(metadata, usize::MAX).map_err(|_| unreadable())?;
    Ok(seal.has_any(of, &metadata).then_some(of))
}

fn unreadable() -> Error {
    Error::Corrupt { what: "the JSON of a record is unreadable".to_owned() }
}

/// What the index keeps of an item with sealed values: no words of them unless they are searched
/// for, and terms that only the key makes.
fn document(item: &Transaction, sealed: &[String], key: &DataKey, searched: bool) -> Document {
    if sealed.is_empty() {
        return Document::of(item);
    }
    let mut public = item.clone();
    remove(&mut public.metadata, &mut String::new(), sealed);
    let mut document = Document::of(&public);
    if searched {
        document.fields = Document::of(item).fields;
    }
    let is_sealed = |path: &str| sealed.iter().any(|root| lies_within(path, root));
    item.metadata.visit(&mut |path, value| {
        if is_sealed(path) {
            let within = path.match_indices('.').filter_map(|(dot, _)| path.get(..dot));
            document
                .terms
                .extend(within.map(|path| daybook_core::search::Fact::Within(path).term()));
            document.terms.push(key.blind_term(path, &value_key(value)));
        }
    });
    document.terms.sort_unstable();
    document.terms.dedup();
    document
}

fn lies_within(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn remove(value: &mut Json, path: &mut String, sealed: &[String]) {
    match value {
        Json::Object(entries) => entries.retain_mut(|(key, value)| {
            let parent = path.len();
            if parent > 0 {
                path.push('.');
            }
            path.push_str(key);
            let stays = !sealed.contains(path);
            if stays {
                remove(value, path, sealed);
            }
            path.truncate(parent);
            stays
        }),
        Json::Array(items) => items.iter_mut().for_each(|item| remove(item, path, sealed)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The body that a kept answer has of its own.
pub fn seen(verdict: &StoredVerdict) -> Option<&String> {
    match verdict {
        StoredVerdict::Seen(_, body) => Some(body),
        StoredVerdict::Created(_)
        | StoredVerdict::Updated(_)
        | StoredVerdict::Unchanged(_)
        | StoredVerdict::Deleted(_)
        | StoredVerdict::Refused(_) => None,
    }
}

/// As [`seen`], with the event that it belongs to.
pub fn seen_mut(verdict: &mut StoredVerdict) -> Option<(EventSeq, &mut String)> {
    match verdict {
        StoredVerdict::Seen(seq, body) => Some((*seq, body)),
        StoredVerdict::Created(_)
        | StoredVerdict::Updated(_)
        | StoredVerdict::Unchanged(_)
        | StoredVerdict::Deleted(_)
        | StoredVerdict::Refused(_) => None,
    }
}
