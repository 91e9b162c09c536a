//! What the index of words and terms is given for an item: every word and every term is prefixed
//! with its user, so that a list of postings belongs to one user.

use daybook_core::search::Document;

use crate::codec;
use crate::sql::everything;

/// The text for FTS5.
pub fn fts(user: i64, document: &Document) -> String {
    let prefix = codec::prefix(user);
    let mut text = String::with_capacity(512);
    for field in &document.fields {
        for word in field {
            text.push_str(&prefix);
            text.push('_');
            text.push_str(word);
            text.push(' ');
        }
        // Between fields, so that no phrase spans two of them.
        text.push_str(&everything(&prefix));
        text.push(' ');
    }
    for term in &document.terms {
        text.push_str(&prefix);
        text.push('.');
        text.push_str(term);
        text.push(' ');
    }
    text
}

/// The text of a `tsvector`: words with their positions, one position free between fields.
pub fn tsvector(user: i64, document: &Document) -> String {
    use std::fmt::Write;
    let prefix = codec::prefix(user);
    let mut text = String::with_capacity(512);
    let mut position = 0_u32;
    for field in &document.fields {
        for word in field {
            position += 1;
            // A word is letters, digits and dots; a quote would end it.
            let word = word.replace('\\', "\\\\").replace('\'', "''");
            let _infallible = write!(text, "'{prefix}_{word}':{position} ");
        }
        position += 1;
    }
    let _infallible = write!(text, "'{}' ", everything(&prefix));
    for term in &document.terms {
        let _infallible = write!(text, "'{prefix}.{term}' ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_name_their_user() {
        let field = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let fields = vec![field("san francisco"), field("o'neil")];
        let document = Document { fields, terms: vec!["t0".to_owned()] };
        assert_eq!(fts(36, &document), "10_san 10_francisco 10_ 10_o'neil 10_ 10.t0 ");
        assert_eq!(
            tsvector(36, &document),
            "'10_san':1 '10_francisco':2 '10_o''neil':4 '10_' '10.t0' "
        );
    }
}
