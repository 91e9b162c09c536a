//! Which words of a user's dictionary a searched word stands for, wherever the words are kept.

use std::borrow::Cow;
use std::collections::HashSet;

use daybook_core::limits::{
    SEARCH_PREFIX_LETTERS_MAX, SEARCH_PREFIX_WORDS_MAX, SEARCH_TYPO_WORDS_MAX,
};
use daybook_core::search::{
    self, Clause, DIGITS_FOLLOW, Document, Nearness, Typo, dictionary_entry, split_letters,
};

use crate::sql::{Beginnings, Reach};

/// How many entries from the searched word on must be read to tell its beginnings.
pub const BEGINNINGS_READ: i64 = SEARCH_PREFIX_WORDS_MAX as i64 + 2;

/// Dictionary words that a writer remembers to be there; about 16 MB. A hash of 64 bits stands for
/// each: that one of them hides a new word is less likely than one in 10^13.
const REMEMBERED_MAX: usize = 1_000_000;

/// Words that a writer knows to be in the database, so as not to look again.
#[derive(Default)]
pub struct Remembered(HashSet<u64>);

impl Remembered {
    pub fn contains(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }

    /// Remembers words that a commit has made durable.
    pub fn remember(&mut self, words: HashSet<u64>) {
        if self.0.len() + words.len() > REMEMBERED_MAX {
            self.forget();
        }
        self.0.extend(words);
    }

    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// The entries that the dictionary of an item's user must have; some may stand twice.
pub fn entries(document: &Document) -> impl Iterator<Item = Cow<'_, str>> {
    document.fields.iter().flatten().filter_map(|word| dictionary_entry(word))
}

/// What is to be looked up in a dictionary.
#[derive(Default)]
pub struct LookUp<'a> {
    /// The word whose beginnings are asked for.
    pub beginnings_of: Option<&'a str>,
    pub typo: Option<Typo>,
}

/// What a clause stands for without a dictionary, and what is to be looked up in one.
pub fn reach_of(clause: &Clause) -> (Reach, LookUp<'_>) {
    let mut reach = Reach { names: search::names(clause), ..Reach::default() };
    let Clause::Word(word) = clause else {
        return (reach, LookUp::default());
    };
    let is_letters = split_letters(word).1.is_empty();
    if !is_letters {
        // Whatever begins with it has its letters and digits, and the index finds these few.
        reach.beginnings = Beginnings::Scanned;
    }
    let beginnings_of = is_letters.then_some(word.as_str());
    (reach, LookUp { beginnings_of, typo: Typo::of(word) })
}

/// The words that begin with another, of the entries from it on.
pub fn beginnings<E>(
    word: &str,
    entries: impl Iterator<Item = Result<String, E>>,
) -> Result<Beginnings, E> {
    let (mut words, mut letters) = (Vec::new(), Vec::new());
    for next in entries {
        let next = next?;
        if !next.starts_with(word) {
            break;
        }
        match next.strip_suffix(DIGITS_FOLLOW) {
            Some(before) => letters.push(before.to_owned()),
            None if next != word => words.push(next),
            None => {}
        }
    }
    let is_listed = words.len() + letters.len() <= SEARCH_PREFIX_WORDS_MAX
        && letters.len() <= SEARCH_PREFIX_LETTERS_MAX;
    Ok(if is_listed { Beginnings::Listed { words, letters } } else { Beginnings::Scanned })
}

/// Walks through entries in their order, and says which of them can be jumped over.
pub struct Walk {
    typo: Typo,
    near: Vec<(usize, String)>,
    /// A beginning that no near word has.
    dead: String,
}

impl Walk {
    pub fn new(typo: Typo) -> Self {
        Self { typo, near: Vec::new(), dead: String::new() }
    }

    /// Looks at the next word; false when its beginning had ruled it out already.
    pub fn visit(&mut self, word: &str) -> bool {
        if !self.dead.is_empty() && word.starts_with(&self.dead) {
            return false;
        }
        match self.typo.measure(word) {
            Nearness::Within(typos) => self.near.push((typos, self.typo.word_of(word))),
            Nearness::Far => {}
            Nearness::DeadPrefix(length) => {
                self.dead.clear();
                self.dead.push_str(word.get(..length).unwrap_or(word));
            }
        }
        true
    }

    /// The least text behind all words that the last ruled-out beginning rules out.
    pub fn behind(&self) -> Option<String> {
        successor(&self.dead)
    }

    /// Lets a clause reach the nearest words, the closest first.
    pub fn finish(mut self, reach: &mut Reach) {
        self.near.sort_unstable();
        reach.is_cut = self.near.len() > SEARCH_TYPO_WORDS_MAX;
        self.near.truncate(SEARCH_TYPO_WORDS_MAX);
        reach.typos = self.near.into_iter().map(|(_, word)| word).collect();
    }
}

/// The least text that is greater than all that begin with this one.
fn successor(prefix: &str) -> Option<String> {
    let last = prefix.chars().next_back()?;
    let head = prefix.get(..prefix.len() - last.len_utf8())?;
    let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32)?;
    Some(format!("{head}{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_near_words_and_knows_where_to_jump() {
        let mut walk = Walk::new(Typo::of("coffee").expect("long enough"));
        let words = ["cofee", "coffee", "toffee", "zebra", "zest"];
        assert_eq!(words.map(|word| walk.visit(word)), [true, true, true, true, false]);
        assert_eq!(walk.behind().as_deref(), Some("zf"));
        let mut reach = Reach::default();
        walk.finish(&mut reach);
        assert_eq!(reach.typos, ["cofee", "toffee"]);
        assert!(!reach.is_cut);
    }

    #[test]
    fn a_walk_keeps_the_closest_and_says_that_there_are_more() {
        let mut walk = Walk::new(Typo::of("coffees7").expect("long enough"));
        let entries = ('a'..='z').flat_map(|c| [format!("{c}coffees0"), format!("c{c}offees0")]);
        let mut entries: Vec<String> =
            entries.chain(["coffees".into(), "cofees0".into()]).collect();
        entries.extend(('a'..='z').map(|c| format!("coffees{c}0")));
        entries.iter().for_each(|entry| assert!(walk.visit(entry), "{entry}"));
        let mut reach = Reach::default();
        walk.finish(&mut reach);
        assert!(reach.is_cut);
        assert_eq!(reach.typos.len(), SEARCH_TYPO_WORDS_MAX);
        assert!(reach.typos.iter().all(|word| word.ends_with('7')), "{:?}", reach.typos);
    }

    #[test]
    fn beginnings_end_where_words_begin_otherwise() {
        let listed = |all: &[String]| {
            beginnings("ab", all.iter().map(|word| Ok::<_, ()>(word.clone()))).expect("no failure")
        };
        let own = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (words, letters) = (own(&["abc"]), own(&["ab", "abc"]));
        assert_eq!(
            listed(&own(&["ab", "ab0", "abc", "abc0", "ac", "abd"])),
            Beginnings::Listed { words, letters }
        );
        assert_eq!(listed(&vec!["abc".to_owned(); 65]), Beginnings::Scanned);
        assert_eq!(listed(&vec!["abc0".to_owned(); 9]), Beginnings::Scanned);
    }
}
