//! The checks of metadata fields that the kinds share. Nothing is required, `null` counts as
//! absent, and what a kind does not name passes; a value that is there must make sense.

use crate::json::Json;
use crate::rejection::FieldError;
use crate::time::Moment;

/// The longest IBAN (ISO 13616), in characters.
const IBAN_CHARS_MAX: usize = 34;
/// The shortest IBAN in use, Norway's, in characters.
const IBAN_CHARS_MIN: usize = 15;
/// The longest e-mail address (RFC 5321), in characters.
const EMAIL_CHARS_MAX: usize = 254;

/// Checks one field after the other and collects what is wrong.
pub struct Check<'a> {
    metadata: &'a Json,
    errors: Vec<FieldError>,
}

impl<'a> Check<'a> {
    pub fn of(metadata: &'a Json) -> Self {
        Self { metadata, errors: Vec::new() }
    }

    pub fn finish(self) -> Vec<FieldError> {
        self.errors
    }

    /// Names of people, places and things: texts.
    pub fn texts(mut self, names: &[&str]) -> Self {
        for name in names {
            self.expect(name, "TYPE", "is a text", |value| matches!(value, Json::String(_)));
        }
        self
    }

    /// Numbers that name something: texts, or whole numbers as careless systems send them.
    pub fn references(mut self, names: &[&str]) -> Self {
        for name in names {
            self.expect(name, "TYPE", "is a text or a whole number", |value| match value {
                Json::String(_) => true,
                Json::Number(text) => text.bytes().all(|b| b.is_ascii_digit()),
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
            });
        }
        self
    }

    /// Places: a text, or an object of its parts.
    pub fn places(mut self, names: &[&str]) -> Self {
        for name in names {
            self.expect(name, "TYPE", "is a text, or an object such as {\"city\": …}", |value| {
                matches!(value, Json::String(_) | Json::Object(_))
            });
        }
        self
    }

    /// The last digits of a card or an account: exactly four, as a text, for `0042` is no number.
    pub fn last_four(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a text of exactly four digits such as \"5678\"";
            self.expect_text(name, "LAST_FOUR", rule, |text| are_digits(text, 4));
        }
        self
    }

    /// A merchant category code (ISO 18245): four digits, as a text or a number.
    pub fn merchant_code(mut self, name: &str) -> Self {
        self.expect(name, "MCC", "is a merchant category code of four digits", |value| {
            scalar(value).is_some_and(|text| are_digits(text, 4))
        });
        self
    }

    /// One of a few words, in any case.
    pub fn one_of(
        mut self,
        name: &str,
        accepted: impl IntoIterator<Item = &'static str> + Clone,
    ) -> Self {
        let known =
            |text: &str| accepted.clone().into_iter().any(|word| word.eq_ignore_ascii_case(text));
        let fits = |value: &Json| matches!(value, Json::String(text) if known(text.trim()));
        if self.present(name).is_some_and(|value| !fits(value)) {
            let accepted: Vec<&str> = accepted.into_iter().collect();
            self.wrong(name, "ONE_OF", &format!("is one of {}", accepted.join(", ")));
        }
        self
    }

    /// Quantities, prices and rates: decimal numbers, or the same as texts; a rate may be in per
    /// cent.
    pub fn decimals(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a decimal number such as 0.25, or the same as a text";
            self.expect(name, "DECIMAL", rule, |value| match value {
                Json::Number(_) => true,
                Json::String(text) => is_decimal(text.trim().trim_end_matches('%').trim_end()),
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => false,
            });
        }
        self
    }

    pub fn emails(mut self, names: &[&str]) -> Self {
        for name in names {
            self.expect_text(name, "EMAIL", "is an e-mail address such as a@example.com", is_email);
        }
        self
    }

    /// Telephone numbers: up to 15 digits (ITU-T E.164), written as people write them.
    pub fn phones(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a telephone number such as +12025550142";
            self.expect_text(name, "PHONE", rule, is_phone);
        }
        self
    }

    pub fn dates(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a date such as 2024-01-15";
            self.expect_text(name, "DATE", rule, |text| Moment::parse(text).is_ok());
        }
        self
    }

    pub fn iban(mut self, name: &str) -> Self {
        let rule = "is an IBAN whose check digits are right";
        self.expect_text(name, "IBAN", rule, is_iban);
        self
    }

    /// Account numbers: letters and digits with their usual separators, possibly masked.
    pub fn account_numbers(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is an account number: up to 34 letters and digits";
            self.expect(name, "ACCOUNT_NUMBER", rule, |value| {
                scalar(value).is_some_and(is_account_number)
            });
        }
        self
    }

    /// Codes or names of coins: `BTC`, `Bitcoin`, `USDC.e`.
    pub fn coins(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is the code or the name of a currency such as BTC";
            self.expect_text(name, "COIN", rule, |text| {
                let known = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_');
                (1..=32).contains(&text.chars().count()) && text.chars().all(known)
            });
        }
        self
    }

    /// Addresses of wallets, whichever the chain; possibly shortened in the middle.
    pub fn wallets(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a wallet address: 4 to 128 letters and digits, hexadecimal after 0x";
            self.expect_text(name, "WALLET_ADDRESS", rule, |text| is_chain_id(text, 4));
        }
        self
    }

    /// Names of transactions on a chain.
    pub fn hashes(mut self, names: &[&str]) -> Self {
        for name in names {
            let rule = "is a transaction hash: 8 to 128 letters and digits, hexadecimal after 0x";
            self.expect_text(name, "TX_HASH", rule, |text| is_chain_id(text, 8));
        }
        self
    }

    fn expect_text(&mut self, name: &str, code: &str, rule: &str, fits: impl Fn(&str) -> bool) {
        self.expect(name, code, rule, |value| match value {
            Json::String(text) => fits(text.trim()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                false
            }
        });
    }

    fn expect(&mut self, name: &str, code: &str, rule: &str, fits: impl Fn(&Json) -> bool) {
        if self.present(name).is_some_and(|value| !fits(value)) {
            self.wrong(name, code, rule);
        }
    }

    fn present(&self, name: &str) -> Option<&'a Json> {
        self.metadata.get(name).filter(|value| **value != Json::Null)
    }

    fn wrong(&mut self, name: &str, code: &str, rule: &str) {
        let pointer = format!("/metadata/{name}");
        self.errors.push(FieldError::new(pointer, code, format!("`{name}` {rule}")));
    }
}

fn scalar(value: &Json) -> Option<&str> {
    match value {
        Json::String(text) => Some(text.trim()),
        Json::Number(text) => Some(text),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn are_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction) && digits(exponent)
}

fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c);
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    text.chars().count() <= EMAIL_CHARS_MAX
        && !name.is_empty()
        && name.chars().all(plain)
        && domain.contains('.')
        && domain.split('.').all(|label| {
            let inner = |c: char| c.is_alphanumeric() || c == '-';
            !label.is_empty() && label.chars().all(inner)
        })
}

fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('+').unwrap_or(text);
    let known = |b: u8| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'(' | b')' | b'.' | b'/');
    (5..=15).contains(&digits) && rest.bytes().all(known)
}

/// Whether parts of a text are hidden, so that its digits cannot be checked.
fn is_masked(text: &str) -> bool {
    text.contains(['*', '•', '…']) || text.contains("...")
}

fn is_account_number(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || " -./*•…".contains(c);
    let length = text.chars().filter(char::is_ascii_alphanumeric).count();
    (1..=34).contains(&length) && text.chars().count() <= 64 && text.chars().all(known)
}

fn is_chain_id(text: &str, chars_min: usize) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || ":._-*•…".contains(c);
    let hex = |rest: &str| rest.bytes().all(|b| b.is_ascii_hexdigit());
    (chars_min..=128).contains(&text.chars().count())
        && text.chars().all(known)
        && (is_masked(text) || text.strip_prefix("0x").is_none_or(hex))
}

fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    if is_masked(&plain) {
        return is_account_number(text);
    }
    let (country, rest) = plain.split_at_checked(2).unwrap_or(("", ""));
    let (check_digits, account) = rest.split_at_checked(2).unwrap_or(("", ""));
    (IBAN_CHARS_MIN..=IBAN_CHARS_MAX).contains(&plain.len())
        && country.bytes().all(|b| b.is_ascii_alphabetic())
        && are_digits(check_digits, 2)
        && iban_remainder([account, country, check_digits]) == Some(1)
}

/// The remainder by 97 of the parts of an IBAN read as one number (ISO 7064), letters as 10 to
/// 35; `None` when there is anything but letters and digits.
pub(crate) fn iban_remainder(parts: [&str; 3]) -> Option<u32> {
    parts.iter().flat_map(|part| part.chars()).try_fold(0, |remainder, c| {
        let value = c.to_digit(36)?;
        let shift = if value < 10 { 10 } else { 100 };
        Some((remainder * shift + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: impl Fn(Check<'_>) -> Check<'_>, value: &str) -> Vec<String> {
        let metadata = Json::parse(&format!(r#"{{"it":{value}}}"#), 5).expect("valid");
        check(Check::of(&metadata)).finish().into_iter().map(|error| error.code).collect()
    }

    #[test]
    fn null_counts_as_absent() {
        assert!(codes(|c| c.texts(&["it"]).iban("it").emails(&["it"]), "null").is_empty());
    }

    #[test]
    fn ibans_are_read_with_and_without_spaces_and_their_check_digits_count() {
        for good in [
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "es9121000418450200051332",
            "NO9386011117947",
            "DE89 **** **** 3000",
        ] {
            assert!(is_iban(good), "{good}");
        }
        for bad in ["DE88370400440532013000", "DE89", "", "1234567890123456", "GB29-NWBK", "É"] {
            assert!(!is_iban(bad), "{bad}");
        }
    }

    #[test]
    fn emails_and_phones_look_like_it() {
        for good in ["a@example.com", "alice.o'neil+x@mail.example.co.uk", "josé@exämple.es"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["alice", "a@b", "@example.com", "a@@example.com", "a b@example.com", "a@.com"] {
            assert!(!is_email(bad), "{bad}");
        }
        for good in ["+12025550142", "(202) 555-0142", "0049 30 123456"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["call me", "+1", "1234567890123456", "12+345678"] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn decimals_are_numbers_or_their_texts() {
        for good in ["1", "0.5", "\"0.00012\"", "\"-3\"", "\"1e-8\"", "\"4.5%\"", "1e400"] {
            assert!(codes(|c| c.decimals(&["it"]), good).is_empty(), "{good}");
        }
        for bad in ["\"NaN\"", "\"\"", "\"1,5\"", "\"0x10\"", "true", "[]", "\".\"", "\"1.\""] {
            assert_eq!(codes(|c| c.decimals(&["it"]), bad), ["DECIMAL"], "{bad}");
        }
    }

    #[test]
    fn addresses_of_every_chain_pass_and_broken_ones_do_not() {
        for good in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
            "0x742d...f44e",
            "alice.eth",
        ] {
            assert!(is_chain_id(good, 4), "{good}");
        }
        for bad in ["", "abc", "0xnothexatall", "has space inside", "emoji🙂address"] {
            assert!(!is_chain_id(bad, 4), "{bad}");
        }
    }
}
