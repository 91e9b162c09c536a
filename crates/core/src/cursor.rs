//! Cursors: opaque, versioned, and bound to the question they were made for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::id::{TransactionId, fnv128};
use crate::time::Timestamp;

/// A place in a feed: the last item that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// How well the item matches a search that is ordered by that: 0 is best.
    pub tier: u8,
    pub created_at: Timestamp,
    pub id: TransactionId,
}

const FEED: u8 = 1;
const NUMBER: u8 = 2;

impl Position {
    /// Writes the cursor of a question with this digest.
    #[must_use]
    pub fn encode(&self, digest: u128) -> String {
        let mut bytes = vec![FEED, self.tier];
        bytes.extend_from_slice(&self.created_at.micros().to_be_bytes());
        bytes.extend_from_slice(self.id.0.as_bytes());
        seal(bytes, digest)
    }

    /// Reads a cursor; `None` when it is damaged or was made for another question.
    #[must_use]
    pub fn decode(text: &str, digest: u128) -> Option<Self> {
        let bytes = unseal(text, digest, FEED)?;
        let (tier, rest) = bytes.split_first()?;
        let (time, id) = rest.split_first_chunk::<8>()?;
        Some(Self {
            tier: *tier,
            created_at: Timestamp::from_micros(i64::from_be_bytes(*time)),
            id: TransactionId(Uuid::from_slice(id).ok()?),
        })
    }
}

/// Writes a cursor into what is numbered: the event log, a list of accounts or of transfers. It
/// names a number and stays valid for ever.
#[must_use]
pub fn encode_number(number: i64, digest: u128) -> String {
    let mut bytes = vec![NUMBER];
    bytes.extend_from_slice(&number.to_be_bytes());
    seal(bytes, digest)
}

/// Reads such a cursor; `None` when it is damaged or of another question.
#[must_use]
pub fn decode_number(text: &str, digest: u128) -> Option<i64> {
    let bytes = unseal(text, digest, NUMBER)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

fn seal(mut bytes: Vec<u8>, digest: u128) -> String {
    let check = fnv128(&[&bytes, &digest.to_be_bytes()]);
    bytes.extend(check.to_be_bytes().iter().skip(8));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unseal(text: &str, digest: u128, version: u8) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let check = bytes.split_off(bytes.len().checked_sub(8)?);
    let expected = fnv128(&[&bytes, &digest.to_be_bytes()]).to_be_bytes();
    if expected.get(8..) != Some(check.as_slice()) || bytes.first() != Some(&version) {
        return None;
    }
    bytes.remove(0);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_question_only() {
        let position = Position {
            tier: 1,
            created_at: Timestamp::from_micros(-5),
            id: TransactionId(Uuid::from_u128(7)),
        };
        let text = position.encode(42);
        assert_eq!(Position::decode(&text, 42), Some(position));
        assert_eq!(Position::decode(&text, 43), None);
        assert_eq!(decode_number(&text, 42), None);
        for end in 0..text.len() {
            assert_eq!(Position::decode(text.get(..end).unwrap(), 42), None, "cut at {end}");
        }
    }
}
