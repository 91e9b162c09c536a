//! Exact money. An amount is a whole number of 10^-18 units of its currency, so that every
//! currency, from the yen to ether, is compared, stored and added the same way and nothing is
//! ever rounded. There is no floating point here, and no arithmetic on money anywhere else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::limits::AMOUNT_CHARS_MAX;

mod balance;

pub use balance::{AsText, Balance};
pub use ethnum::{I256, U256};

/// The fraction digits that an amount carries inside, and the most a currency may have.
pub const DIGITS_MAX: u8 = 18;
const CODE_CHARS_MAX: usize = 12;
/// The most digits before the point: an amount is less than 10^20.
const INTEGER_DIGITS_MAX: i64 = 20;

/// Currencies with other than two fraction digits (ISO 4217, list one of 2026-01-01, minor units),
/// and all others of the list in [`ISO_TWO_DIGITS`]. The list has codes without minor units too:
/// metals, units of account and codes for tests; they are no money here.
const ISO_OTHER_DIGITS: &[(&str, u8)] = &[
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("ISK", 0),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("PYG", 0),
    ("RWF", 0),
    ("UGX", 0),
    ("UYI", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
    ("BHD", 3),
    ("IQD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("TND", 3),
    ("CLF", 4),
    ("UYW", 4),
];
const ISO_TWO_DIGITS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL \
    BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB \
    EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW \
    KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD \
    NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE \
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST \
    XAD XCD XCG YER ZAR ZMW ZWG";
/// Crypto codes known without configuration: (code, fraction digits).
const CRYPTO: &[(&str, u8)] = &[
    ("BTC", 8),
    ("ETH", 18),
    ("USDT", 6),
    ("USDC", 6),
    ("SOL", 9),
    ("BNB", 18),
    ("XRP", 6),
    ("ADA", 6),
    ("DOGE", 8),
    ("LTC", 8),
    ("BCH", 8),
    ("DOT", 10),
    ("TRX", 6),
    ("MATIC", 18),
    ("POL", 18),
    ("AVAX", 18),
    ("LINK", 18),
    ("DAI", 18),
    ("XLM", 7),
    ("ATOM", 6),
    ("TON", 9),
];

/// A currency code together with the fraction digits that its amounts have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; CODE_CHARS_MAX],
    digits: u8,
}

impl Currency {
    /// The US dollar, the currency of amounts that name none.
    pub const USD: Self = Self { code: *b"USD\0\0\0\0\0\0\0\0\0", digits: 2 };

    /// Accepts 2 to 12 capital letters and digits, and at most 18 fraction digits.
    #[must_use]
    pub fn new(code: &str, digits: u8) -> Option<Self> {
        let fits = (2..=CODE_CHARS_MAX).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && digits <= DIGITS_MAX;
        let mut padded = [0; CODE_CHARS_MAX];
        for (place, byte) in padded.iter_mut().zip(code.bytes()) {
            *place = byte;
        }
        fits.then_some(Self { code: padded, digits })
    }

    #[must_use]
    pub fn code(&self) -> &str {
        let end = self.code.iter().position(|b| *b == 0).unwrap_or(CODE_CHARS_MAX);
        self.code.get(..end).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or("")
    }

    #[must_use]
    pub const fn digits(&self) -> u8 {
        self.digits
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.code(), self.digits)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// The currencies that a deployment accepts: ISO 4217, well-known crypto, and its own additions.
#[derive(Clone, Debug)]
pub struct Currencies(BTreeMap<String, Currency>);

impl Default for Currencies {
    fn default() -> Self {
        let two = ISO_TWO_DIGITS.split_whitespace().map(|code| (code, 2));
        let all = two.chain(ISO_OTHER_DIGITS.iter().copied()).chain(CRYPTO.iter().copied());
        Self(
            all.filter_map(|(code, digits)| Some((code.to_owned(), Currency::new(code, digits)?)))
                .collect(),
        )
    }
}

impl Currencies {
    /// Adds a currency, or replaces one that is known.
    pub fn add(&mut self, currency: Currency) {
        self.0.insert(currency.code().to_owned(), currency);
    }

    /// Finds a currency by its code, in any case.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<Currency> {
        self.0.get(code).or_else(|| self.0.get(&code.to_ascii_uppercase())).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = Currency> + '_ {
        self.0.values().copied()
    }
}

/// Says why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("the amount is not a decimal number such as 150.00")]
    NotANumber,
    #[error("the amount has more than the {digits} fraction digits of its currency")]
    TooPrecise { digits: u8 },
    #[error("the amount has more than 18 fraction digits")]
    TooFine,
    #[error("the amount is 10^20 or more")]
    TooLarge,
    #[error("the amount is negative; say the direction with `side`")]
    Negative,
}

/// An exact amount of money, in 10^-18 units of its currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    pub const ZERO: Amount = Amount(0);
    /// The first amount that is too large: 10^20 units.
    const END: i128 = 10_i128.pow(38);

    #[must_use]
    pub const fn from_atto(atto: i128) -> Self {
        Self(atto)
    }

    /// The amount in 10^-18 units.
    #[must_use]
    pub const fn atto(self) -> i128 {
        self.0
    }

    /// Makes an amount of whole minor units (cents) of a currency; `None` past the range.
    #[must_use]
    pub fn from_minor(minor: i128, currency: Currency) -> Option<Self> {
        let scale = 10_i128.checked_pow(u32::from(DIGITS_MAX.checked_sub(currency.digits)?))?;
        minor.checked_mul(scale).filter(|atto| atto.abs() < Self::END).map(Self)
    }

    /// Reads a decimal number, with or without exponent, from its digits. Trailing zeros beyond
    /// the currency's digits say nothing and are accepted; any other digit there is refused.
    ///
    /// # Errors
    /// When the text is no number, negative, too precise for the currency, or 10^20 or more.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        read(text, currency.digits).map_err(|error| match error {
            AmountError::TooFine => AmountError::TooPrecise { digits: currency.digits },
            error => error,
        })
    }

    /// Reads a decimal number of up to 18 fraction digits whose currency is not known, as filters do.
    ///
    /// # Errors
    /// When the text is no number, negative, has more fraction digits, or is 10^20 or more.
    pub fn parse_any(text: &str) -> Result<Self, AmountError> {
        read(text, DIGITS_MAX)
    }

    /// Writes the amount with the currency's digits: `150.00`.
    #[must_use]
    pub fn to_text(self, currency: Currency) -> String {
        balance::digits(self.0, currency)
    }
}

/// Reads a decimal number with at most so many fraction digits that are not zero.
fn read(text: &str, fraction_digits_max: u8) -> Result<Amount, AmountError> {
    if text.len() > AMOUNT_CHARS_MAX {
        return Err(AmountError::NotANumber);
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let dangling = mantissa.contains('.') && fraction.is_empty();
    if whole.is_empty() || dangling || !digits_only(whole) || !digits_only(fraction) {
        return Err(AmountError::NotANumber);
    }
    // Digits and a power of ten, without zeros at either end, so that their size alone says whether
    // they fit.
    let digits = || whole.bytes().chain(fraction.bytes());
    let zeros_before = digits().take_while(|b| *b == b'0').count();
    let zeros = digits().rev().take_while(|b| *b == b'0').count();
    let length = (whole.len() + fraction.len()).saturating_sub(zeros_before + zeros);
    let size = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let power = exponent.saturating_add(size(zeros) - size(fraction.len()));
    if length == 0 {
        return Ok(Amount::ZERO);
    }
    if text.starts_with('-') {
        return Err(AmountError::Negative);
    }
    if power.saturating_add(size(length)) > INTEGER_DIGITS_MAX {
        return Err(AmountError::TooLarge);
    }
    if power < -i64::from(fraction_digits_max) {
        return Err(AmountError::TooFine);
    }
    let value = digits().skip(zeros_before).take(length).try_fold(0_i128, |value, byte| {
        value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))
    });
    let scale = u32::try_from(i64::from(DIGITS_MAX) + power).ok();
    let scale = scale.and_then(|scale| 10_i128.checked_pow(scale));
    let atto = value.zip(scale).and_then(|(value, scale)| value.checked_mul(scale));
    atto.map(Amount).ok_or(AmountError::TooLarge)
}

fn read_exponent(text: &str) -> Result<i64, AmountError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AmountError::NotANumber);
    }
    // One that is too large for its type is so for every amount.
    let bound = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(text.parse().unwrap_or(bound))
}

/// A sum of amounts, wide enough (256 bits) that no number of them overflows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total(I256);

impl From<Amount> for Total {
    fn from(amount: Amount) -> Self {
        Self(I256::from(amount.0))
    }
}

/// Says that a sum is too large to be one amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum is too large to be one amount")]
pub struct TooWide;

impl TryFrom<Total> for Amount {
    type Error = TooWide;
    fn try_from(total: Total) -> Result<Self, TooWide> {
        i128::try_from(total.0).map(Self).map_err(|_| TooWide)
    }
}

impl std::ops::Add for Total {
    type Output = Total;
    fn add(self, other: Total) -> Total {
        Total(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Total {
    type Output = Total;
    fn sub(self, other: Total) -> Total {
        Total(self.0.saturating_sub(other.0))
    }
}

impl std::ops::AddAssign for Total {
    fn add_assign(&mut self, other: Total) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Total {
    fn sum<I: Iterator<Item = Total>>(totals: I) -> Total {
        totals.fold(Total::default(), |sum, total| sum + total)
    }
}

impl Total {
    pub const ZERO: Total = Total(I256::ZERO);

    /// The sum, divided by a count, rounded half to even at the currency's last digit; zero when
    /// there is nothing to divide by.
    #[must_use]
    pub fn average(self, count: u64, currency: Currency) -> Total {
        if count == 0 {
            return Total::ZERO;
        }
        let step = I256::from(10_i128.pow(u32::from(DIGITS_MAX - currency.digits)));
        let divisor = I256::from(count) * step;
        let (quotient, remainder) = (self.0.div_euclid(divisor), self.0.rem_euclid(divisor));
        let odd = quotient.rem_euclid(I256::from(2)) == I256::ONE;
        let up = match (remainder * I256::from(2)).cmp(&divisor) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => odd,
            std::cmp::Ordering::Less => false,
        };
        Total((quotient + if up { I256::ONE } else { I256::ZERO }) * step)
    }

    /// Writes the sum with the currency's digits: `-150.00`.
    #[must_use]
    pub fn to_text(self, currency: Currency) -> String {
        let digits = usize::from(currency.digits);
        let minor = self.0 / I256::from(10_i128.pow(u32::from(DIGITS_MAX - currency.digits)));
        let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let sign = if minor.is_negative() { "-" } else { "" };
        let point = if digits == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    /// The sum as digits and a power of ten (at most 18) of 10^-18 units; `None` when it is
    /// negative or does not fit 128 bits.
    #[must_use]
    pub fn mantissa(self) -> Option<(u128, u8)> {
        let mut digits = u128::try_from(self.0).ok()?;
        let mut exponent = 0;
        // Powers of two first: three divisions instead of up to eighteen.
        for step in [16_u8, 8, 4, 2, 1] {
            let scale = 10_u128.pow(step.into());
            if digits != 0 && exponent + step <= DIGITS_MAX && digits % scale == 0 {
                digits /= scale;
                exponent += step;
            }
        }
        Some((digits, exponent))
    }

    /// The inverse of [`Total::mantissa`]; `None` when it names no sum.
    #[must_use]
    pub fn from_mantissa(digits: u128, exponent: u8) -> Option<Self> {
        let scale = 10_i128.checked_pow(exponent.into())?;
        I256::from(digits).checked_mul(I256::from(scale)).map(Self)
    }

    /// The sum in 10^-18 units, in 32 bytes, least significant first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_le_bytes()
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(I256::from_le_bytes(bytes))
    }
}

/// Serializes an amount as a JSON number with its currency's digits, the form of feed items.
pub fn as_number<S: Serializer>(
    amount: Amount,
    currency: Currency,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let number = serde_json::value::RawValue::from_string(amount.to_text(currency))
        .map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}

#[cfg(test)]
mod tests;
