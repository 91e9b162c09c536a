//! Columns of PostgreSQL: numbers of any width, and JSON as the text that it is.

use std::error::Error as StdError;

use daybook_core::money::{DIGITS_MAX, I256};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::{Columns, corrupt};
use crate::Result;

/// The columns of an event, in the order in which [`super::event`] reads them.
pub const EVENT: &str = "e.seq, e.event_type, e.at, e.subject, e.version, e.previous, e.body";

impl Columns for Row {
    fn maybe_text(&self, at: usize, what: &str) -> Result<Option<&str>> {
        let text: Option<Text> = self.try_get(at).map_err(|_| corrupt(what))?;
        Ok(text.map(|text| text.0))
    }

    fn maybe_number(&self, at: usize, what: &str) -> Result<Option<i64>> {
        let number: Option<Number> = self.try_get(at).map_err(|_| corrupt(what))?;
        Ok(number.map(|number| number.0))
    }

    fn maybe_bytes(&self, at: usize, what: &str) -> Result<Option<&[u8]>> {
        self.try_get(at).map_err(|_| corrupt(what))
    }

    fn maybe_uuid(&self, at: usize, what: &str) -> Result<Option<Uuid>> {
        self.try_get(at).map_err(|_| corrupt(what))
    }

    fn maybe_wide(&self, at: usize, what: &str) -> Result<Option<I256>> {
        let atto: Option<Decimal> = self.try_get(at).map_err(|_| corrupt(what))?;
        Ok(atto.map(|atto| atto.0))
    }

    fn flag(&self, at: usize, what: &str) -> Result<bool> {
        self.try_get(at).map_err(|_| corrupt(what))
    }
}

type Failure = Box<dyn StdError + Sync + Send>;

struct Text<'a>(&'a str);

impl<'a> FromSql<'a> for Text<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Failure> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::JSON].contains(kind)
    }
}

struct Number(i64);

impl<'a> FromSql<'a> for Number {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> std::result::Result<Self, Failure> {
        Ok(Self(match *kind {
            Type::INT2 => i16::from_sql(kind, raw)?.into(),
            Type::INT4 => i32::from_sql(kind, raw)?.into(),
            _ => i64::from_sql(kind, raw)?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT2, Type::INT4, Type::INT8].contains(kind)
    }
}

/// A decimal in 10^-18 units.
struct Decimal(I256);

impl<'a> FromSql<'a> for Decimal {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Failure> {
        read_numeric(raw).map(Self).ok_or_else(|| "the number is no amount".into())
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

/// The most groups of four digits that surely fit 128 bits.
const NARROW_MAX: usize = 9;

/// Reads what PostgreSQL sends for a `numeric`: how many digits follow, the weight of the first,
/// the sign, the scale, and then the digits, each of four decimal places. `None` when it has more
/// than 18 fraction digits or is too large.
pub fn read_numeric(raw: &[u8]) -> Option<I256> {
    const NEGATIVE: u16 = 0x4000;
    let (words, []) = raw.as_chunks::<2>() else { return None };
    let [count, weight, sign, _, digits @ ..] = words else { return None };
    let (count, sign) = (u16::from_be_bytes(*count), u16::from_be_bytes(*sign));
    if digits.len() != usize::from(count) || (sign != 0 && sign != NEGATIVE) {
        return None;
    }
    let digit = |digit: &[u8; 2]| i128::from(u16::from_be_bytes(*digit));
    let value = match digits.len() {
        0..=NARROW_MAX => {
            I256::new(digits.iter().fold(0, |value, next| value * 10_000 + digit(next)))
        }
        _ => digits.iter().try_fold(I256::ZERO, |value, next| {
            value.checked_mul(I256::new(10_000))?.checked_add(I256::new(digit(next)))
        })?,
    };
    // The power of ten of the last decimal place, in 10^-18 units.
    let weight = i32::from(i16::from_be_bytes(*weight));
    let power = (weight - i32::from(count.cast_signed()) + 1) * 4 + i32::from(DIGITS_MAX);
    let scale = I256::new(10).checked_pow(power.unsigned_abs())?;
    let atto = match power {
        _ if value == I256::ZERO => value,
        0.. => value.checked_mul(scale)?,
        _ if value % scale == I256::ZERO => value / scale,
        _ => return None,
    };
    Some(if sign == NEGATIVE { -atto } else { atto })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).expect("few digits");
        let head = [count, weight.cast_unsigned(), sign, 18];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numbers_of_the_server_are_read_to_the_last_digit() {
        let one = 10_i128.pow(18);
        let largest = [9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9900];
        for (weight, sign, digits, atto) in [
            (0, 0, &[][..], Some(0)),
            (0, 0, &[150], Some(150 * one)),
            (0, 0x4000, &[150, 5000], Some(-150 * one - one / 2)),
            (-5, 0, &[100], Some(1)),
            (1, 0, &[1], Some(10_000 * one)),
            (4, 0, &largest, Some(10_i128.pow(38) - 1)),
            // Too precise, not a number, too large.
            (-5, 0, &[1], None),
            (0, 0xc000, &[], None),
            (19, 0, &[1], None),
        ] {
            let atto = atto.map(I256::new);
            assert_eq!(read_numeric(&raw(weight, sign, digits)), atto, "{digits:?}");
        }
        assert_eq!(read_numeric(raw(0, 0, &[1, 2]).get(..10).expect("more")), None);
    }
}
