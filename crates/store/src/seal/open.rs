//! Opens what was sealed, wherever a store answers it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use daybook_core::display::Display;
use daybook_core::secrets::RESERVED;
use daybook_core::transfer::Entry;
use daybook_core::{Event, Holding, Json, Snapshot, Transaction, Transfer};
use serde_json::value::RawValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::data_key::DataKey;
use super::mark::{self, Mark, Place};
use crate::{Changes, List, Page, Result};

/// The keys that an answer needs, by their numbers; `None` for one that was destroyed.
#[derive(Default)]
pub struct Keys(pub HashMap<i64, Option<Arc<DataKey>>>);

impl Keys {
    /// The JSON texts of the values of a record whose marks stand at these paths; `null` for those whose
    /// key was destroyed.
    fn open(&self, record: Uuid, places: Vec<(&str, Mark)>) -> Result<Vec<Zeroizing<String>>> {
        let mut texts = Vec::with_capacity(places.len());
        let mut places = places.into_iter().peekable();
        while let Some((first, mark)) = places.next() {
            let wrong = || mark::does_not_open(record, first);
            let Mark::All { number, sealed } = mark else { return Err(wrong()) };
            let mut paths = vec![first];
            let follows = |(_, mark): &(&str, Mark), index: usize| match mark {
                Mark::One { number: of, index: which } => *of == number && *which == index,
                Mark::All { .. } => false,
            };
            while let Some((path, _)) = places.next_if(|place| follows(place, paths.len())) {
                paths.push(path);
            }
            match self.0.get(&number).ok_or_else(wrong)? {
                Some(key) => {
                    let bound = mark::bound(record, paths.iter().copied());
                    let opened = key.open(&bound, sealed).ok_or_else(wrong)?;
                    let values: Vec<&RawValue> =
                        serde_json::from_str(&opened).map_err(|_| wrong())?;
                    if values.len() != paths.len() {
                        return Err(wrong());
                    }
                    let own = |value: &&RawValue| Zeroizing::new(value.get().to_owned());
                    texts.extend(values.iter().map(own));
                }
                None => texts.extend(paths.iter().map(|_| Zeroizing::new("null".to_owned()))),
            }
        }
        Ok(texts)
    }
}

/// Something that a store answers, in which sealed values may stand.
pub trait Sealed {
    /// Adds the numbers of the keys that are needed.
    fn keys(&self, numbers: &mut BTreeSet<i64>);
    /// Puts the values in the place of their marks.
    fn open(&mut self, keys: &Keys) -> Result<()>;
}

impl Sealed for Transaction {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        keys_in(&self.metadata, numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        open_in(&mut self.metadata, self.id.0, keys)
    }
}

impl Sealed for Transfer {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        keys_in(&self.metadata, numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        open_in(&mut self.metadata, self.id.0, keys)
    }
}

impl Sealed for Holding {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        keys_in(&self.account.metadata, numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        let mut numbers = BTreeSet::new();
        Sealed::keys(self, &mut numbers);
        if numbers.is_empty() {
            return Ok(());
        }
        let account = Arc::make_mut(&mut self.account);
        open_in(&mut account.metadata, mark::record_of(account.id), keys)
    }
}

impl Sealed for Entry {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        keys_in(&self.metadata, numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        open_in(&mut self.metadata, self.transfer_id.0, keys)
    }
}

impl Sealed for Event {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        numbers.extend(mark::numbers(&self.body));
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        let Some(record) = mark::record(self.subject) else { return Ok(()) };
        if let Some(body) = opened_body(&self.body, record, keys)? {
            self.body = body.into();
        }
        Ok(())
    }
}

/// A published body with its values; `None` when none is sealed.
pub fn opened_body(body: &str, record: Uuid, keys: &Keys) -> Result<Option<String>> {
    let found = mark::find(body)?;
    if found.is_empty() {
        return Ok(None);
    }
    let (places, marks): (Vec<Place>, Vec<Mark>) = found.into_iter().unzip();
    let paths = places.iter().map(|place| place.path.as_str());
    let texts = keys.open(record, paths.zip(marks).collect())?;
    let parts = places.iter().zip(&texts);
    let opened = mark::replaced(body, parts.map(|(place, text)| (place.from, place.to, &***text)));
    // What people read was computed from values that are gone; it is computed again without them.
    let display = places.iter().zip(&texts).find(|(place, _)| place.path == "display");
    match display {
        Some((place, text)) if **text == "null" => {
            let display =
                Display::of_published(&opened).and_then(|d| serde_json::to_string(&d).ok());
            let display = display.unwrap_or_else(|| "null".to_owned());
            let parts = places.iter().zip(&texts).map(|(other, text)| {
                let text = if other.from == place.from { &display } else { &**text };
                (other.from, other.to, text.as_str())
            });
            Ok(Some(mark::replaced(body, parts)))
        }
        _ => Ok(Some(opened)),
    }
}

fn keys_in(value: &Json, numbers: &mut BTreeSet<i64>) {
    match value {
        Json::String(text) => numbers.extend(Mark::number(text)),
        Json::Array(items) => items.iter().for_each(|item| keys_in(item, numbers)),
        Json::Object(entries) => entries.iter().for_each(|(_, value)| keys_in(value, numbers)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The paths of a record's metadata that are sealed.
pub fn sealed_paths(metadata: &Json) -> Vec<String> {
    let mut paths = Vec::new();
    metadata.visit(&mut |path, value| {
        if matches!(value, Json::String(text) if Mark::number(text).is_some()) {
            paths.push(path.to_owned());
        }
    });
    paths
}

fn open_in(metadata: &mut Json, record: Uuid, keys: &Keys) -> Result<()> {
    let mut found = Vec::new();
    marks_in(metadata, &mut String::from("metadata"), &mut found);
    if found.is_empty() {
        return Ok(());
    }
    let mut places = Vec::with_capacity(found.len());
    for (path, text) in &found {
        let mark = if let Json::String(text) = text { Mark::read(text) } else { None };
        places.push((path.as_str(), mark.ok_or_else(|| mark::does_not_open(record, path))?));
    }
    let texts = keys.open(record, places)?;
    for ((path, place), text) in found.into_iter().zip(&texts) {
        *place = value(text).ok_or_else(|| mark::does_not_open(record, &path))?;
    }
    Ok(())
}

/// The marks in a value, in their order, with their paths.
fn marks_in<'a>(value: &'a mut Json, path: &mut String, found: &mut Vec<(String, &'a mut Json)>) {
    match value {
        Json::String(text) if !text.starts_with(RESERVED) => {}
        Json::String(_) => found.push((path.clone(), value)),
        Json::Array(items) => items.iter_mut().for_each(|item| marks_in(item, path, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                let parent = path.len();
                path.push('.');
                path.push_str(key);
                marks_in(value, path, found);
                path.truncate(parent);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Reads the JSON text of a value that was sealed.
fn value(text: &str) -> Option<Json> {
    // Most are texts without anything to unescape.
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match plain.filter(|plain| !plain.contains(['\\', '"'])) {
        Some(plain) => Some(Json::String(plain.to_owned())),
        None => Json::parse(text, usize::MAX).ok(),
    }
}

impl<T: Sealed> Sealed for Option<T> {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.iter().for_each(|one| one.keys(numbers));
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.iter_mut().try_for_each(|one| one.open(keys))
    }
}

impl<T: Sealed> Sealed for Vec<T> {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.iter().for_each(|one| one.keys(numbers));
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.iter_mut().try_for_each(|one| one.open(keys))
    }
}

impl<T: Sealed> Sealed for List<T> {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.items.keys(numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.items.open(keys)
    }
}

impl Sealed for Page {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.items.keys(numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.items.open(keys)
    }
}

impl Sealed for Changes {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.events.keys(numbers);
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.events.open(keys)
    }
}

impl Sealed for Snapshot {
    fn keys(&self, numbers: &mut BTreeSet<i64>) {
        self.transactions.values().for_each(|item| item.keys(numbers));
        self.transfers.values().for_each(|transfer| transfer.keys(numbers));
        self.accounts.values().for_each(|holding| holding.keys(numbers));
        self.events.values().for_each(|event| event.keys(numbers));
        let verdicts = self.replies.values().flat_map(|reply| &reply.verdicts);
        for body in verdicts.filter_map(super::write::seen) {
            numbers.extend(mark::numbers(body));
        }
    }

    fn open(&mut self, keys: &Keys) -> Result<()> {
        self.transactions.values_mut().try_for_each(|item| item.open(keys))?;
        self.transfers.values_mut().try_for_each(|transfer| transfer.open(keys))?;
        self.accounts.values_mut().try_for_each(|holding| holding.open(keys))?;
        self.events.values_mut().try_for_each(|event| event.open(keys))?;
        let events = &self.events;
        let verdicts = self.replies.values_mut().flat_map(|reply| &mut reply.verdicts);
        for (seq, body) in verdicts.filter_map(super::write::seen_mut) {
            let record = events.get(&seq).and_then(|event| mark::record(event.subject));
            let Some(record) = record else { continue };
            if let Some(opened) = opened_body(body, record, keys)? {
                *body = opened;
            }
        }
        Ok(())
    }
}
