//! Parameters of lists.

use daybook_core::Query;
use daybook_core::transaction::Vocabulary;

use crate::books;

/// Parameters are refused by name, or are a question that is answered, the same by every kind of
/// page. The bytes are the query of a URL.
pub fn filters(data: &[u8]) {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(data).into_owned().collect();
    if let Ok(query) = Query::parse(&pairs, Some(&books::user()), &Vocabulary::default()) {
        books::ask(&query, query.paging.clone());
        books::pages_agree(&query);
    }
}
