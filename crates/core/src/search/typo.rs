//! Typos: which words a mistyped one may have been meant to be.

use std::ops::RangeInclusive;

use super::{DIGITS_FOLLOW, split_letters};

/// Finds the words that a searched word may have been meant to be.
///
/// Typos are forgiven in letters only: one in a word of 4 characters or more, two from 8 letters
/// on. In a word with digits they lie among the letters before the first digit, of which there are
/// at least 3; all from that digit on is the same. So no amount and no number is taken for another.
#[derive(Clone, Debug)]
pub struct Typo {
    letters: Vec<char>,
    /// All from the first digit on.
    rest: String,
    most: usize,
}

/// What an entry of the dictionary is to a mistyped word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// So many typos away, at least one.
    Within(usize),
    Far,
    /// No word that begins with these many bytes of the entry is near.
    DeadPrefix(usize),
}

impl Typo {
    /// `None` where no typo is forgiven.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let (letters, rest) = split_letters(word);
        let letters: Vec<char> = letters.chars().collect();
        if letters.iter().any(|c| c.is_numeric()) {
            return None;
        }
        let most = match (letters.len(), rest.is_empty()) {
            (0..3, _) | (3, true) => return None,
            (3..8, _) => 1,
            (_, _) => 2,
        };
        Some(Self { letters, rest: rest.to_owned(), most })
    }

    /// Whether the words that are looked for have digits.
    #[must_use]
    pub fn has_digits(&self) -> bool {
        !self.rest.is_empty()
    }

    /// How many characters the entries of near words have: a typo adds one or takes one away.
    #[must_use]
    pub fn entry_lengths(&self) -> RangeInclusive<usize> {
        let (length, mark) = (self.letters.len(), usize::from(self.has_digits()));
        length.saturating_sub(self.most) + mark..=length + self.most + mark
    }

    /// Measures an entry of the dictionary.
    #[must_use]
    pub fn measure(&self, entry: &str) -> Nearness {
        let (letters, has_digits) = match entry.strip_suffix(DIGITS_FOLLOW) {
            Some(letters) => (letters, true),
            None => (entry, false),
        };
        match self.distance(letters) {
            Nearness::Within(_) if has_digits != self.has_digits() => Nearness::Far,
            nearness => nearness,
        }
    }

    /// The word that an entry stands for.
    #[must_use]
    pub fn word_of(&self, entry: &str) -> String {
        format!("{}{}", entry.trim_end_matches(DIGITS_FOLLOW), self.rest)
    }

    /// Whether a word is the mistyped one.
    #[must_use]
    pub fn may_mean(&self, word: &str) -> bool {
        let (letters, rest) = split_letters(word);
        rest == self.rest
            && letters.chars().count().abs_diff(self.letters.len()) <= self.most
            && matches!(self.distance(letters), Nearness::Within(_))
    }

    /// Counts typos: a letter too many, too few, another, or two swapped neighbours (optimal
    /// string alignment distance).
    fn distance(&self, candidate: &str) -> Nearness {
        let width = self.letters.len() + 1;
        let mut before: Vec<usize> = Vec::new();
        let mut last: Vec<usize> = (0..width).collect();
        let mut previous = '\0';
        for (at, c) in candidate.char_indices() {
            let mut row = Vec::with_capacity(width);
            row.push(last.first().copied().unwrap_or(0) + 1);
            for (i, expected) in self.letters.iter().enumerate() {
                let value = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
                let mut cost = (value(&last, i) + usize::from(*expected != c))
                    .min(value(&last, i + 1) + 1)
                    .min(value(&row, i) + 1);
                let swapped = i > 0 && self.letters.get(i - 1) == Some(&c) && *expected == previous;
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
            // A digit of another script is no letter.
            Some(typos)
                if (1..=self.most).contains(&typos) && !candidate.contains(char::is_numeric) =>
            {
                Nearness::Within(typos)
            }
            _ => Nearness::Far,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = Typo::of(typed).is_some_and(|typo| typo.may_mean(meant));
            assert_eq!(found, near, "{typed} {meant}");
        }
    }

    #[test]
    fn typos_of_words_with_digits_lie_before_the_first() {
        for (typed, meant, near) in [
            ("ihpone15", "iphone15", true),
            ("iphon15", "iphone15", true),
            ("iphone16", "iphone15", false),
            ("iphone5", "iphone15", false),
            ("inb2024001", "inv2024001", true),
            ("inv2024002", "inv2024001", false),
            ("transactoin7b", "transaction7b", true),
            ("trnsactoin7b", "transaction7b", true),
            ("transactoin7c", "transaction7b", false),
            ("ab12", "ac12", false),
            ("150.00", "160.00", false),
            ("7elven", "7eleven", false),
            ("iphon", "iphone15", false),
            ("iphon15", "iphone", false),
            ("١٥٠٠", "١٦٠٠", false),
            ("abcde", "abcd٣", false),
        ] {
            let found = Typo::of(typed).is_some_and(|typo| typo.may_mean(meant));
            assert_eq!(found, near, "{typed} {meant}");
        }
    }

    #[test]
    fn entries_of_words_with_digits_are_near_such_words_only() {
        let letters = Typo::of("iphon").expect("long enough");
        let digits = Typo::of("iphon15").expect("long enough");
        assert_eq!(letters.measure("iphone"), Nearness::Within(1));
        assert_eq!(letters.measure("iphone0"), Nearness::Far);
        assert_eq!(letters.measure("iphon0"), Nearness::Far);
        assert_eq!(digits.measure("iphone0"), Nearness::Within(1));
        assert_eq!(digits.measure("iphone"), Nearness::Far);
        assert_eq!(digits.word_of("iphone0"), "iphone15");
        assert_eq!((letters.entry_lengths(), digits.entry_lengths()), (4..=6, 5..=7));
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
}
