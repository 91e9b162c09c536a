//! Words that many items have in common and that the index therefore does not keep: names of types,
//! statuses, products and currencies, and what titles say beside values. A rule over the terms of
//! the filters finds the items that have them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{CURRENCIES, Clause, Fact, Typo, path_term, value_key, words};
use crate::json::Json;
use crate::kind::label::{Condition, Label};
use crate::kind::{KINDS, Kind};
use crate::query::Term;
use crate::transaction::{PRODUCTS, Status, TransactionType};

/// Says by its terms whether an item has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of each group one term must be there.
    pub all: Vec<Vec<Term>>,
    /// None of these may be there.
    pub none: Vec<Term>,
}

impl Rule {
    fn of(fact: Fact) -> Self {
        Self { all: vec![vec![fact.into()]], none: Vec::new() }
    }

    fn of_label(kind: &dyn Kind, label: &Label) -> Self {
        let mut rule = Self::of(Fact::Type(kind.transaction_type().name()));
        let term = |path: &str, text: &str| {
            Term::from(Fact::Metadata(path, &value_key(&Json::String(text.into()))))
        };
        for condition in label.conditions() {
            match *condition {
                Condition::Is(path, text) => rule.all.push(vec![term(path, text)]),
                Condition::IsNot(path, text) => rule.none.push(term(path, text)),
                Condition::Has(paths) => {
                    rule.all.push(paths.iter().flat_map(|path| exists(path)).collect());
                }
                Condition::HasNot(path) => rule.none.extend(exists(path)),
                Condition::Side(side) => rule.all.push(vec![Fact::Side(side.name()).into()]),
            }
        }
        rule
    }

    /// Whether terms, in their order, fulfil the rule.
    fn holds(&self, terms: &[String]) -> bool {
        let has = |term: &Term| {
            let (text, is_whole) = match term {
                Term::Whole(text) => (text, true),
                Term::Beginning(text) => (text, false),
                Term::Value(..) => return false,
            };
            let at = terms.partition_point(|known| known < text);
            let found = terms.get(at);
            found.is_some_and(|found| {
                if is_whole { found == text } else { found.starts_with(text.as_str()) }
            })
        };
        self.all.iter().all(|any| any.iter().any(has)) && !self.none.iter().any(has)
    }
}

/// The terms of which an item has one when it has anything at a metadata path.
#[must_use]
pub fn exists(path: &str) -> [Term; 2] {
    [Term::Beginning(path_term(path)), Fact::Within(path).into()]
}

/// Words that the terms of an item tell.
struct Known {
    words: Vec<String>,
    /// Whether a value stands before or behind the words.
    value_before: bool,
    value_behind: bool,
    rule: Rule,
}

impl Known {
    fn named(name: &str, fact: Fact) -> Self {
        let rule = Rule::of(fact);
        Self { words: words(name), value_before: false, value_behind: false, rule }
    }

    fn labelled(kind: &dyn Kind, label: &Label) -> Self {
        Self {
            words: words(label.text()),
            value_before: label.text().starts_with(Label::VALUE),
            value_behind: label.text().ends_with(Label::VALUE),
            rule: Rule::of_label(kind, label),
        }
    }
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let mut known = Vec::new();
    let types = TransactionType::ALL.iter();
    known.extend(types.map(|t| Known::named(t.name(), Fact::Type(t.name()))));
    known.extend(Status::ALL.iter().map(|s| Known::named(s.name(), Fact::Status(s.name()))));
    known.extend(PRODUCTS.iter().map(|product| Known::named(product, Fact::Product(product))));
    known.extend(CURRENCIES.iter().map(|c| Known::named(c.code(), Fact::Currency(c.code()))));
    for kind in KINDS {
        known.extend(kind.labels().iter().map(|label| Known::labelled(*kind, label)));
    }
    known
});

/// The rules of each of these words.
static BY_WORD: LazyLock<HashMap<&str, Vec<&Rule>>> = LazyLock::new(|| {
    let mut rules: HashMap<&str, Vec<&Rule>> = HashMap::new();
    for known in KNOWN.iter() {
        for word in &known.words {
            rules.entry(word).or_default().push(&known.rule);
        }
    }
    rules
});

/// Whether terms, in their order, say that their item has a word.
pub(super) fn say(word: &str, terms: &[String]) -> bool {
    BY_WORD.get(word).is_some_and(|rules| rules.iter().any(|rule| rule.holds(terms)))
}

/// A name that a clause means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub rule: Rule,
    /// Words of values that a phrase has beside those of the name, in this order.
    pub values: Vec<Vec<String>>,
}

/// The names that a clause means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub exact: Vec<Name>,
    pub beginnings: Vec<Name>,
    pub typos: Vec<Name>,
}

/// Finds the names that a clause means: by one of their words, or by a phrase of some.
#[must_use]
pub fn names(clause: &Clause) -> Names {
    let mut found = Names::default();
    match clause {
        Clause::Phrase(phrase) => {
            for known in KNOWN.iter() {
                for values in known.readings(phrase) {
                    add(&mut found.exact, &known.rule, values);
                }
            }
        }
        Clause::Word(word) => {
            let typo = Typo::of(word);
            let begins = |known: &String| known.starts_with(word.as_str());
            let is_near = |known: &String| typo.as_ref().is_some_and(|typo| typo.may_mean(known));
            for Known { words, rule, .. } in KNOWN.iter() {
                let tier = if words.contains(word) {
                    &mut found.exact
                } else if words.iter().any(begins) {
                    &mut found.beginnings
                } else if words.iter().any(is_near) {
                    &mut found.typos
                } else {
                    continue;
                };
                add(tier, rule, Vec::new());
            }
        }
    }
    found
}

fn add(names: &mut Vec<Name>, rule: &Rule, values: Vec<Vec<String>>) {
    // What some items have of a name adds nothing to what all of them have.
    let covers = |known: &Name| {
        known.values.is_empty()
            && rule.all.starts_with(&known.rule.all)
            && rule.none.starts_with(&known.rule.none)
    };
    if !names.iter().any(covers) {
        names.push(Name { rule: rule.clone(), values });
    }
}

impl Known {
    /// How a phrase can be read as some of these words, and values where they stand: the words of
    /// the values.
    fn readings(&self, phrase: &[String]) -> Vec<Vec<Vec<String>>> {
        let mut readings = Vec::new();
        for from in 0..self.words.len() {
            let Some(own) = self.words.get(from..) else { continue };
            for at in 0..phrase.len() {
                let (Some(before), Some(rest)) = (phrase.get(..at), phrase.get(at..)) else {
                    continue;
                };
                let same = own.iter().zip(rest).take_while(|(own, word)| own == word).count();
                let behind = rest.get(same..).unwrap_or_default();
                let reads = same > 0
                    && (before.is_empty() || (self.value_before && from == 0))
                    && (behind.is_empty() || (self.value_behind && same == own.len()));
                if reads {
                    let values = [before, behind].into_iter().filter(|value| !value.is_empty());
                    readings.push(values.map(<[String]>::to_vec).collect());
                }
            }
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Clause {
        Clause::Phrase(words(text))
    }

    fn rule(kind: TransactionType, conditions: &[Fact]) -> Rule {
        let mut rule = Rule::of(Fact::Type(kind.name()));
        rule.all.extend(conditions.iter().map(|fact| vec![Term::from(*fact)]));
        rule
    }

    #[test]
    fn words_of_types_and_titles_mean_the_items_that_show_them() {
        let exact = |word: &str| names(&Clause::Word(word.to_owned())).exact;
        let rules = |word| exact(word).into_iter().map(|name| name.rule).collect::<Vec<_>>();
        let of = |kind| rule(kind, &[]);
        use TransactionType::{BillPayment, Card, P2p, Withdrawal};
        assert_eq!(rules("payment"), [of(BillPayment), of(Card)]);
        assert_eq!(rules("transfer"), [of(P2p)]);
        assert_eq!(rules("withdrawal"), [of(Withdrawal)]);
        let sent = [Fact::Metadata("direction", "ssent")];
        assert!(rules("to").contains(&rule(P2p, &sent)), "{:?}", rules("to"));
        assert_eq!(rules("toward"), []);
        let near = names(&Clause::Word("paymnt".into())).typos;
        assert_eq!(near.len(), 2);
        let begun = names(&Clause::Word("transf".into())).beginnings;
        assert!(begun.iter().any(|name| name.rule == of(P2p)));
    }

    #[test]
    fn a_phrase_is_read_as_words_of_a_label_and_values() {
        let values = |text: &str| {
            let found = names(&phrase(text)).exact;
            found.into_iter().map(|name| name.values).collect::<Vec<_>>()
        };
        let chase = vec![vec!["chase".to_owned()]];
        assert_eq!(values("card payment"), [Vec::<Vec<String>>::new()]);
        assert_eq!(values("withdrawal to chase"), [chase]);
        assert!(values("from ana").iter().all(|values| *values == [["ana".to_owned()]]));
        assert_eq!(values("payment card"), Vec::<Vec<Vec<String>>>::new());
        assert_eq!(values("ana card payment"), Vec::<Vec<Vec<String>>>::new());
        let interest = values("interest from acme bank");
        let read = [vec!["interest".to_owned()], vec!["acme".to_owned(), "bank".to_owned()]];
        assert!(interest.contains(&read.into()), "{interest:?}");
    }
}
