//! Values for statements: the Rust type tells the type on the server, so that a statement can be
//! sent without asking the server first.

use bytes::BytesMut;
use daybook_core::money::{I256, U256};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// A value that a statement may be given.
pub trait Param: ToSql + Sync {
    /// Its type on the server.
    fn kind(&self) -> Type;
    /// The value as the driver takes it.
    fn value(&self) -> &(dyn ToSql + Sync);
}

macro_rules! params {
    ($($rust:ty => $one:ident, $many:ident;)*) => {$(
        params!(@ $rust, $one);
        params!(@ Option<$rust>, $one);
        params!(@ Vec<$rust>, $many);
        params!(@ Vec<Option<$rust>>, $many);
    )*};
    (@ $rust:ty, $kind:ident) => {
        impl Param for $rust {
            fn kind(&self) -> Type {
                Type::$kind
            }

            fn value(&self) -> &(dyn ToSql + Sync) {
                self
            }
        }
    };
}

params! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    String => TEXT, TEXT_ARRAY;
    Uuid => UUID, UUID_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    Atto => NUMERIC, NUMERIC_ARRAY;
}

/// An amount or a balance in 10^-18 units: `numeric` on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atto(I256);

impl Atto {
    pub fn of(atto: impl Into<I256>) -> Self {
        Self(atto.into())
    }
}

/// The digits that the server keeps together, four decimal ones each.
const BASE: u128 = 10_000;
/// 18 fraction digits are five groups, of which the last lacks two digits.
const FRACTION_GROUPS: i16 = 5;
const SCALE: i16 = 18;
const PADDING: u128 = 100;
const NEGATIVE: u16 = 0x4000;

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Atto {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        let groups = groups(self.0.unsigned_abs());
        let weight = groups.len() as i16 - 1 - FRACTION_GROUPS;
        let sign = if self.0.is_negative() { NEGATIVE } else { 0 };
        let zeros = groups.iter().take_while(|group| **group == 0).count();
        let groups = groups.get(zeros..).unwrap_or(&[]);
        out.extend_from_slice(&(groups.len() as i16).to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&SCALE.to_be_bytes());
        for group in groups.iter().rev() {
            out.extend_from_slice(&group.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }

    to_sql_checked!();
}

/// The groups of a number that is padded to whole ones, the last first.
fn groups(size: U256) -> Vec<u16> {
    // Split before it is padded, because the width holds no more. Division of 128 bits is faster, and
    // only sums need more.
    let Ok(narrow) = u128::try_from(size) else {
        let (mut high, low) = (size / U256::new(PADDING), size % U256::new(PADDING));
        let mut groups = vec![(low.as_u128() * PADDING) as u16];
        while high > U256::ZERO {
            groups.push((high % U256::new(BASE)).as_u16());
            high /= U256::new(BASE);
        }
        return groups;
    };
    let (mut high, low) = (narrow / PADDING, narrow % PADDING);
    let mut groups = vec![(low * PADDING) as u16];
    while high > 0 {
        groups.push((high % BASE) as u16);
        high /= BASE;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::postgres::read_numeric;

    #[test]
    fn amounts_come_back_to_the_last_digit() {
        let unit = 10_i128.pow(18);
        for atto in [
            0,
            1,
            -1,
            99,
            100,
            10_000,
            unit,
            -unit,
            150 * unit + unit / 100,
            9_999 * unit,
            10_000 * unit,
            12_345_678_901_234_567_890_123_456_789_012_345_678,
            10_i128.pow(38) - 1,
            1 - 10_i128.pow(38),
            i128::MAX,
            i128::MIN,
        ]
        .map(I256::new)
        .into_iter()
        .chain([I256::new(i128::MAX) + 1, I256::ONE - I256::new(10).pow(58)])
        {
            let mut bytes = BytesMut::new();
            Atto(atto).to_sql(&Type::NUMERIC, &mut bytes).expect("any number");
            assert_eq!(read_numeric(&bytes), Some(atto));
        }
    }
}
