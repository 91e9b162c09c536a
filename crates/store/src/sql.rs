//! Questions as index expressions, and as SQL text for the embedded store. Pure: what comes in
//! decides what comes out, so that a test can pin it. Every condition adds a fixed text, so that
//! statements are few and stay prepared.

use daybook_core::query::{Query, Term};
use daybook_core::search::{Clause, Fact, NameTerms};

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

/// How an index expects its expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's full-text index.
    Fts5,
    /// PostgreSQL's `tsquery`.
    Tsquery,
}

impl Dialect {
    /// Words and terms have no quotes in them.
    fn token(self, token: &str) -> String {
        match self {
            Self::Fts5 => format!("\"{token}\""),
            Self::Tsquery => format!("'{token}'"),
        }
    }

    fn beginning(self, token: &str) -> String {
        match self {
            Self::Fts5 => format!("\"{token}\" *"),
            Self::Tsquery => format!("'{token}':*"),
        }
    }

    fn phrase(self, words: &[String]) -> String {
        match self {
            Self::Fts5 => self.token(&words.join(" ")),
            Self::Tsquery => {
                let words: Vec<String> = words.iter().map(|word| self.token(word)).collect();
                format!("({})", words.join(" <-> "))
            }
        }
    }

    fn any(self, parts: &[String]) -> String {
        match self {
            Self::Fts5 => format!("({})", parts.join(" OR ")),
            Self::Tsquery => format!("({})", parts.join(" | ")),
        }
    }

    fn all(self, parts: &[String]) -> String {
        match self {
            Self::Fts5 => parts.join(" AND "),
            Self::Tsquery => parts.join(" & "),
        }
    }

    fn without(self, all: &str, none: &[String]) -> String {
        let none = self.any(none);
        match self {
            Self::Fts5 => format!("({all}) NOT {none}"),
            Self::Tsquery => format!("({all}) & !{none}"),
        }
    }
}

/// Writes index expressions for one user.
#[derive(Debug)]
pub struct Matcher<'a> {
    dialect: Dialect,
    query: &'a Query,
    prefix: String,
    /// One for each clause of the search, in order.
    reach: &'a [Reach],
}

impl<'a> Matcher<'a> {
    pub fn new(dialect: Dialect, query: &'a Query, user: i64, reach: &'a [Reach]) -> Self {
        Self { dialect, query, prefix: prefix(user), reach }
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
        let better = better.map(|better| self.dialect.all(&self.words(better)));
        let all = [self.filters(), self.words(tier)];
        self.without_excluded(all.into_iter().flatten().collect(), better)
    }

    /// Whether a tier can find more than the better ones.
    pub fn reaches(&self, tier: Tier) -> bool {
        match tier {
            Tier::Exact => true,
            Tier::Beginning => {
                let more = |r: &Reach| r.beginnings.as_ref().is_none_or(|w| !w.is_empty());
                self.reach.iter().any(|r| more(r) || !r.names.beginnings.is_empty())
            }
            Tier::Typo => {
                self.reach.iter().any(|r| !r.typos.is_empty() || !r.names.typos.is_empty())
            }
        }
    }

    fn filters(&self) -> Vec<String> {
        let group = |terms: &Vec<Term>| {
            let terms: Vec<String> = terms.iter().map(|term| self.term(term)).collect();
            self.dialect.any(&terms)
        };
        self.query.any_of.iter().map(group).collect()
    }

    fn term(&self, term: &Term) -> String {
        match term {
            Term::Whole(text) => self.dialect.token(&format!("{}.{text}", self.prefix)),
            Term::Value(path, key) => {
                let term = Fact::Metadata(path, key).term();
                self.dialect.token(&format!("{}.{term}", self.prefix))
            }
            Term::Beginning(text) => self.dialect.beginning(&format!("{}.{text}", self.prefix)),
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
        let mut any = vec![self.dialect.phrase(&words)];
        any.extend(self.name_terms(&reach.names.exact));
        self.dialect.any(&any)
    }

    fn any_word(&self, word: &str, reach: &Reach, tier: Tier) -> String {
        let token = |word: &String| self.dialect.token(&self.word(word));
        let mut any = vec![self.dialect.token(&self.word(word))];
        any.extend(self.name_terms(&reach.names.exact));
        if tier >= Tier::Beginning {
            match &reach.beginnings {
                Some(words) => any.extend(words.iter().map(token)),
                None => any.push(self.dialect.beginning(&self.word(word))),
            }
            any.extend(self.name_terms(&reach.names.beginnings));
        }
        if tier >= Tier::Typo {
            any.extend(reach.typos.iter().map(token));
            any.extend(self.name_terms(&reach.names.typos));
        }
        self.dialect.any(&any)
    }

    fn name_terms<'t>(&self, terms: &'t [String]) -> impl Iterator<Item = String> + use<'_, 't> {
        terms.iter().map(|term| self.dialect.token(&format!("{}.{term}", self.prefix)))
    }

    fn without_excluded(&self, mut all: Vec<String>, better: Option<String>) -> String {
        if all.is_empty() {
            // The token that every document of the user has.
            all.push(self.dialect.token(&everything(&self.prefix)));
        }
        let mut none: Vec<String> = self.query.none_of.iter().map(|term| self.term(term)).collect();
        none.extend(better.map(|better| format!("({better})")));
        let all = self.dialect.all(&all);
        if none.is_empty() { all } else { self.dialect.without(&all, &none) }
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
        "select {ITEM}, t.pos from search s cross join transactions t on t.pos = s.rowid \
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

#[cfg(test)]
mod tests {
    use super::*;

    fn both(filters: &[(&str, &str)], reach: &[Reach], tier: Tier) -> [String; 2] {
        let pairs: Vec<(String, String)> =
            filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let user = daybook_core::UserId::parse("ana").expect("a user id");
        let query = Query::parse(&pairs, Some(&user)).expect("a question");
        [Dialect::Fts5, Dialect::Tsquery]
            .map(|dialect| Matcher::new(dialect, &query, 36, reach).at(tier))
    }

    #[test]
    fn each_dialect_says_the_same() {
        let reach = [
            Reach {
                names: NameTerms { exact: vec!["n1".into()], ..NameTerms::default() },
                beginnings: Some(vec!["coffees".into()]),
                typos: vec!["toffee".into()],
            },
            Reach { beginnings: Some(Vec::new()), ..Reach::default() },
        ];
        let search = [("search_query", "coffee \"san francisco\"")];
        let [fts5, tsquery] = both(&search, &reach, Tier::Exact);
        assert_eq!(fts5, r#"("10_coffee" OR "10.n1") AND ("10_san 10_francisco")"#);
        assert_eq!(tsquery, "('10_coffee' | '10.n1') & (('10_san' <-> '10_francisco'))");
        let [fts5, tsquery] = both(&search, &reach, Tier::Beginning);
        assert_eq!(
            fts5,
            r#"(("10_coffee" OR "10.n1" OR "10_coffees") AND ("10_san 10_francisco")) NOT ((("10_coffee" OR "10.n1") AND ("10_san 10_francisco")))"#
        );
        assert_eq!(
            tsquery,
            "(('10_coffee' | '10.n1' | '10_coffees') & (('10_san' <-> '10_francisco'))) & \
             !((('10_coffee' | '10.n1') & (('10_san' <-> '10_francisco'))))"
        );
    }

    #[test]
    fn what_is_only_excluded_is_taken_from_everything() {
        let missing = [("metadata.x[exists]", "false")];
        let [fts5, tsquery] = both(&missing, &[], Tier::Exact);
        let (path, within) =
            (daybook_core::search::path_term("x"), daybook_core::search::Fact::Within("x").term());
        assert_eq!(fts5, format!(r#"("10_") NOT ("10.{path}" * OR "10.{within}")"#));
        assert_eq!(tsquery, format!("('10_') & !('10.{path}':* | '10.{within}')"));
        let status = [("status", "pending"), ("status", "failed")];
        let term = |name| daybook_core::search::Fact::Status(name).term();
        let (pending, failed) = (term("pending"), term("failed"));
        let [_, tsquery] = both(&status, &[], Tier::Exact);
        assert_eq!(tsquery, format!("('10.{pending}' | '10.{failed}')"));
        let many = [Reach { beginnings: None, ..Reach::default() }];
        let [fts5, tsquery] = both(&[("search_query", "ab")], &many, Tier::Beginning);
        assert_eq!(fts5, r#"(("10_ab" OR "10_ab" *)) NOT ((("10_ab")))"#);
        assert_eq!(tsquery, "(('10_ab' | '10_ab':*)) & !((('10_ab')))");
    }
}
