//! What must hold for sealed values: each opens where it stands, and the index has what follows
//! from them.

use std::collections::BTreeSet;

use daybook_core::Transaction;
use daybook_core::search::Document;

use super::Findings;
use crate::outdated;
use crate::seal::{self, Keys, Seal, Sealed};
use crate::{Error, Result};

/// What the index should have of an item; `None` when that cannot be known: a value does not open,
/// which is named, its key was destroyed, or sealed values are looked at as they are.
pub fn document(
    findings: &mut Findings,
    seal: Option<&Seal>,
    item: &Transaction,
    keys: &Keys,
) -> Option<Document> {
    let mut numbers = BTreeSet::new();
    item.keys(&mut numbers);
    let Some(number) = numbers.first() else { return Some(Document::of(item)) };
    let seal = seal?;
    let sealed = seal::sealed_paths(&item.metadata);
    let mut plain = item.clone();
    if let Err(error) = plain.open(keys) {
        findings.differs("seals", error.to_string());
        return None;
    }
    // A change seals all of an item anew, so it has one key.
    let key = keys.0.get(number)?.as_ref()?;
    Some(seal.document(&plain, &sealed, key))
}

/// The words that an item of the past may have put into the dictionary: those of its open values too,
/// if they were searched for then, and those that earlier versions wrote. Empty where that cannot be
/// known.
pub fn past_documents(seal: Option<&Seal>, item: &Transaction, keys: &Keys) -> Vec<Document> {
    let Some(document) = document(&mut Findings::default(), seal, item, keys) else {
        return Vec::new();
    };
    let mut plain = item.clone();
    if plain.open(keys).is_err() {
        return Vec::new();
    }
    let mut documents = vec![document, Document::of(&plain)];
    documents.extend(outdated::document(&plain));
    documents
}

/// Names a value that does not open.
///
/// # Errors
/// What else went wrong.
pub fn opens(findings: &mut Findings, opened: Result<()>) -> Result<()> {
    match opened {
        Err(Error::Corrupt { what }) => findings.differs("seals", what),
        other => return other,
    }
    Ok(())
}
