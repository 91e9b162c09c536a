//! Words: how a text becomes words, which words one searched word matches, and which terms of the
//! index stand for the filters. A store's index keeps words and terms per user; what they mean is
//! decided here, so that every store finds the same.

mod fold;
mod names;
mod typo;

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::id::fnv128;
use crate::json::Json;
use crate::limits::{DOCUMENT_WORDS_MAX, SEARCH_CHARS_MAX, SEARCH_WORDS_MAX, WORD_CHARS_MAX};
use crate::money::Currencies;
use crate::transaction::{PRODUCTS, Transaction};

pub use fold::{fold, without_iota_below};
pub use names::{Name, Names, Rule, exists, names};
pub use typo::{Nearness, Typo};

/// Splits a text into words: runs of letters and digits, in lower case, without accents. A point
/// between two digits belongs to the word, so that `150.00` is one.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |word| words.push(word.to_owned()));
    words
}

/// Visits the words of a text.
fn each_word(text: &str, mut visit: impl FnMut(&str)) {
    let folded = fold(text);
    let mut chars = folded.char_indices().peekable();
    // Where the word begins, how many characters it has so far, and where it ends or is cut.
    let mut word: Option<(usize, usize, usize)> = None;
    let mut after_digit = false;
    while let Some((at, c)) = chars.next() {
        let before_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        if c.is_alphanumeric() || (c == '.' && after_digit && before_digit) {
            let (_, length, end) = word.get_or_insert((at, 0, at));
            *length += 1;
            if *length <= WORD_CHARS_MAX {
                *end = at + c.len_utf8();
            }
        } else if let Some((start, _, end)) = word.take() {
            visit(folded.get(start..end).unwrap_or_default());
        }
        after_digit = c.is_ascii_digit();
    }
    if let Some((start, _, end)) = word {
        visit(folded.get(start..end).unwrap_or_default());
    }
}

/// The letters of a word that stand before its first digit, and the rest from that digit on.
#[must_use]
pub fn split_letters(word: &str) -> (&str, &str) {
    let end = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    word.split_at_checked(end).unwrap_or((word, ""))
}

/// Ends the entries of the dictionary that stand for words with digits. It sorts before every
/// letter, and no word without digits has it.
pub const DIGITS_FOLLOW: char = '0';

/// The entry of a word in the dictionary that beginnings and typos are looked up in: the word, or
/// of a word with digits the letters before the first one and [`DIGITS_FOLLOW`]. References are
/// many and all different; their letters are few and the same.
#[must_use]
pub fn dictionary_entry(word: &str) -> Option<Cow<'_, str>> {
    match split_letters(word) {
        ("", _) => None,
        (word, "") => Some(Cow::Borrowed(word)),
        (letters, _) => Some(Cow::Owned(format!("{letters}{DIGITS_FOLLOW}"))),
    }
}

/// What the index keeps of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The words of each field, in order; a phrase never spans two fields.
    pub fields: Vec<Vec<String>>,
    /// One term for each fact that a filter may ask for.
    pub terms: Vec<String>,
}

impl Document {
    /// The words and terms of an item. The names of types, statuses and well-known products and
    /// currencies, and what titles say beside values, are not among the words: every item has
    /// some, and [`names()`] finds them by the terms that filters need anyway.
    #[must_use]
    pub fn of(item: &Transaction) -> Self {
        let mut fields: Vec<Vec<String>> = vec![words(&item.amount.to_text(item.currency))];
        if !PRODUCTS.contains(&item.product.as_str()) {
            fields.push(words(&item.product));
        }
        if CURRENCIES.get(item.currency.code()).is_none() {
            fields.push(words(item.currency.code()));
        }
        let mut left = DOCUMENT_WORDS_MAX;
        item.metadata.visit(&mut |_, value| {
            let mut field = match value {
                Json::String(text) => words(text),
                Json::Number(text) => words(text),
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => Vec::new(),
            };
            field.truncate(left);
            left -= field.len();
            fields.push(field);
        });
        // The merchant as people know it, where that says more than what was sent.
        let display = item.kind().display(item);
        let merchant = display.merchant.as_deref().map(words).unwrap_or_default();
        if !merchant.iter().all(|word| fields.iter().any(|known| known.contains(word))) {
            fields.push(merchant);
        }
        let terms = terms_of(item);
        // What else people read, as the end of an account number that is shown masked.
        let mut shown = Vec::new();
        for text in [Some(&display.title), display.subtitle.as_ref()].into_iter().flatten() {
            each_word(text, |word| {
                let is_known = fields.iter().flatten().any(|known| known.starts_with(word));
                if !is_known && !names::say(word, &terms) {
                    shown.push(word.to_owned());
                }
            });
        }
        fields.push(shown);
        fields.retain(|field| !field.is_empty());
        Self { fields, terms }
    }
}

fn terms_of(item: &Transaction) -> Vec<String> {
    let mut terms = vec![
        Fact::Type(item.transaction_type.name()).term(),
        Fact::Product(&item.product).term(),
        Fact::Status(item.status.name()).term(),
        Fact::Currency(item.currency.code()).term(),
        Fact::Side(item.side.name()).term(),
    ];
    terms.extend(item.source.as_deref().map(|source| Fact::Source(source).term()));
    terms.extend(item.external_id.as_deref().map(|id| Fact::ExternalId(id).term()));
    item.metadata.visit_leaves(&mut |path, value| {
        // A path exists when anything stands under it.
        for (dot, _) in path.match_indices('.') {
            terms.push(Fact::Within(path.get(..dot).unwrap_or("")).term());
        }
        terms.push(Fact::Metadata(path, &value_key(value)).term());
    });
    terms.sort_unstable();
    terms.dedup();
    terms
}

static CURRENCIES: LazyLock<Currencies> = LazyLock::new(Currencies::default);

/// A fact about an item that a filter can ask for by equality.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    Type(&'a str),
    Product(&'a str),
    Status(&'a str),
    Currency(&'a str),
    Side(&'a str),
    Source(&'a str),
    ExternalId(&'a str),
    /// A metadata path and a [`value_key`].
    Metadata(&'a str, &'a str),
    /// A metadata path that has others under it.
    Within(&'a str),
}

impl Fact<'_> {
    /// The index term: 80 bits of hash in sixteen letters and digits, so that a term is short
    /// and says nothing about the value. The first half of a metadata term stands for its path.
    #[must_use]
    pub fn term(self) -> String {
        match self {
            Self::Type(name) => letters(fnv128(&[b"type", name.as_bytes()]), 16),
            Self::Product(name) => letters(fnv128(&[b"product", name.as_bytes()]), 16),
            Self::Status(name) => letters(fnv128(&[b"status", name.as_bytes()]), 16),
            Self::Currency(name) => letters(fnv128(&[b"currency", name.as_bytes()]), 16),
            Self::Side(name) => letters(fnv128(&[b"side", name.as_bytes()]), 16),
            Self::Source(name) => letters(fnv128(&[b"source", name.as_bytes()]), 16),
            Self::ExternalId(name) => letters(fnv128(&[b"external", name.as_bytes()]), 16),
            Self::Within(path) => letters(fnv128(&[b"within", path.as_bytes()]), 16),
            Self::Metadata(path, key) => {
                let mut term = path_term(path);
                term.push_str(&letters(fnv128(&[path.as_bytes(), key.as_bytes()]), 12));
                term
            }
        }
    }
}

/// The beginning of all terms of values at a metadata path.
#[must_use]
pub fn path_term(path: &str) -> String {
    letters(fnv128(&[b"path", path.as_bytes()]), 10)
}

/// The index term of a sealed value: as that of a plain one, by a hash that only a key makes.
#[must_use]
pub fn blind_term(path: &str, hash: u128) -> String {
    let mut term = path_term(path);
    term.push_str(&letters(hash, 12));
    term
}

/// The low bits of a hash, five to a character.
fn letters(hash: u128, count: usize) -> String {
    let alphabet = b"0123456789abcdefghijklmnopqrstuv";
    let mut text = String::with_capacity(count + 12);
    for place in 0..count {
        let letter = alphabet.get((hash >> (place * 5) & 0x1f) as usize).copied();
        text.push(char::from(letter.unwrap_or(b'0')));
    }
    text
}

/// What two metadata values must share to be equal: texts their folded form, numbers their value.
#[must_use]
pub fn value_key(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => format!("b{value}"),
        Json::Number(text) => {
            format!("n{}", Decimal::parse(text).map_or_else(|| text.to_string(), |d| d.key()))
        }
        Json::String(text) => format!("s{}", fold(text.trim())),
        // Only what is empty is looked at as a whole.
        Json::Array(_) | Json::Object(_) => "empty".to_owned(),
    }
}

/// The keys that a filter's value may have: it comes as text, and may mean text, number or truth.
#[must_use]
pub fn filter_keys(value: &str) -> Vec<String> {
    let mut keys = vec![format!("s{}", fold(value.trim()))];
    keys.extend(Decimal::parse(value).map(|number| format!("n{}", number.key())));
    keys.extend(["true", "false"].contains(&value).then(|| format!("b{value}")));
    keys.extend((value == "null").then(|| "null".to_owned()));
    keys
}

/// A decimal number of any size, for comparing; never for arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// The power of ten just above the first digit.
    magnitude: i64,
    /// Without zeros at either end; empty is zero.
    digits: String,
}

impl Decimal {
    /// Reads the text of a JSON number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let dangling = mantissa.contains('.') && fraction.is_empty();
        if whole.is_empty() || leading_zero || dangling || !numeric(whole) || !numeric(fraction) {
            return None;
        }
        let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
        let all = format!("{whole}{fraction}");
        let first = all.bytes().position(|b| b != b'0');
        let Some(first) = first else {
            return Some(Self { negative: false, magnitude: 0, digits: String::new() });
        };
        let magnitude = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(first).ok()?)?;
        let digits = all.get(first..)?.trim_end_matches('0').to_owned();
        Some(Self { negative, magnitude: magnitude.checked_add(exponent)?, digits })
    }

    fn key(&self) -> String {
        format!("{}{}e{}", if self.negative { "-" } else { "" }, self.digits, self.magnitude)
    }

    /// The one JSON number that stands for the value: without an exponent up to 21 places before the
    /// point and 6 zeros behind it (as ECMAScript writes numbers), else with one.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        let sign = if self.negative { "-" } else { "" };
        let length = self.digits.len();
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        let number = match usize::try_from(self.magnitude) {
            Ok(places) if (1..=21).contains(&places) => {
                match self.digits.split_at_checked(places) {
                    None => format!("{:0<places$}", self.digits),
                    Some((whole, "")) => whole.to_owned(),
                    Some((whole, fraction)) => format!("{whole}.{fraction}"),
                }
            }
            _ if (-5..=0).contains(&self.magnitude) => {
                format!("0.{}{}", zeros(-self.magnitude), self.digits)
            }
            _ => {
                let (first, more) = self.digits.split_at(1);
                let point = if length > 1 { "." } else { "" };
                format!("{first}{point}{more}e{}", self.magnitude.saturating_sub(1))
            }
        };
        format!("{sign}{number}")
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let sign = |d: &Self| match (d.digits.is_empty(), d.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = (self.magnitude, &self.digits).cmp(&(other.magnitude, &other.digits));
        sign(self).cmp(&sign(other)).then(match sign(self) {
            0 => std::cmp::Ordering::Equal,
            -1 => by_size.reverse(),
            _ => by_size,
        })
    }
}

/// One condition of a search. All must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    Word(String),
    /// These very words in this order within one field; a single one too.
    Phrase(Vec<String>),
}

/// Reads a search text: words, and phrases in double quotes (a missing closing quote ends the text).
///
/// # Errors
/// Returns the sentence to show when the text is too long or has too many words.
pub fn parse(text: &str) -> Result<Vec<Clause>, String> {
    if text.chars().count() > SEARCH_CHARS_MAX {
        return Err(format!("the search text is longer than {SEARCH_CHARS_MAX} characters"));
    }
    let mut clauses = Vec::new();
    for (part, piece) in text.split(['"', '“', '”']).enumerate() {
        let found = words(piece);
        if part % 2 == 1 && !found.is_empty() {
            clauses.push(Clause::Phrase(found));
        } else {
            clauses.extend(found.into_iter().map(Clause::Word));
        }
    }
    clauses.dedup();
    let count: usize = clauses
        .iter()
        .map(|clause| match clause {
            Clause::Word(_) => 1,
            Clause::Phrase(words) => words.len(),
        })
        .sum();
    if count > SEARCH_WORDS_MAX {
        return Err(format!("the search has more than {SEARCH_WORDS_MAX} words"));
    }
    Ok(clauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_amounts_stay_whole() {
        assert_eq!(words("Café  São-Paulo №5, 150.00."), ["cafe", "sao", "paulo", "no5", "150.00"]);
        assert_eq!(words("STRASSE straße Łódź"), ["strasse", "strasse", "lodz"]);
        assert_eq!(words("  .,- "), Vec::<String>::new());
    }

    #[test]
    fn numbers_compare_by_value() {
        let d = |text| Decimal::parse(text).expect("a number");
        assert_eq!(d("1.50").key(), d("15e-1").key());
        assert_eq!(d("-0").key(), d("0.0").key());
        assert!(d("9") < d("10") && d("-9") > d("-10") && d("0") > d("-1") && d("0.05") < d("0.5"));
        assert!(Decimal::parse("0012").is_none() && Decimal::parse("x").is_none());
    }

    #[test]
    fn a_number_has_one_text() {
        for (text, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("10e-1", "1"),
            ("-0.0", "0"),
            ("-12.50", "-12.5"),
            ("1200", "1200"),
            ("12e20", "1.2e21"),
            ("12e19", "120000000000000000000"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("-1.25e-9", "-1.25e-9"),
            ("1e400", "1e400"),
        ] {
            let number = Decimal::parse(text).expect(text);
            assert_eq!(number.to_text(), expected, "{text}");
            assert_eq!(Decimal::parse(expected), Some(number), "{text}");
        }
    }

    #[test]
    fn quotes_make_a_phrase() {
        assert_eq!(
            parse(r#"coffee "san francisco" "" "one"#).expect("short"),
            [
                Clause::Word("coffee".into()),
                Clause::Phrase(vec!["san".into(), "francisco".into()]),
                Clause::Phrase(vec!["one".into()]),
            ]
        );
    }
}
