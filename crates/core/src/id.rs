//! Newtype ids, so that one can never be passed where another is meant.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::USER_ID_CHARS_MAX;
use crate::money::Currency;
use crate::transaction::Side;

/// The id of a feed item: a UUID of version 7, so that ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub Uuid);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a transfer between accounts: a UUID of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferId(pub Uuid);

impl TransferId {
    /// The id of the movement of an account's opening balance: an account opens once.
    #[must_use]
    pub fn opening(account: AccountId) -> Self {
        let name = fnv128(&[b"opening", &account.0.to_be_bytes()]);
        Self(uuid::Builder::from_custom_bytes(name.to_be_bytes()).into_uuid())
    }

    /// The id of the feed item that shows the transfer to the owner of its source (debit) or of
    /// its destination (credit). It follows from the transfer's id, so it never changes.
    #[must_use]
    pub fn item(self, side: Side) -> TransactionId {
        let number = match side {
            Side::Debit => 1,
            Side::Credit => 2,
        };
        TransactionId(Uuid::from_u128(self.0.as_u128() ^ number))
    }

    /// The transfers that an item with this id would show, if there were one of them.
    #[must_use]
    pub fn shown_by(item: TransactionId) -> [Self; 2] {
        // The step from a transfer to its item is its own inverse.
        [Side::Debit, Side::Credit].map(|side| Self(Self(item.0).item(side).0))
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an account. Accounts that are opened have positive ids, chosen by the client or by
/// Daybook; the equity account of each currency has a negative one that follows from its code.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AccountId(pub i64);

impl AccountId {
    /// The first id that Daybook does not give by itself: programs whose numbers are binary
    /// floats keep whole numbers below 2^53 exact.
    pub const GIVEN_END: Self = Self(1 << 53);
    /// From here to [`AccountId::GIVEN_END`] ids are not for clients to choose: Daybook goes on
    /// above the highest, so that choosing the last would leave it none.
    pub const KEPT: Self = Self(1 << 52);

    /// The account of a currency that opening balances come from.
    #[must_use]
    pub fn equity(currency: &Currency) -> Self {
        // Twelve letters and digits to the base 37 are less than 2^63.
        let place = |sum: i64, byte: u8| match byte {
            b'0'..=b'9' => sum * 37 + i64::from(byte - b'0') + 1,
            _ => sum * 37 + i64::from(byte.saturating_sub(b'A')) + 11,
        };
        Self(-currency.code().bytes().fold(0, place))
    }

    #[must_use]
    pub fn is_equity(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an API key: a random number, written in sixteen hexadecimal digits. It is no secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub i64);

impl KeyId {
    /// Reads sixteen hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex =
            text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { i64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("it is no id of a key"))
    }
}

/// The id of a user, as the deployment's own systems write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Accepts 1 to 255 characters, none of them control characters. White space around them is
    /// no part of the id; inside it is.
    ///
    /// # Errors
    /// Returns the sentence to show when the text is no user id.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars == 0 {
            return Err("the user id is empty".to_owned());
        }
        if chars > USER_ID_CHARS_MAX {
            return Err(format!("the user id is longer than {USER_ID_CHARS_MAX} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("the user id contains control characters".to_owned());
        }
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A position in the event log. Numbers rise in commit order and are never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventSeq(pub i64);

impl fmt::Display for EventSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 bits of the FNV-1a hash (Fowler, Noll, Vo), the same on every machine and in every version.
#[must_use]
pub fn fnv128(parts: &[&[u8]]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        for byte in part.len().to_le_bytes().iter().chain(*part) {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_has_an_equity_account_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for currency in crate::money::Currencies::default().iter() {
            assert!(seen.insert(AccountId::equity(&currency)), "{currency}");
        }
        let longest = Currency::new("ZZZZZZZZZZZZ", 2).expect("a code");
        assert!(AccountId::equity(&longest).is_equity());
    }

    #[test]
    fn the_two_items_of_a_transfer_differ_from_each_other_and_from_it() {
        let id = TransferId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ff));
        let items = [id.item(Side::Debit), id.item(Side::Credit)];
        assert!(items[0] != items[1] && items.iter().all(|item| item.0 != id.0));
        assert!(items.iter().all(|item| TransferId::shown_by(*item).contains(&id)));
    }
}
