//! Seals what a commit writes. A decision is made over plain values, and its answers are plain;
//! between the two, what is to be written is replaced.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use daybook_core::json::Fields;
use daybook_core::search::{Document, value_key};
use daybook_core::secrets::Holder;
use daybook_core::write_set::StoredVerdict;
use daybook_core::{
    AccountId, Event, EventSeq, Json, Snapshot, Subject, Transaction, TransactionId,
    TransactionType, UserId, WriteSet,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::mark::{self, record_of};
use super::{DataKey, DataKeys, Seal};
use crate::{Error, Result};

/// Whose key seals what belongs to no user.
const NOBODY: &str = "";

/// What the index is given for items with sealed values; all others' follows from the item.
#[derive(Default)]
pub struct Documents(HashMap<TransactionId, Document>);

impl Documents {
    /// Takes what the index is given for an item.
    pub fn of(&self, item: &Transaction) -> Document {
        self.0.get(&item.id).cloned().unwrap_or_else(|| Document::of(item))
    }
}

/// Whose accounts are, of those that a commit may write transfers of.
#[derive(Default)]
pub struct Owners(HashMap<AccountId, UserId>);

impl Owners {
    /// The owners of all that was loaded.
    pub fn of(snapshot: &Snapshot) -> Self {
        let owner = |holding: &daybook_core::Holding| holding.account.user_id.clone();
        let owned = snapshot.accounts.iter().filter_map(|(id, of)| Some((*id, owner(of)?)));
        Self(owned.collect())
    }

    /// Whose key seals a transfer: the payer's, else the payee's.
    fn of_transfer(&self, source: AccountId, destination: AccountId) -> &str {
        let owner = self.0.get(&source).or_else(|| self.0.get(&destination));
        owner.map_or(NOBODY, UserId::as_str)
    }
}

/// What of a write set is to be sealed: places in it, and whose keys do it.
#[derive(Default)]
pub struct Plan {
    /// Whose keys are needed.
    pub owners: BTreeSet<String>,
    rows: Vec<usize>,
    transfers: Vec<(usize, String)>,
    accounts: Vec<(usize, String)>,
    events: Vec<(usize, Holder, String)>,
    /// A reply, the verdict in it, and whose it is.
    replies: Vec<(usize, usize, Seen)>,
}

/// An account or a transfer whose JSON a kept answer has.
struct Seen {
    holder: Holder,
    record: Uuid,
    owner: String,
}

impl Plan {
    pub fn of(write: &WriteSet, seal: &Seal, mut owners: Owners) -> Result<Self> {
        let mut plan = Self::default();
        // Most events say what a row becomes, and then the row tells whether there is a secret.
        let mut told: HashMap<EventSeq, Option<Holder>> = HashMap::new();
        for (place, row) in write.rows.iter().enumerate() {
            let Some(item) = &row.new else { continue };
            let holder = Holder::Item(item.transaction_type);
            let has_secrets = seal.has_any(holder, &item.metadata);
            told.insert(item.seq, has_secrets.then_some(holder));
            if has_secrets {
                plan.rows.push(place);
                plan.owners.insert(item.user_id.to_string());
            }
        }
        for (place, change) in write.accounts.iter().enumerate() {
            let account = &change.holding.account;
            if let (true, Some(owner)) = (change.opened, &account.user_id) {
                owners.0.insert(account.id, owner.clone());
            }
            if !change.reformed {
                continue;
            }
            let has_secrets = seal.has_any(Holder::Account, &account.metadata);
            told.insert(account.seq, has_secrets.then_some(Holder::Account));
            if has_secrets {
                let owner = account.user_id.as_ref().map_or(NOBODY, UserId::as_str);
                let owner = plan.needs(owner);
                plan.accounts.push((place, owner));
            }
        }
        for (place, change) in write.transfers.iter().enumerate() {
            let transfer = &change.transfer;
            let has_secrets = seal.has_any(Holder::Transfer, &transfer.metadata);
            told.insert(transfer.seq, has_secrets.then_some(Holder::Transfer));
            if has_secrets {
                let owner = owners.of_transfer(transfer.source, transfer.destination);
                let owner = plan.needs(owner);
                plan.transfers.push((place, owner));
            }
        }
        for (place, event) in write.events.iter().enumerate() {
            let holder = match told.get(&event.seq) {
                Some(holder) => *holder,
                None => said(event, seal)?,
            };
            if let Some(holder) = holder {
                let owner = event.user_id.as_ref().map_or(NOBODY, UserId::as_str);
                let owner = plan.needs(owner);
                plan.events.push((place, holder, owner));
            }
        }
        for (place, (_, reply)) in write.replies.iter().enumerate() {
            for (at, verdict) in reply.verdicts.iter().enumerate() {
                let Some(body) = seen(verdict) else { continue };
                if let Some(seen) = Seen::of(body, seal, &owners)? {
                    plan.owners.insert(seen.owner.clone());
                    plan.replies.push((place, at, seen));
                }
            }
        }
        Ok(plan)
    }

    fn needs(&mut self, owner: &str) -> String {
        if !self.owners.contains(owner) {
            self.owners.insert(owner.to_owned());
        }
        owner.to_owned()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Replaces secrets by what seals them, in rows and in events.
    pub fn seal(self, write: &mut WriteSet, keys: &DataKeys, seal: &Seal) -> Result<Documents> {
        let key = |owner: &str| {
            let missing = || Error::Corrupt { what: format!("'{owner}' has no key") };
            keys.get(owner).ok_or_else(missing)
        };
        let mut documents = Documents::default();
        // What the rows have, so that their events have the same.
        let mut texts: HashMap<EventSeq, String> = HashMap::new();
        for place in self.rows {
            let row = write.rows.get_mut(place).and_then(|row| row.new.as_mut());
            let Some(item) = row else { continue };
            let key = key(item.user_id.as_str())?;
            let paths = seal.paths(item);
            documents.0.insert(item.id, seal.document(item, &paths, key));
            seal.metadata(item.transaction_type, item.id.0, &mut item.metadata, key)?;
            texts.insert(item.seq, item.metadata.to_string());
        }
        for (place, owner) in &self.accounts {
            let Some(change) = write.accounts.get_mut(*place) else { continue };
            let account = Arc::make_mut(&mut change.holding.account);
            let record = record_of(account.id);
            seal.metadata(Holder::Account, record, &mut account.metadata, key(owner)?)?;
            texts.insert(account.seq, account.metadata.to_string());
        }
        for (place, owner) in &self.transfers {
            let Some(change) = write.transfers.get_mut(*place) else { continue };
            let transfer = &mut change.transfer;
            seal.metadata(Holder::Transfer, transfer.id.0, &mut transfer.metadata, key(owner)?)?;
            texts.insert(transfer.seq, transfer.metadata.to_string());
        }
        for (place, holder, owner) in &self.events {
            let Some(event) = write.events.get_mut(*place) else { continue };
            let Some(record) = mark::record(event.subject) else { continue };
            let known = texts.get(&event.seq).map(String::as_str);
            event.body = seal.body(&event.body, (*holder, record), known, key(owner)?)?.into();
        }
        for (place, at, Seen { holder, record, owner }) in &self.replies {
            let reply = write.replies.get_mut(*place);
            let verdict = reply.and_then(|(_, reply)| reply.verdicts.get_mut(*at));
            if let Some((_, body)) = verdict.and_then(seen_mut) {
                *body = seal.body(body, (*holder, *record), None, key(owner)?)?;
            }
        }
        Ok(documents)
    }
}

impl Seen {
    /// Reads the JSON of a kept answer; `None` when it has no secret.
    fn of(body: &str, seal: &Seal, owners: &Owners) -> Result<Option<Self>> {
        let mut fields = Fields::parse(body).map_err(|_| unreadable())?;
        let Some(metadata) = fields.take("metadata") else { return Ok(None) };
        let seen = if let Some(source) = fields.take("source_account_id") {
            let destination = fields.take("destination_account_id").ok_or_else(unreadable)?;
            let owner = owners.of_transfer(read(source)?, read(destination)?).to_owned();
            let record = read(fields.take("id").ok_or_else(unreadable)?)?;
            Self { holder: Holder::Transfer, record, owner }
        } else {
            let id = read(fields.take("account_id").ok_or_else(unreadable)?)?;
            let owner: Option<String> = fields.take("user_id").map(read).transpose()?;
            let owner = owner.unwrap_or_else(|| NOBODY.to_owned());
            Self { holder: Holder::Account, record: record_of(id), owner }
        };
        let metadata = Json::from_raw(metadata, usize::MAX).map_err(|_| unreadable())?;
        Ok(seal.has_any(seen.holder, &metadata).then_some(seen))
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|_| unreadable())
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
        of: impl Into<Holder>,
        record: Uuid,
        metadata: &mut Json,
        key: &DataKey,
    ) -> Result<()> {
        let (mut paths, mut places) = (Vec::new(), Vec::new());
        self.secrets.visit(of, metadata, &mut |path, value| {
            paths.push(format!("metadata.{path}"));
            places.push(value);
        });
        if places.is_empty() {
            return Ok(());
        }
        let values: Vec<String> = places.iter().map(ToString::to_string).collect();
        let marks = key.seal(record, &paths, &format!("[{}]", values.join(",")))?;
        for (place, mark) in places.into_iter().zip(marks) {
            *place = Json::String(mark);
        }
        Ok(())
    }

    /// The body of a record, whose metadata may be sealed and written already. What people read is
    /// computed from secrets, so it is sealed as a whole.
    fn body(
        &self,
        body: &str,
        (of, record): (Holder, Uuid),
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
                    self.metadata(of, record, &mut metadata, key)?;
                    parts.push((from, to, metadata.to_string()));
                }
                ("display", _) => {
                    let values = format!("[{}]", raw.get());
                    let marks = key.seal(record, &["display".to_owned()], &values)?;
                    let text = |mark| Json::String(mark).to_string();
                    parts.extend(marks.into_iter().map(|mark| (from, to, text(mark))));
                }
                _ => {}
            }
        }
        let parts = parts.iter().map(|(from, to, text)| (*from, *to, text.as_str()));
        Ok(mark::replaced(body, parts))
    }
}

/// What the record of an event is, when it has a secret.
fn said(event: &Event, seal: &Seal) -> Result<Option<Holder>> {
    let mut fields = Fields::parse(&event.body).map_err(|_| unreadable())?;
    let holder = match event.subject {
        Subject::Item(_) => {
            // An event that an item is gone says nothing of it.
            let Some(of) = fields.take("transaction_type") else { return Ok(None) };
            let of: String = read(of)?;
            Holder::Item(TransactionType::from_name(&of).ok_or_else(unreadable)?)
        }
        Subject::Transfer(_) => Holder::Transfer,
        Subject::Account(_) => Holder::Account,
        Subject::Key(_) | Subject::Audit => return Ok(None),
    };
    let Some(metadata) = fields.take("metadata") else { return Ok(None) };
    let metadata = Json::from_raw(metadata, usize::MAX).map_err(|_| unreadable())?;
    Ok(seal.has_any(holder, &metadata).then_some(holder))
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
        | StoredVerdict::Ignored(_)
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
        | StoredVerdict::Ignored(_)
        | StoredVerdict::Deleted(_)
        | StoredVerdict::Refused(_) => None,
    }
}
