//! Columns of the embedded store.

use daybook_core::Amount;
use daybook_core::money::I256;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};
use uuid::Uuid;

use super::{Columns, corrupt};
use crate::Result;

/// The columns of an event, in the order in which [`super::event`] reads them.
pub const EVENT: &str =
    "e.seq, e.event_type, e.at, e.transaction_id, e.version, e.previous, e.body";

impl Columns for Row<'_> {
    fn maybe_text(&self, at: usize, what: &str) -> Result<Option<&str>> {
        self.get_ref(at)?.as_str_or_null().map_err(|_| corrupt(what))
    }

    fn maybe_number(&self, at: usize, what: &str) -> Result<Option<i64>> {
        self.get_ref(at)?.as_i64_or_null().map_err(|_| corrupt(what))
    }

    fn maybe_bytes(&self, at: usize, what: &str) -> Result<Option<&[u8]>> {
        self.get_ref(at)?.as_blob_or_null().map_err(|_| corrupt(what))
    }

    fn maybe_uuid(&self, at: usize, what: &str) -> Result<Option<Uuid>> {
        let bytes = self.maybe_bytes(at, what)?;
        bytes.map(Uuid::from_slice).transpose().map_err(|_| corrupt(what))
    }

    fn maybe_wide(&self, at: usize, what: &str) -> Result<Option<I256>> {
        let bytes = self.maybe_bytes(at, what)?;
        bytes.map(|bytes| number(bytes).ok_or_else(|| corrupt(what))).transpose()
    }

    fn flag(&self, at: usize, what: &str) -> Result<bool> {
        match self.number(at, what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(corrupt(what)),
        }
    }
}

/// An amount as sixteen bytes that sort as it does.
pub fn amount_bytes(amount: Amount) -> [u8; 16] {
    amount.atto().to_be_bytes()
}

/// A number as few bytes as it needs: big-endian two's complement.
#[derive(Clone, Copy)]
pub struct Bytes([u8; 32], usize);

impl Bytes {
    pub fn as_slice(&self) -> &[u8] {
        self.0.get(self.1..).unwrap_or(&[])
    }
}

impl ToSql for Bytes {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_slice())))
    }
}

pub fn bytes(atto: impl Into<I256>) -> Bytes {
    let atto: I256 = atto.into();
    let bits = if atto.is_negative() { atto.leading_ones() } else { atto.leading_zeros() };
    // One bit must stay to tell the sign, and zero is one byte.
    let spare = (bits.saturating_sub(1) / 8).min(31);
    Bytes(atto.to_be_bytes(), spare as usize)
}

fn number(bytes: &[u8]) -> Option<I256> {
    let (first, spare) = (bytes.first()?, 32_usize.checked_sub(bytes.len())?);
    let mut wide = if *first < 0x80 { [0; 32] } else { [0xff; 32] };
    wide.get_mut(spare..)?.copy_from_slice(bytes);
    Some(I256::from_be_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_need_and_come_back() {
        for (atto, length) in [
            (0, 1),
            (1, 1),
            (-1, 1),
            (127, 1),
            (128, 2),
            (-128, 1),
            (-129, 2),
            (150 * 10_i128.pow(18), 9),
            (10_i128.pow(38) - 1, 16),
            (1 - 10_i128.pow(38), 16),
            (i128::MAX, 16),
            (i128::MIN, 16),
        ] {
            let bytes = bytes(atto);
            assert_eq!(bytes.as_slice().len(), length, "{atto}");
            assert_eq!(number(bytes.as_slice()), Some(atto.into()));
        }
        for (atto, length) in
            [(I256::new(i128::MAX) + 1, 17), (-I256::new(10).pow(58), 25), (I256::MIN, 32)]
        {
            let bytes = bytes(atto);
            assert_eq!(bytes.as_slice().len(), length, "{atto}");
            assert_eq!(number(bytes.as_slice()), Some(atto));
        }
        assert_eq!(number(&[]), None);
        assert_eq!(number(&[0; 33]), None);
    }
}
