//! Which words of a user's dictionary a searched word stands for, wherever the words are kept.

use std::collections::HashSet;

use daybook_core::limits::{SEARCH_PREFIX_WORDS_MAX, SEARCH_TYPO_WORDS_MAX};
use daybook_core::search::{self, Clause, Nearness, Typo, in_dictionary};

use crate::sql::Reach;

/// How many words from the searched one on must be read to tell its beginnings.
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

/// What a clause stands for without a dictionary, and the word that is to be looked up in one.
pub fn reach_of(clause: &Clause) -> (Reach, Option<&str>) {
    let names = search::names(clause);
    match clause {
        Clause::Word(word) => {
            let looked_up = in_dictionary(word).then_some(word.as_str());
            (Reach { names, ..Reach::default() }, looked_up)
        }
        Clause::Phrase(_) => {
            (Reach { names, beginnings: Some(Vec::new()), typos: Vec::new() }, None)
        }
    }
}

/// The words that begin with another, of the words from it on; `None` when they are too many.
pub fn beginnings<E>(
    word: &str,
    words: impl Iterator<Item = Result<String, E>>,
) -> Result<Option<Vec<String>>, E> {
    let mut found = Vec::new();
    for next in words {
        let next = next?;
        if !next.starts_with(word) {
            break;
        }
        if next != word {
            found.push(next);
        }
    }
    Ok((found.len() <= SEARCH_PREFIX_WORDS_MAX).then_some(found))
}

/// Walks through words in their order, and says which of them can be jumped over.
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
            Nearness::Within(typos) => self.near.push((typos, word.to_owned())),
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

    /// The nearest words, the closest first.
    pub fn finish(mut self) -> Vec<String> {
        self.near.sort_unstable();
        self.near.truncate(SEARCH_TYPO_WORDS_MAX);
        self.near.into_iter().map(|(_, word)| word).collect()
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
        assert_eq!(walk.finish(), ["cofee", "toffee"]);
    }

    #[test]
    fn beginnings_end_where_words_begin_otherwise() {
        let words =
            |all: &[&str]| beginnings("ab", all.iter().map(|word| Ok::<_, ()>((*word).to_owned())));
        assert_eq!(words(&["ab", "abc", "ac", "abd"]), Ok(Some(vec!["abc".to_owned()])));
        assert_eq!(words(&["abc"; 65]), Ok(None));
    }
}
