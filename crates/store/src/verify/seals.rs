//! What must hold for sealed values: each opens where it stands, and the index has what follows
//! from them.

use daybook_core::Transaction;
use daybook_core::search::Document;

use super::Findings;
use crate::seal::{self, Keys, Seal, Sealed};
use crate::{Error, Result};

/// What the index should have of an item with sealed values; `None` when a value does not open,
/// which is named, or its key was destroyed.
pub fn document(
    findings: &mut Findings,
    seal: &Seal,
    item: &Transaction,
    keys: &Keys,
) -> Option<Document> {
    let sealed = seal::sealed_paths(&item.metadata);
    let mut plain = item.clone();
    if let Err(error) = plain.open(keys) {
        findings.differs("seals", error.to_string());
        return None;
    }
    let [key] = keys.0.values().collect::<Vec<_>>().try_into().ok()?;
    let key = Option::as_ref(key)?;
    Some(seal.document(&plain, &sealed, key))
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
