//! Questions as index expressions, and as SQL text for the embedded store. Pure: what comes in
//! decides what comes out, so that a test can pin it. Every condition adds a fixed text, so that
//! statements are few and stay prepared.

use daybook_core::query::{Query, Term};
use daybook_core::search::{Clause, Fact, Name, Names};

use crate::codec::{ITEM, prefix};

/// What one clause of a search stands for: names, and words of one user's dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub names: Names,
    pub beginnings: Beginnings,
    /// Words a typo away.
    pub typos: Vec<String>,
    /// Whether there are more such words than are looked for.
    pub is_cut: bool,
}

/// The words that begin with a searched one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginnings {
    /// They are many, or no dictionary has them: the index scans for them.
    Scanned,
    /// These words without digits, and all that have these letters before their first digit.
    Listed { words: Vec<String>, letters: Vec<String> },
}

impl Default for Beginnings {
    fn default() -> Self {
        Self::Listed { words: Vec::new(), letters: Vec::new() }
    }
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
                let more = |r: &Reach| r.beginnings != Beginnings::default();
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
        let mut any = vec![self.in_order(words)];
        any.extend(self.named(&reach.names.exact));
        self.dialect.any(&any)
    }

    fn in_order(&self, words: &[String]) -> String {
        let words: Vec<String> = words.iter().map(|word| self.word(word)).collect();
        match words.as_slice() {
            [word] => self.dialect.token(word),
            words => self.dialect.phrase(words),
        }
    }

    fn any_word(&self, word: &str, reach: &Reach, tier: Tier) -> String {
        let token = |word: &String| self.dialect.token(&self.word(word));
        let mut any = vec![self.dialect.token(&self.word(word))];
        any.extend(self.named(&reach.names.exact));
        if tier >= Tier::Beginning {
            match &reach.beginnings {
                Beginnings::Listed { words, letters } => {
                    any.extend(words.iter().map(token));
                    let digits =
                        |letters| ('0'..='9').map(move |digit| format!("{letters}{digit}"));
                    let begun = letters.iter().flat_map(digits);
                    any.extend(begun.map(|begun| self.dialect.beginning(&self.word(&begun))));
                }
                Beginnings::Scanned => any.push(self.dialect.beginning(&self.word(word))),
            }
            any.extend(self.named(&reach.names.beginnings));
        }
        if tier >= Tier::Typo {
            any.extend(reach.typos.iter().map(token));
            any.extend(self.named(&reach.names.typos));
        }
        self.dialect.any(&any)
    }

    fn named<'t>(&self, names: &'t [Name]) -> impl Iterator<Item = String> + use<'_, 't> {
        names.iter().map(|name| self.name(name))
    }

    fn name(&self, Name { rule, values }: &Name) -> String {
        let group = |terms: &Vec<Term>| match terms.as_slice() {
            [term] => self.term(term),
            terms => {
                self.dialect.any(&terms.iter().map(|term| self.term(term)).collect::<Vec<_>>())
            }
        };
        let mut all: Vec<String> = rule.all.iter().map(group).collect();
        all.extend(values.iter().map(|words| self.in_order(words)));
        let none: Vec<String> = rule.none.iter().map(|term| self.term(term)).collect();
        match (all.as_slice(), none.as_slice()) {
            ([one], []) => one.clone(),
            (all, []) => format!("({})", self.dialect.all(all)),
            (all, none) => format!("({})", self.dialect.without(&self.dialect.all(all), none)),
        }
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
    use daybook_core::search::Rule;

    fn name(term: &str) -> Name {
        let rule = Rule { all: vec![vec![Term::Whole(term.into())]], none: Vec::new() };
        Name { rule, values: Vec::new() }
    }

    fn both(filters: &[(&str, &str)], reach: &[Reach], tier: Tier) -> [String; 2] {
        matchers(filters, |dialect, query| Matcher::new(dialect, query, 36, reach).at(tier))
    }

    fn matchers(
        filters: &[(&str, &str)],
        write: impl Fn(Dialect, &Query) -> String,
    ) -> [String; 2] {
        let pairs: Vec<(String, String)> =
            filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let user = daybook_core::UserId::parse("ana").expect("a user id");
        let vocabulary = daybook_core::transaction::Vocabulary::default();
        let query = Query::parse(&pairs, Some(&user), &vocabulary).expect("a question");
        [Dialect::Fts5, Dialect::Tsquery].map(|dialect| write(dialect, &query))
    }

    #[test]
    fn each_dialect_says_the_same() {
        let reach = [
            Reach {
                names: Names { exact: vec![name("n1")], ..Names::default() },
                beginnings: Beginnings::Listed {
                    words: vec!["coffees".into()],
                    letters: Vec::new(),
                },
                typos: vec!["toffee".into()],
                is_cut: false,
            },
            Reach::default(),
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
    fn letters_before_digits_are_scanned_for_with_each_digit() {
        let letters = vec!["inv".to_owned()];
        let beginnings = Beginnings::Listed { words: Vec::new(), letters };
        let reach = [Reach { beginnings, ..Reach::default() }];
        let [fts5, tsquery] = matchers(&[("search_query", "in")], |dialect, query| {
            Matcher::new(dialect, query, 36, &reach).up_to(Tier::Beginning)
        });
        assert!(fts5.starts_with(r#"("10_in" OR "10_inv0" * OR "#), "{fts5}");
        assert!(fts5.ends_with(r#" OR "10_inv9" *)"#), "{fts5}");
        assert!(tsquery.starts_with("('10_in' | '10_inv0':* | "), "{tsquery}");
        assert_eq!(tsquery.matches(":*").count(), 10);
    }

    #[test]
    fn a_rule_over_terms_says_the_same_in_each_dialect() {
        let whole = |text: &str| Term::Whole(text.into());
        let rule = Rule {
            all: vec![vec![whole("a")], vec![Term::Beginning("b".into()), whole("c")]],
            none: vec![whole("d")],
        };
        let names = Names {
            exact: vec![Name { rule, values: vec![vec!["ana".into(), "diaz".into()]] }],
            ..Names::default()
        };
        let reach = [Reach { names, ..Reach::default() }];
        let [fts5, tsquery] = both(&[("search_query", "\"from ana diaz\"")], &reach, Tier::Exact);
        assert_eq!(
            fts5,
            concat!(
                r#"("10_from 10_ana 10_diaz" OR "#,
                r#"(("10.a" AND ("10.b" * OR "10.c") AND "10_ana 10_diaz") NOT ("10.d")))"#,
            )
        );
        assert_eq!(
            tsquery,
            "(('10_from' <-> '10_ana' <-> '10_diaz') | \
             (('10.a' & ('10.b':* | '10.c') & ('10_ana' <-> '10_diaz')) & !('10.d')))"
        );
    }

    #[test]
    fn what_is_only_excluded_is_taken_from_everything() {
        let missing = [("metadata.x[exists]", "false")];
        let [fts5, tsquery] = both(&missing, &[], Tier::Exact);
        let (path, within) = (daybook_core::search::path_term("x"), Fact::Within("x").term());
        assert_eq!(fts5, format!(r#"("10_") NOT ("10.{path}" * OR "10.{within}")"#));
        assert_eq!(tsquery, format!("('10_') & !('10.{path}':* | '10.{within}')"));
        let status = [("status", "pending"), ("status", "failed")];
        let term = |name| Fact::Status(name).term();
        let (pending, failed) = (term("pending"), term("failed"));
        let [_, tsquery] = both(&status, &[], Tier::Exact);
        assert_eq!(tsquery, format!("('10.{pending}' | '10.{failed}')"));
        let many = [Reach { beginnings: Beginnings::Scanned, ..Reach::default() }];
        let [fts5, tsquery] = both(&[("search_query", "ab")], &many, Tier::Beginning);
        assert_eq!(fts5, r#"(("10_ab" OR "10_ab" *)) NOT ((("10_ab")))"#);
        assert_eq!(tsquery, "(('10_ab' | '10_ab':*)) & !((('10_ab')))");
    }
}
