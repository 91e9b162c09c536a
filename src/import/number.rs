//! Numbers as files write them. The mapping declares the decimal sign and the sign between
//! thousands; a text that is not written so is refused and never guessed at.

use super::mapping::Amounts;

/// A number as the API and JSON write it: digits, and a point before the decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Without its sign.
    pub digits: String,
    pub is_negative: bool,
}

impl Number {
    /// Reads a number that is written in a declared style; `None` when it is not.
    ///
    /// A sign stands before or a minus behind the digits, or they stand in parentheses. Thousands
    /// signs stand between groups of three digits, all of them or none; where a comma separates
    /// the groups of a number with a decimal point, they may be the groups of Indian numbers
    /// (12,34,567.89), which no other style writes.
    pub fn read(text: &str, style: &Amounts) -> Option<Self> {
        let (text, is_negative) = unsigned(text.trim());
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => text.split_at_checked(at)?,
            None => (text, ""),
        };
        let (whole, fraction) = match mantissa.split_once(style.decimal_sign()) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let groups: Vec<&str> = whole.split(|sign| style.is_thousands(sign)).collect();
        let are_grouped = match groups.as_slice() {
            [] | [_] => true,
            several => exponent.is_empty() && are_grouped(several, style),
        };
        let are_digits = groups.iter().copied().chain(fraction).all(is_digits);
        if !are_grouped || !are_digits || !is_exponent(exponent) {
            return None;
        }
        let mut digits = groups.concat();
        if let Some(fraction) = fraction {
            digits.push('.');
            digits.push_str(fraction);
        }
        digits.push_str(exponent);
        Some(Self { digits, is_negative })
    }

    pub fn is_zero(&self) -> bool {
        let mantissa = self.digits.split(['e', 'E']).next().unwrap_or_default();
        mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    }

    pub fn signed(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        format!("{sign}{}", self.digits)
    }
}

/// Says why a text is no number of a style, and how to go on.
pub fn refusal(shown: &str, style: &Amounts) -> String {
    let decimal = style.decimal_sign();
    let thousands = match style.thousands {
        Some(' ') => "blanks between groups of three digits".to_owned(),
        Some(sign) => format!("'{sign}' between groups of three digits"),
        None => "nothing between thousands".to_owned(),
    };
    format!(
        "{shown} is no number with '{decimal}' before the decimals and {thousands}; correct the \
         row, or `decimal` and `thousands` under [amounts] in the mapping"
    )
}

fn unsigned(text: &str) -> (&str, bool) {
    if let Some(bare) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return (bare.trim(), true);
    }
    let negative = text.strip_prefix(['-', '\u{2212}']).or_else(|| text.strip_suffix('-'));
    match negative {
        Some(bare) => (bare.trim(), true),
        None => (text.strip_prefix('+').unwrap_or(text).trim(), false),
    }
}

/// Whether the groups of digits between thousands signs have the lengths that they must have.
fn are_grouped(groups: &[&str], style: &Amounts) -> bool {
    let Some(((first, middle), last)) =
        groups.split_last().and_then(|(last, rest)| Some((rest.split_first()?, last)))
    else {
        return true;
    };
    // A group is not filled up with zeros: 0,500 is more likely a half than five hundred.
    if last.len() != 3 || first.starts_with('0') {
        return false;
    }
    let of_three = (1..=3).contains(&first.len()) && middle.iter().all(|group| group.len() == 3);
    let is_indian_style = style.thousands == Some(',') && style.decimal_sign() == '.';
    let of_two = (1..=2).contains(&first.len())
        && !middle.is_empty()
        && middle.iter().all(|group| group.len() == 2);
    of_three || (is_indian_style && of_two)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_exponent(text: &str) -> bool {
    match text.strip_prefix(['e', 'E']) {
        Some(digits) => is_digits(digits.strip_prefix(['+', '-']).unwrap_or(digits)),
        None => text.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn style(decimal: Option<char>, thousands: Option<char>) -> Amounts {
        Amounts { decimal, thousands, negative: None }
    }

    /// The number with its sign, or "refused".
    fn read(text: &str, style: &Amounts) -> String {
        Number::read(text, style).map_or("refused".to_owned(), |number| number.signed())
    }

    fn check(style: &Amounts, rows: &[(&str, &str)]) {
        for (text, expected) in rows {
            assert_eq!(read(text, style), *expected, "'{text}' in {style:?}");
        }
    }

    #[test]
    fn without_a_thousands_sign_a_number_is_digits_and_one_decimal_sign() {
        check(
            &style(None, None),
            &[
                ("1250.00", "1250.00"),
                ("-49.37", "-49.37"),
                ("0012.5", "0012.5"),
                ("2.5e-8", "2.5e-8"),
                ("1E+3", "1E+3"),
                ("3,000", "refused"),
                ("-7,0", "refused"),
                ("1 234", "refused"),
                ("1.234.567", "refused"),
                ("5.", "refused"),
                (".5", "refused"),
                ("e3", "refused"),
                ("1e", "refused"),
                ("", "refused"),
                ("-", "refused"),
                ("--5", "refused"),
                ("-5-", "refused"),
                ("(-5)", "refused"),
                ("(5", "refused"),
                ("$5", "refused"),
                ("٣", "refused"),
            ],
        );
        check(
            &style(Some(','), None),
            &[("3,000", "3.000"), ("3.000", "refused"), ("1.250,00", "refused")],
        );
    }

    #[test]
    fn a_thousands_sign_stands_between_groups_of_three_digits_or_is_refused() {
        let german = [
            ("-1.250,00", "-1250.00"),
            ("3.000", "3000"),
            ("3000", "3000"),
            ("12.345.678,9", "12345678.9"),
            ("-49.37", "refused"),
            ("68.1", "refused"),
            ("1.23.456,7", "refused"),
            ("1234.567,00", "refused"),
            ("1.234,56,7", "refused"),
            ("1,234.56", "refused"),
            ("1,234.567", "refused"),
            (".500", "refused"),
            ("0.500", "refused"),
            ("1..000", "refused"),
            ("1.000e3", "refused"),
            ("1.000.", "refused"),
        ];
        check(&style(Some(','), Some('.')), &german);
        let american_and_indian = [
            ("25,000", "25000"),
            ("49,37", "refused"),
            ("1.234,56", "refused"),
            ("68,1", "refused"),
            ("1,234,567.89", "1234567.89"),
            ("12,34,567.89", "1234567.89"),
            ("1,00,000", "100000"),
            ("123,45,678", "refused"),
            ("12,34", "refused"),
            ("1,234,56,789", "refused"),
            ("1,23,45", "refused"),
        ];
        check(&style(None, Some(',')), &american_and_indian);
        let swiss = [("1'234.50", "1234.50"), ("1'2", "refused"), ("1’234", "refused")];
        check(&style(None, Some('\'')), &swiss);
        let czech = [
            ("1 234,50", "1234.50"),
            ("-1\u{a0}234\u{202f}567,50", "-1234567.50"),
            ("- 5", "-5"),
            ("1  234", "refused"),
            ("12 34", "refused"),
        ];
        check(&style(Some(','), Some(' ')), &czech);
    }

    #[test]
    fn a_sign_of_less_than_zero_may_stand_before_behind_or_around() {
        let plain = style(None, None);
        for text in ["-7.00", "\u{2212}7.00", "7.00-", "(7.00)", "- 7.00", "( 7.00 )"] {
            assert_eq!(read(text, &plain), "-7.00", "{text}");
        }
        assert_eq!(read("+7", &plain), "7");
    }

    #[test]
    fn zero_is_zero_however_it_is_written() {
        let german = style(Some(','), Some('.'));
        for (text, expected) in
            [("0", true), ("0,00", true), ("-0,00", true), ("0e5", true), ("0,01", false)]
        {
            assert_eq!(Number::read(text, &german).map(|n| n.is_zero()), Some(expected), "{text}");
        }
    }

    /// The digits of a whole number with a sign between groups, the last of which has three.
    fn grouped(whole: &str, others: usize, sign: char) -> String {
        let digits: Vec<char> = whole.chars().collect();
        let count = digits.len();
        let mut text = String::new();
        for (index, digit) in digits.into_iter().enumerate() {
            let left = count - index;
            if index > 0 && left >= 3 && (left - 3).is_multiple_of(others) {
                text.push(sign);
            }
            text.push(digit);
        }
        text
    }

    fn styles() -> impl Strategy<Value = Amounts> {
        let thousands = prop::option::of(prop::sample::select(vec![',', '.', ' ', '\'', '_']));
        (prop::sample::select(vec![',', '.']), thousands)
            .prop_filter("two signs", |(decimal, thousands)| *thousands != Some(*decimal))
            .prop_map(|(decimal, thousands)| style(Some(decimal), thousands))
    }

    /// Every way to write digits in a style, without a sign.
    fn renderings(whole: &str, fraction: Option<&str>, style: &Amounts) -> Vec<String> {
        let mut wholes = vec![whole.to_owned()];
        if let Some(sign) = style.thousands.filter(|_| !whole.starts_with('0')) {
            wholes.push(grouped(whole, 3, sign));
            if sign == ',' && style.decimal_sign() == '.' {
                wholes.push(grouped(whole, 2, sign));
            }
        }
        let behind = fraction.map_or(String::new(), |f| format!("{}{f}", style.decimal_sign()));
        wholes.into_iter().map(|whole| format!("{whole}{behind}")).collect()
    }

    proptest! {
        #[test]
        fn every_rendering_of_a_number_reads_back_exactly(
            whole in "0|[1-9][0-9]{0,14}",
            fraction in prop::option::of("[0-9]{1,18}"),
            style in styles(),
            sign in prop::sample::select(vec![("", ""), ("+", ""), ("-", ""), ("", "-"), ("(", ")")]),
        ) {
            let digits = match &fraction {
                Some(fraction) => format!("{whole}.{fraction}"),
                None => whole.clone(),
            };
            let is_negative = !matches!(sign, ("" | "+", ""));
            for text in renderings(&whole, fraction.as_deref(), &style) {
                let text = format!("{}{text}{}", sign.0, sign.1);
                let expected = Some(Number { digits: digits.clone(), is_negative });
                prop_assert_eq!(Number::read(&text, &style), expected, "{}", text);
            }
        }

        #[test]
        fn what_is_no_rendering_of_a_number_is_refused(
            text in "[0-9]{0,3}[.,' _]?[0-9]{0,4}[.,' _]?[0-9]{0,4}[.,']?[0-9]{0,4}",
            style in styles(),
        ) {
            let read = Number::read(&text, &style);
            let (whole, fraction) = match text.split_once(style.decimal_sign()) {
                Some((whole, fraction)) => (whole, Some(fraction)),
                None => (text.as_str(), None),
            };
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            let (whole, fraction) = (digits(whole), fraction.map(digits));
            let is_number = !whole.is_empty()
                && fraction.as_deref() != Some("")
                && renderings(&whole, fraction.as_deref(), &style).contains(&text.trim().to_owned());
            prop_assert_eq!(read.is_some(), is_number, "'{}' in {:?}: {:?}", text, style, read);
        }
    }
}
