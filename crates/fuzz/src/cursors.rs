//! Cursors that clients send back, or make up.

use daybook_core::cursor::{Position, decode_number, encode_number};
use daybook_core::query::{Paging, QueryError};
use daybook_core::transaction::Vocabulary;
use daybook_core::{Query, Timestamp, TransactionId};
use uuid::Uuid;

use crate::books;

/// A text is a cursor only when it is the one that Daybook writes for that place; any place that a
/// cursor can name is answered. The first byte says whether the rest is a text or a place.
pub fn cursors(data: &[u8]) {
    match data.split_first() {
        Some((0, text)) => made_up(&String::from_utf8_lossy(text)),
        Some((_, place)) => somewhere(place),
        None => {}
    }
}

fn made_up(text: &str) {
    let digest = question(&[]).expect("a question").digest;
    if let Some(position) = Position::decode(text, digest) {
        assert_eq!(position.encode(digest), text);
    }
    if let Some(number) = decode_number(text, digest) {
        assert_eq!(encode_number(number, digest), text);
    }
    match question(&[("cursor", text)]) {
        Ok(query) => assert!(matches!(query.paging, Paging::Cursor { .. })),
        Err(error) => assert_eq!(error, QueryError::BadCursor),
    }
}

fn somewhere(place: &[u8]) {
    let mut bytes = [0; 25];
    bytes.iter_mut().zip(place).for_each(|(byte, given)| *byte = *given);
    let [tier, rest @ ..] = bytes;
    let (time, id) = rest.split_first_chunk().expect("eight and sixteen bytes");
    let position = Position {
        tier,
        created_at: Timestamp::from_micros(i64::from_be_bytes(*time)),
        id: TransactionId(Uuid::from_slice(id).expect("sixteen bytes")),
    };
    for asked in [&[][..], &[("search_query", "coffee")], &[("status", "completed")]] {
        let digest = question(asked).expect("a question").digest;
        let text = position.encode(digest);
        assert_eq!(Position::decode(&text, digest), Some(position));
        let other = question(&[("status", "failed")]).expect("a question").digest;
        assert_eq!(Position::decode(&text, other), None, "a cursor of another question");
        let query = question(&[asked, &[("cursor", text.as_str())]].concat()).expect("its cursor");
        books::ask(&query, query.paging.clone());
    }
}

fn question(asked: &[(&str, &str)]) -> Result<Query, QueryError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let pairs: Vec<(String, String)> = asked.iter().map(own).collect();
    Query::parse(&pairs, Some(&books::user()), &Vocabulary::default())
}
