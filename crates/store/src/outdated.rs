//! Items that an earlier version indexed, and that the index would have otherwise now: a migration
//! notes them, and they are indexed anew when the store is opened.

use daybook_core::Transaction;
use daybook_core::search::{Document, fold, without_iota_below};

use crate::seal::{Keys, Seal, Sealed};
use crate::verify::{Findings, seals};

/// The table of their notes, which is there until none is left.
pub const OUTDATED: &str = "outdated";

/// How many of them one commit indexes anew.
pub const PAGE: i64 = 500;

/// What becomes of a noted item.
pub enum Anew {
    /// The index gets this.
    Document(Box<Document>),
    /// Its sealed values need keys that are not given; the note stays.
    Later,
    /// Its sealed values can never be opened; what the index has stays.
    Never,
}

impl Anew {
    pub fn of(item: &Transaction, seal: Option<&Seal>, keys: &Keys) -> Self {
        let mut numbers = std::collections::BTreeSet::new();
        item.keys(&mut numbers);
        if seal.is_none() && !numbers.is_empty() {
            return Self::Later;
        }
        // What does not open is named by verifying.
        let document = seals::document(&mut Findings::default(), seal, item, keys);
        document.map_or(Self::Never, |document| Self::Document(Box::new(document)))
    }
}

/// Whether an entry of a dictionary was folded by an earlier version, and no search looks for it now.
pub fn is_stale(entry: &str) -> bool {
    fold(entry) != entry
}

/// What an earlier version wrote of an item with iotas below letters, which it left out: words that are
/// folded as today's, so that they stay in the dictionary. `None` for all other items.
pub fn document(item: &Transaction) -> Option<Document> {
    let metadata = without_iota_below(&item.metadata.to_string())?;
    let metadata = serde_json::from_str(&metadata).ok()?;
    Some(Document::of(&Transaction { metadata, ..item.clone() }))
}

/// Tells how many were indexed anew, if any.
pub fn log(items: u64, stale: u64) {
    if items > 0 || stale > 0 {
        tracing::info!(items, stale_words = stale, "items of an earlier version are indexed anew");
    }
}
