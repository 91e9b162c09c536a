//! What an account holds: an amount with a sign.

use serde::{Serialize, Serializer};

use super::{Amount, Currency, DIGITS_MAX};

/// A balance, in 10^-18 units of its currency; always between -10^20 and 10^20 units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance(i128);

impl Balance {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_atto(atto: i128) -> Self {
        Self(atto)
    }

    /// The balance in 10^-18 units.
    #[must_use]
    pub const fn atto(self) -> i128 {
        self.0
    }

    /// The balance after money came in; `None` when that would be 10^20 units or more.
    #[must_use]
    pub fn plus(self, amount: Amount) -> Option<Self> {
        self.0.checked_add(amount.0).and_then(Self::bounded)
    }

    /// The balance after money went out; `None` when that would be -10^20 units or less.
    #[must_use]
    pub fn minus(self, amount: Amount) -> Option<Self> {
        self.0.checked_sub(amount.0).and_then(Self::bounded)
    }

    fn bounded(atto: i128) -> Option<Self> {
        (-Amount::END < atto && atto < Amount::END).then_some(Self(atto))
    }

    /// Writes the balance with the currency's digits: `-150.00`.
    #[must_use]
    pub fn to_text(self, currency: Currency) -> String {
        digits(self.0, currency)
    }
}

impl From<Amount> for Balance {
    fn from(amount: Amount) -> Self {
        Self(amount.0)
    }
}

impl Amount {
    /// Whether the amount has no more fraction digits than the currency.
    #[must_use]
    pub fn fits(self, currency: Currency) -> bool {
        self.0 % 10_i128.pow(u32::from(DIGITS_MAX - currency.digits)) == 0
    }

    /// The sum of two amounts; `None` when it is 10^20 units or more.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| *sum < Self::END).map(Self)
    }

    /// What is left when a part is taken away; `None` when there is less than that.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).filter(|rest| *rest >= 0).map(Self)
    }
}

pub(super) fn digits(atto: i128, currency: Currency) -> String {
    let minor = atto / 10_i128.pow(u32::from(DIGITS_MAX - currency.digits));
    let sign = if minor < 0 { "-" } else { "" };
    let (minor, digits) = (minor.unsigned_abs(), u32::from(currency.digits));
    let scale = 10_u128.pow(digits);
    if digits == 0 {
        return format!("{sign}{minor}");
    }
    // Division of 64 bits is ten times faster, and most money fits.
    match (u64::try_from(minor), u64::try_from(scale)) {
        (Ok(minor), Ok(scale)) => {
            format!("{sign}{}.{:0width$}", minor / scale, minor % scale, width = digits as usize)
        }
        _ => format!("{sign}{}.{:0width$}", minor / scale, minor % scale, width = digits as usize),
    }
}

/// An amount that serializes as a text with its currency's digits, the form of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct AsText(pub Amount, pub Currency);

impl Serialize for AsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_text(self.1).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_stays_in_its_range() {
        let half = Amount::from_atto(Amount::END / 2);
        let near = Balance::ZERO.plus(half).expect("in range");
        assert_eq!(near.plus(half), None);
        assert_eq!(near.minus(half), Some(Balance::ZERO));
        let low = Balance::ZERO.minus(half).expect("in range");
        assert_eq!(low.minus(half), None);
        let largest = Amount::from_atto(Amount::END - 1);
        assert!(Balance::ZERO.plus(largest).is_some_and(|b| b.plus(largest).is_none()));
        assert_eq!(largest.plus(Amount::from_atto(1)), None);
        assert_eq!(half.minus(largest), None);
    }

    #[test]
    fn balances_are_written_with_the_digits_of_their_currency() {
        let currency = |digits| Currency::new("TST", digits).expect("a currency");
        for (atto, digits, text) in [
            (0, 2, "0.00"),
            (-50_000_000_000_000_000, 2, "-0.05"),
            (1_234_567 * 10_i128.pow(16), 2, "12345.67"),
            (42 * 10_i128.pow(18), 0, "42"),
            (-1, 18, "-0.000000000000000001"),
            (Amount::END - 1, 18, "99999999999999999999.999999999999999999"),
        ] {
            assert_eq!(Balance::from_atto(atto).to_text(currency(digits)), text);
        }
    }
}
