//! Words: how a text becomes words, which words one searched word matches, and which terms of the
//! index stand for the filters. A store's index keeps words and terms per user; what they mean is
//! decided here, so that every store finds the same.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::id::fnv128;
use crate::json::Json;
use crate::limits::{DOCUMENT_WORDS_MAX, SEARCH_CHARS_MAX, SEARCH_WORDS_MAX, WORD_CHARS_MAX};
use crate::money::Currencies;
use crate::transaction::{PRODUCTS, Status, Transaction, TransactionType};

/// Splits a text into words: runs of letters and digits, in lower case, without accents. A point
/// between two digits belongs to the word, so that `150.00` is one.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut words = Vec::new();
    let mut word = String::new();
    let mut length = 0;
    let mut chars = folded.chars().peekable();
    while let Some(c) = chars.next() {
        let after_digit = word.ends_with(|last: char| last.is_ascii_digit());
        let before_digit = chars.peek().is_some_and(char::is_ascii_digit);
        if c.is_alphanumeric() || (c == '.' && after_digit && before_digit) {
            length += 1;
            if length <= WORD_CHARS_MAX {
                word.push(c);
            }
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
            length = 0;
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Lower case, without accents, compatibility forms made plain.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        // Letters that Unicode does not take apart, but people type as plain ones.
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            c => folded.push(c),
        }
    }
    folded.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

/// Whether a word is kept in the dictionary that beginnings and typos are looked up in. Words
/// with digits are amounts and references: nobody mistypes them into another, and there are many.
#[must_use]
pub fn in_dictionary(word: &str) -> bool {
    word.chars().all(char::is_alphabetic)
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
    /// currencies are not among the words: every item has some, and [`names`] finds them by the
    /// terms that filters need anyway.
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
        let merchant = item.kind().display(item).merchant.as_deref().map(words).unwrap_or_default();
        if !merchant.iter().all(|word| fields.iter().any(|known| known.contains(word))) {
            fields.push(merchant);
        }
        fields.retain(|field| !field.is_empty());
        Self { fields, terms: terms_of(item) }
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
    item.metadata.visit(&mut |path, value| {
        // A path exists when anything under it has a value.
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

/// The names that every item is described with: the words of each, and its term.
static NAMES: LazyLock<Vec<(Vec<String>, String)>> = LazyLock::new(|| {
    let name = |name: &str, fact: Fact| (words(name), fact.term());
    let mut names = Vec::new();
    names.extend(TransactionType::ALL.iter().map(|t| name(t.name(), Fact::Type(t.name()))));
    names.extend(Status::ALL.iter().map(|s| name(s.name(), Fact::Status(s.name()))));
    names.extend(PRODUCTS.iter().map(|product| name(product, Fact::Product(product))));
    names.extend(CURRENCIES.iter().map(|c| name(c.code(), Fact::Currency(c.code()))));
    names
});

/// The terms of names that searched words stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameTerms {
    pub exact: Vec<String>,
    pub beginnings: Vec<String>,
    pub typos: Vec<String>,
}

/// Finds the names that a clause means: one word of a name, or a phrase that is the name.
#[must_use]
pub fn names(clause: &Clause) -> NameTerms {
    let mut found = NameTerms::default();
    for (words, term) in NAMES.iter() {
        match clause {
            Clause::Phrase(phrase) if phrase == words => found.exact.push(term.clone()),
            Clause::Phrase(_) => {}
            Clause::Word(word) => {
                let typo = Typo::of(word);
                let near = |known: &String| match &typo {
                    Some(typo) => matches!(typo.measure(known), Nearness::Within(_)),
                    None => false,
                };
                if words.contains(word) {
                    found.exact.push(term.clone());
                } else if words.iter().any(|known| known.starts_with(word.as_str())) {
                    found.beginnings.push(term.clone());
                } else if words.iter().any(near) {
                    found.typos.push(term.clone());
                }
            }
        }
    }
    found
}

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
        Json::Array(_) | Json::Object(_) => String::new(),
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
    /// The words in this order within one field.
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
        if part % 2 == 1 && found.len() > 1 {
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

/// Finds the dictionary words that a searched word may have been meant to be.
#[derive(Clone, Debug)]
pub struct Typo {
    word: Vec<char>,
    most: usize,
}

/// What a dictionary word is to a mistyped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// So many typos away, at least one.
    Within(usize),
    Far,
    /// No word that begins with these many bytes of the candidate is near.
    DeadPrefix(usize),
}

impl Typo {
    /// One typo is forgiven from 4 letters on, two from 8 on; none where digits are concerned.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let chars: Vec<char> = word.chars().collect();
        let most = match chars.len() {
            0..4 => return None,
            4..8 => 1,
            _ => 2,
        };
        in_dictionary(word).then_some(Self { word: chars, most })
    }

    /// How many letters a near word has: a typo adds one or takes one away at most.
    #[must_use]
    pub fn lengths(&self) -> RangeInclusive<usize> {
        self.word.len().saturating_sub(self.most)..=self.word.len() + self.most
    }

    /// Measures a candidate. A typo is a letter too many, too few, another, or two swapped
    /// neighbours (optimal string alignment distance).
    #[must_use]
    pub fn measure(&self, candidate: &str) -> Nearness {
        let width = self.word.len() + 1;
        let mut before: Vec<usize> = Vec::new();
        let mut last: Vec<usize> = (0..width).collect();
        let mut previous = '\0';
        for (at, c) in candidate.char_indices() {
            let mut row = Vec::with_capacity(width);
            row.push(last.first().copied().unwrap_or(0) + 1);
            for (i, expected) in self.word.iter().enumerate() {
                let value = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
                let mut cost = (value(&last, i) + usize::from(*expected != c))
                    .min(value(&last, i + 1) + 1)
                    .min(value(&row, i) + 1);
                let swapped = i > 0 && self.word.get(i - 1) == Some(&c) && *expected == previous;
                if swapped && !before.is_empty() {
                    cost = cost.min(value(&before, i - 1) + 1);
                }
                row.push(cost);
            }
            if row.iter().all(|cost| *cost > self.most) {
                return Nearness::DeadPrefix(at + c.len_utf8());
            }
            before = std::mem::replace(&mut last, row);
            previous = c;
        }
        match last.last().copied() {
            Some(typos) if (1..=self.most).contains(&typos) => Nearness::Within(typos),
            _ => Nearness::Far,
        }
    }
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
    fn typos_are_forgiven_by_length() {
        for (typed, meant, near) in [
            ("starbuks", "starbucks", true),
            ("strabucks", "starbucks", true),
            ("stabuks", "starbucks", false),
            ("starrbuckss", "starbucks", true),
            ("uber", "ubr", true),
            ("uber", "ueb", false),
            ("ube", "uber", false),
            ("amzaon", "amazon", true),
            ("jazz", "zzzz", false),
        ] {
            let found = Typo::of(typed).map(|typo| typo.measure(meant));
            assert_eq!(matches!(found, Some(Nearness::Within(_))), near, "{typed} {meant}");
        }
    }

    #[test]
    fn a_dead_prefix_rules_out_every_word_behind_it() {
        let typo = Typo::of("coffee").expect("long enough");
        let Nearness::DeadPrefix(length) = typo.measure("zebra") else {
            panic!("nothing that begins like zebra is near coffee");
        };
        assert_eq!(length, 2);
        assert_eq!(typo.measure("cofee"), Nearness::Within(1));
        assert_eq!(typo.measure("coffee"), Nearness::Far);
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
            parse(r#"coffee "san francisco" "one"#).expect("short"),
            [
                Clause::Word("coffee".into()),
                Clause::Phrase(vec!["san".into(), "francisco".into()]),
                Clause::Word("one".into()),
            ]
        );
    }
}
