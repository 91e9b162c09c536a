//! What people type to search.

use daybook_core::Query;
use daybook_core::transaction::Vocabulary;

use crate::books;

/// Any text is searched for, or refused with a reason, and is found the same by every kind of page.
pub fn search(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for order in ["best", "-created_at"] {
        let asked = [("search_query", text), ("sort", order)];
        let pairs = asked.map(|(name, value)| (name.to_owned(), value.to_owned()));
        if let Ok(query) = Query::parse(&pairs, Some(&books::user()), &Vocabulary::default()) {
            books::pages_agree(&query);
        }
    }
}
