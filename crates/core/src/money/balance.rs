//! What an account holds: an amount with a sign.

use ethnum::I256;
use serde::{Serialize, Serializer};

use super::{Amount, Currency, DIGITS_MAX, Total};
use crate::id::AccountId;

/// A balance, in 10^-18 units of its currency. The rules keep that of an account between -10^20 and
/// 10^20 units, and that of equity, which owes the sum of all opening balances, between -10^40 and
/// 10^40: more than all openings that a log has numbers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance(I256);

impl Balance {
    pub const ZERO: Self = Self(I256::ZERO);

    #[must_use]
    pub const fn from_atto(atto: i128) -> Self {
        Self(I256::new(atto))
    }

    /// A balance that may be past 128 bits.
    #[must_use]
    pub const fn from_wide(atto: I256) -> Self {
        Self(atto)
    }

    /// The balance in 10^-18 units.
    #[must_use]
    pub const fn atto(self) -> I256 {
        self.0
    }

    /// The balance after money came in; `None` past 256 bits.
    #[must_use]
    pub fn plus(self, amount: Amount) -> Option<Self> {
        self.0.checked_add(I256::new(amount.0)).map(Self)
    }

    /// The balance after money went out; `None` past 256 bits.
    #[must_use]
    pub fn minus(self, amount: Amount) -> Option<Self> {
        self.0.checked_sub(I256::new(amount.0)).map(Self)
    }

    /// Tells whether an account may have this balance.
    #[must_use]
    pub fn is_in_range(self, account: AccountId) -> bool {
        let end = I256::new(Amount::END);
        // 10^40 units.
        let end = if account.is_equity() { end * I256::new(10_i128.pow(20)) } else { end };
        -end < self.0 && self.0 < end
    }

    /// Writes the balance with the currency's digits: `-150.00`.
    #[must_use]
    pub fn to_text(self, currency: Currency) -> String {
        // Past 128 bits there are only sums.
        i128::try_from(self.0)
            .map_or_else(|_| Total(self.0).to_text(currency), |atto| digits(atto, currency))
    }
}

impl From<Amount> for Balance {
    fn from(amount: Amount) -> Self {
        Self::from_atto(amount.0)
    }
}

impl From<Balance> for Total {
    fn from(balance: Balance) -> Self {
        Self(balance.0)
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
        let (account, equity) = (AccountId(1), AccountId::equity(&Currency::USD));
        let largest = Amount::from_atto(Amount::END - 1);
        let most = Balance::ZERO.plus(largest).expect("in range");
        let least = Balance::ZERO.minus(largest).expect("in range");
        assert!([most, least].iter().all(|balance| balance.is_in_range(account)));
        let more = most.plus(Amount::from_atto(1)).expect("256 bits");
        let less = least.minus(Amount::from_atto(1)).expect("256 bits");
        assert!(![more, less].iter().any(|balance| balance.is_in_range(account)));
        assert!([more, less].iter().all(|balance| balance.is_in_range(equity)));
        assert_eq!(more.minus(largest), Some(Balance::from_atto(1)));
        let end = I256::new(10).pow(58);
        assert!(Balance::from_wide(I256::ONE - end).is_in_range(equity));
        assert!(!Balance::from_wide(-end).is_in_range(equity));
        assert_eq!(Balance::from_wide(I256::MAX).plus(largest), None);
        assert_eq!(Balance::from_wide(I256::MIN).minus(largest), None);
        assert_eq!(largest.plus(Amount::from_atto(1)), None);
        assert_eq!(Amount::from_atto(5).minus(largest), None);
    }

    #[test]
    fn sums_past_128_bits_are_written_to_the_last_digit() {
        let most = Amount::from_atto(Amount::END - 10_i128.pow(16));
        let sum = (0..1_000).try_fold(Balance::ZERO, |sum, _| sum.minus(most)).expect("256 bits");
        assert_eq!(sum.to_text(Currency::USD), "-99999999999999999999990.00");
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
