//! Questions as SQL text and index expressions. Pure: what comes in decides what comes out, so
//! that a snapshot can pin it. Every condition adds a fixed text, so that statements are few and
//! stay prepared.

use daybook_core::query::{Query, Term};
use daybook_core::search::{Clause, NameTerms};

use crate::codec::{ITEM, prefix};

/// What one clause of a search stands for: names, and words of one user's dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub names: NameTerms,
    /// Words that begin with it; `None` when they are too many and the index scans for them.
    pub beginnings: Option<Vec<String>>,
    /// Words a typo away.
    pub typos: Vec<String>,
}

/// How far from its words an item may be to match a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Exact,
    Beginning,
    Typo,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::Exact, Tier::Beginning, Tier::Typo];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Writes index expressions for one user.
#[derive(Debug)]
pub struct Matcher<'a> {
    query: &'a Query,
    prefix: String,
    /// One for each clause of the search, in order.
    reach: &'a [Reach],
}

impl<'a> Matcher<'a> {
    pub fn new(query: &'a Query, user: i64, reach: &'a [Reach]) -> Self {
        Self { query, prefix: prefix(user), reach }
    }

    /// The expression of items that match the filters, and the search at this tier or better.
    pub fn up_to(&self, tier: Tier) -> String {
        let all = [self.filters(), self.words(tier)];
        self.without_excluded(all.into_iter().flatten().collect(), None)
    }

    /// The expression of items that match at this tier and at none better.
    pub fn at(&self, tier: Tier) -> String {
        let better = match tier {
            Tier::Exact => None,
            Tier::Beginning => Some(Tier::Exact),
            Tier::Typo => Some(Tier::Beginning),
        };
        let better = better.map(|better| self.words(better).join(" AND "));
        let all = [self.filters(), self.words(tier)];
        self.without_excluded(all.into_iter().flatten().collect(), better)
    }

    fn filters(&self) -> Vec<String> {
        let group = |terms: &Vec<Term>| {
            terms.iter().map(|term| self.term(term)).collect::<Vec<_>>().join(" OR ")
        };
        self.query.any_of.iter().map(|terms| format!("({})", group(terms))).collect()
    }

    fn term(&self, term: &Term) -> String {
        match term {
            Term::Whole(text) => format!("\"{}.{text}\"", self.prefix),
            Term::Beginning(text) => format!("\"{}.{text}\" *", self.prefix),
        }
    }

    fn words(&self, tier: Tier) -> Vec<String> {
        let clauses = self.query.search.iter().zip(self.reach);
        let clauses = clauses.map(|(clause, reach)| match clause {
            Clause::Phrase(words) => self.phrase(words, reach),
            Clause::Word(word) => self.any_word(word, reach, tier),
        });
        clauses.collect()
    }

    fn phrase(&self, words: &[String], reach: &Reach) -> String {
        let words: Vec<String> = words.iter().map(|word| self.word(word)).collect();
        let mut any = vec![format!("\"{}\"", words.join(" "))];
        any.extend(self.name_terms(&reach.names.exact));
        format!("({})", any.join(" OR "))
    }

    fn any_word(&self, word: &str, reach: &Reach, tier: Tier) -> String {
        let quoted = |word: &String| format!("\"{}\"", self.word(word));
        let mut any = vec![format!("\"{}\"", self.word(word))];
        any.extend(self.name_terms(&reach.names.exact));
        if tier >= Tier::Beginning {
            match &reach.beginnings {
                Some(words) => any.extend(words.iter().map(quoted)),
                None => any.push(format!("\"{}\" *", self.word(word))),
            }
            any.extend(self.name_terms(&reach.names.beginnings));
        }
        if tier >= Tier::Typo {
            any.extend(reach.typos.iter().map(quoted));
            any.extend(self.name_terms(&reach.names.typos));
        }
        format!("({})", any.join(" OR "))
    }

    fn name_terms<'t>(&self, terms: &'t [String]) -> impl Iterator<Item = String> + use<'_, 't> {
        terms.iter().map(|term| format!("\"{}.{term}\"", self.prefix))
    }

    fn without_excluded(&self, mut all: Vec<String>, better: Option<String>) -> String {
        if all.is_empty() {
            // The token that every document of the user has.
            all.push(format!("\"{}\"", everything(&self.prefix)));
        }
        let mut none: Vec<String> = self.query.none_of.iter().map(|term| self.term(term)).collect();
        none.extend(better.map(|better| format!("({better})")));
        let all = all.join(" AND ");
        if none.is_empty() { all } else { format!("({all}) NOT ({})", none.join(" OR ")) }
    }

    fn word(&self, word: &str) -> String {
        format!("{}_{word}", self.prefix)
    }
}

/// The token that stands in every document of a user, between its fields.
pub fn everything(prefix: &str) -> String {
    format!("{prefix}_")
}

/// Conditions that the rows answer themselves. The parameters are `:from`, `:to`, `:min`, `:max`
/// and, for metadata comparisons, `:compare`.
fn conditions(query: &Query) -> String {
    let mut text = String::from(" and t.created_at >= :from and t.created_at < :to");
    if query.amount_min.is_some() {
        text.push_str(" and t.amount >= :min");
    }
    if query.amount_max.is_some() {
        text.push_str(" and t.amount <= :max");
    }
    if !query.compare.is_empty() {
        text.push_str(" and metadata_compares(t.metadata, :compare)");
    }
    text
}

/// Items newest first, straight from the feed index; `:time` and `:id` are the place to go on from.
pub fn feed(query: &Query) -> String {
    format!(
        "select {ITEM} from transactions t \
         where t.user = :user and (t.created_at, t.id) < (:time, :id){} \
         order by t.created_at desc, t.id desc limit :limit offset :offset",
        conditions(query)
    )
}

/// Counts what [`feed`] would answer without a place and a limit.
pub fn feed_count(query: &Query) -> String {
    format!("select count(*) from transactions t where t.user = :user{}", conditions(query))
}

/// Items by an index expression, in descending order of their row numbers.
pub fn found(query: &Query) -> String {
    // `cross join` keeps the index outside: its postings are in the wanted order, so the query
    // stops as soon as the page is full.
    format!(
        "select {ITEM} from search s cross join transactions t on t.pos = s.rowid \
         where s.search match :match and s.rowid >= :low and s.rowid <= :high{} \
         order by s.rowid desc",
        conditions(query)
    )
}

/// Counts what [`found`] would answer; from the postings alone where they know enough.
pub fn found_count(query: &Query, all_time: bool) -> String {
    if all_time && !query.needs_items() {
        return "select count(*) from search s where s.search match :match".to_owned();
    }
    format!(
        "select count(*) from search s cross join transactions t on t.pos = s.rowid \
         where s.search match :match and s.rowid >= :low and s.rowid <= :high{}",
        conditions(query)
    )
}
