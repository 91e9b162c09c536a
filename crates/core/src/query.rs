//! Questions about a user's feed: what may be asked, and what an index must know to answer.

mod compare;
mod ledger;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cursor::Position;
use crate::id::{UserId, fnv128};
use crate::limits::{
    FILTER_VALUES_MAX, METADATA_FILTERS_MAX, PAGE_OFFSET_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX,
};
use crate::money::Amount;
use crate::search::{self, Clause, Fact, filter_keys};
use crate::time::{Moment, Timestamp};
use crate::transaction::{Side, Status, TransactionType, Vocabulary};

pub use compare::{Compare, CompareOp};
pub use ledger::{AccountsQuery, EntriesQuery, TransfersQuery, Whose};

/// A checked question about one user's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub user_id: UserId,
    /// In the range, with `from` and without `to`.
    pub from: Timestamp,
    pub to: Timestamp,
    pub amount_min: Option<Amount>,
    pub amount_max: Option<Amount>,
    /// Each group holds index terms of which one must be there.
    pub any_of: Vec<Vec<Term>>,
    /// Index terms of which none may be there.
    pub none_of: Vec<Term>,
    /// Conditions that only the item's metadata can answer.
    pub compare: Vec<Compare>,
    pub search: Vec<Clause>,
    pub order: Order,
    pub paging: Paging,
    /// Names the question, without the place in its answer.
    pub digest: u128,
}

/// A term of the index, or all terms with a beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    Whole(String),
    Beginning(String),
    /// A metadata path and the [`search::value_key`] that stands there.
    Value(String, String),
}

/// Which items come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By how well they match the search, then newest first.
    Best,
    Newest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    Page { page: u64, size: u32 },
    Cursor { after: Option<Position>, limit: u32 },
}

impl From<Fact<'_>> for Term {
    fn from(fact: Fact<'_>) -> Self {
        Self::Whole(fact.term())
    }
}

/// One parameter that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParameterError {
    pub parameter: String,
    pub code: &'static str,
    pub detail: String,
}

/// Why parameters are no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("there is no parameter '{name}' here; the parameters are {known}")]
    UnknownParameter { name: String, known: String },
    #[error("`user_id` is required where no token says who asks")]
    MissingUser,
    #[error("the cursor is damaged or belongs to another question; start without a cursor")]
    BadCursor,
    #[error("{} parameters break a rule; see `errors`", .0.len())]
    Invalid(Vec<ParameterError>),
}

/// The parameters that a feed question takes, besides `metadata.<path>` with or without operator.
pub const PARAMETERS: &[&str] = &[
    "user_id",
    "transaction_type",
    "product",
    "status",
    "currency",
    "side",
    "start_date",
    "end_date",
    "tz",
    "min_amount",
    "max_amount",
    "search_query",
    "direction",
    "merchant_name",
    "card_last_four",
    "peer_name",
    "source",
    "external_id",
    "sort",
    "page",
    "page_size",
    "cursor",
    "limit",
];
/// Filters that are short names of a metadata path.
const METADATA_NAMES: &[&str] = &["direction", "merchant_name", "card_last_four", "peer_name"];
/// The longest time zone name that is looked up.
const TZ_CHARS_MAX: usize = 64;
/// What says where in the answer to look, not what is asked.
const PLACE: &[&str] = &["page", "page_size", "cursor", "limit", "user_id"];

impl Query {
    /// Reads the parameters of a request. `user` is who asks, when a token says so; it wins. An
    /// empty parameter is no filter.
    ///
    /// # Errors
    /// Names the unknown parameter, or every parameter that breaks a rule.
    pub fn parse(
        pairs: &[(String, String)],
        user: Option<&UserId>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, QueryError> {
        let known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("metadata.");
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known(name)) {
            let known = format!("{}, metadata.<path>", PARAMETERS.join(", "));
            return Err(QueryError::UnknownParameter { name: name.clone(), known });
        }
        let mut p = Parser { pairs, errors: Vec::new() };
        let named = p.one("user_id").map(|text| UserId::parse(text.trim()));
        let user_id = match (user, named) {
            (Some(user), _) => user.clone(),
            (None, Some(Ok(user))) => user,
            (None, Some(Err(detail))) => {
                p.error("user_id", "USER_ID", detail);
                return Err(QueryError::Invalid(p.errors));
            }
            (None, None) => return Err(QueryError::MissingUser),
        };
        let (from, to) = p.range();
        let (amount_min, amount_max) = p.amounts();
        let mut query = Self {
            digest: digest(pairs, &user_id),
            user_id,
            from,
            to,
            amount_min,
            amount_max,
            any_of: Vec::new(),
            none_of: Vec::new(),
            compare: Vec::new(),
            search: p.search(),
            order: Order::Newest,
            paging: Paging::Page { page: 1, size: PAGE_SIZE_DEFAULT },
        };
        p.facts(&mut query, vocabulary);
        p.metadata(&mut query);
        query.order = p.order(!query.search.is_empty());
        query.paging = p.paging(query.digest)?;
        if p.errors.is_empty() { Ok(query) } else { Err(QueryError::Invalid(p.errors)) }
    }

    /// All items of a user, newest first.
    #[must_use]
    pub fn all_of(user_id: UserId, paging: Paging) -> Self {
        Self {
            digest: digest(&[], &user_id),
            user_id,
            from: Timestamp::MIN,
            to: Timestamp::END,
            amount_min: None,
            amount_max: None,
            any_of: Vec::new(),
            none_of: Vec::new(),
            compare: Vec::new(),
            search: Vec::new(),
            order: Order::Newest,
            paging,
        }
    }

    /// Whether the index of words and terms is needed to answer.
    #[must_use]
    pub fn needs_index(&self) -> bool {
        !(self.any_of.is_empty() && self.none_of.is_empty() && self.search.is_empty())
    }

    /// Whether each found item must be looked at, because no index knows the answer.
    #[must_use]
    pub fn needs_items(&self) -> bool {
        self.amount_min.is_some() || self.amount_max.is_some() || !self.compare.is_empty()
    }
}

/// Whether a parameter says nothing. A cursor that is empty is none that was given out.
#[must_use]
pub fn says_nothing(name: &str, value: &str) -> bool {
    name != "cursor" && value.trim().is_empty()
}

/// Hashes the question without the place in its answer; the order of parameters says nothing.
fn digest(pairs: &[(String, String)], user: &UserId) -> u128 {
    let asks = |name: &str, value: &str| !PLACE.contains(&name) && !says_nothing(name, value);
    let mut asked: Vec<&(String, String)> =
        pairs.iter().filter(|(name, value)| asks(name, value)).collect();
    asked.sort_unstable();
    let mut parts: Vec<&[u8]> = vec![user.as_str().as_bytes()];
    parts.extend(asked.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    fnv128(&parts)
}

struct Parser<'a> {
    pairs: &'a [(String, String)],
    errors: Vec<ParameterError>,
}

impl<'a> Parser<'a> {
    fn error(&mut self, parameter: &str, code: &'static str, detail: impl Into<String>) {
        self.errors.push(ParameterError {
            parameter: parameter.to_owned(),
            code,
            detail: detail.into(),
        });
    }

    fn all(&self, name: &str) -> Vec<&'a str> {
        let said = |(n, v): &&(String, String)| n == name && !says_nothing(n, v);
        self.pairs.iter().filter(said).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a parameter that may stand once.
    fn one(&mut self, name: &str) -> Option<&'a str> {
        let values = self.all(name);
        if values.len() > 1 {
            self.error(name, "REPEATED", format!("`{name}` may stand only once"));
        }
        values.first().copied()
    }

    fn moment(&mut self, name: &str) -> Option<Moment> {
        let parsed = Moment::parse(self.one(name)?);
        parsed.map_err(|error| self.error(name, "TIME", error.to_string())).ok()
    }

    /// From `start_date`, which is in the range, to the first moment after `end_date`; bare dates
    /// are days in `tz`.
    fn range(&mut self) -> (Timestamp, Timestamp) {
        let tz = self.zone();
        let (start, end) = (self.moment("start_date"), self.moment("end_date"));
        let from = start.map_or(Timestamp::MIN, |start| start.start(&tz));
        let to = end.map_or(Timestamp::END, |end| end.end(&tz));
        // A day that a time zone left out begins and ends at once.
        let is_empty =
            matches!((start, end), (Some(Moment::Date(a)), Some(Moment::Date(b))) if a == b);
        if start.is_some() && end.is_some() && from >= to && !is_empty {
            self.error("end_date", "RANGE", "`end_date` is before `start_date`");
        }
        (from.max(Timestamp::MIN), to.min(Timestamp::END))
    }

    fn zone(&mut self) -> TimeZone {
        let Some(name) = self.one("tz") else {
            return TimeZone::UTC;
        };
        let found = if name.len() > TZ_CHARS_MAX { None } else { TimeZone::get(name).ok() };
        found.unwrap_or_else(|| {
            let detail = "there is no such time zone; write it as Europe/Madrid";
            self.error("tz", "UNKNOWN_TIME_ZONE", detail);
            TimeZone::UTC
        })
    }

    fn amounts(&mut self) -> (Option<Amount>, Option<Amount>) {
        let (min, max) = (self.amount("min_amount"), self.amount("max_amount"));
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            self.error("max_amount", "RANGE", "`max_amount` is less than `min_amount`");
        }
        (min, max)
    }

    fn amount(&mut self, name: &str) -> Option<Amount> {
        let parsed = Amount::parse_any(self.one(name)?);
        parsed.map_err(|error| self.error(name, "AMOUNT", error.to_string())).ok()
    }

    fn search(&mut self) -> Vec<Clause> {
        let Some(text) = self.one("search_query") else {
            return Vec::new();
        };
        match search::parse(text) {
            Ok(clauses) if clauses.is_empty() => {
                self.error("search_query", "EMPTY", "the search text has no word");
                clauses
            }
            Ok(clauses) => clauses,
            Err(detail) => {
                self.error("search_query", "LENGTH", detail);
                Vec::new()
            }
        }
    }

    fn facts(&mut self, query: &mut Query, vocabulary: &Vocabulary) {
        self.named(query, "transaction_type", TransactionType::names, |text| {
            TransactionType::from_name(text).map(|t| Fact::Type(t.name()).into())
        });
        self.named(query, "status", Status::names, |text| {
            Status::from_name(text).map(|s| Fact::Status(s.name()).into())
        });
        self.named(query, "side", Side::names, |text| {
            Side::from_name(text).map(|s| Fact::Side(s.name()).into())
        });
        let codes = || "the codes of ISO 4217 and the configured crypto codes".to_owned();
        self.named(query, "currency", codes, |text| {
            let known = vocabulary.currencies.get(text);
            known.map(|currency| Fact::Currency(currency.code()).into())
        });
        self.named(
            query,
            "product",
            || vocabulary.products.join(", "),
            |text| {
                let known = vocabulary.products.iter().find(|name| *name == text);
                known.map(|name| Fact::Product(name).into())
            },
        );
        let any = String::new;
        self.named(query, "source", any, |text| Some(Fact::Source(text).into()));
        self.named(query, "external_id", any, |text| Some(Fact::ExternalId(text).into()));
    }

    /// A filter that may repeat: any of its values.
    fn named(
        &mut self,
        query: &mut Query,
        name: &str,
        names: impl Fn() -> String,
        term: impl Fn(&str) -> Option<Term>,
    ) {
        let values = self.all(name);
        if values.len() > FILTER_VALUES_MAX {
            let detail = format!("`{name}` stands more than {FILTER_VALUES_MAX} times");
            return self.error(name, "REPEATED", detail);
        }
        let mut terms = Vec::new();
        for value in values {
            match term(value) {
                Some(term) => terms.push(term),
                None => self.error(name, "ONE_OF", format!("`{name}` is one of {}", names())),
            }
        }
        if !terms.is_empty() {
            query.any_of.push(terms);
        }
    }

    fn metadata(&mut self, query: &mut Query) {
        let mut groups: Vec<(&str, Vec<Term>)> = Vec::new();
        let mut conditions = 0;
        for (name, value) in self.pairs {
            let short = METADATA_NAMES.contains(&name.as_str()).then_some(name.as_str());
            let Some(rest) = name.strip_prefix("metadata.").or(short) else {
                continue;
            };
            conditions += 1;
            let (path, op) = match rest.strip_suffix(']').and_then(|r| r.rsplit_once('[')) {
                Some((path, op)) => (path, Some(op)),
                None => (rest, None),
            };
            if path.is_empty() || path.contains(['[', ']']) {
                let detail =
                    "a metadata filter names a path, as metadata.city or metadata.age[gte]";
                self.error(name, "PATH", detail);
                continue;
            }
            if says_nothing(name, value) {
                continue;
            }
            let compare = |op| Compare { path: path.to_owned(), op, value: value.clone() };
            let keys = filter_keys(value);
            let terms = keys.into_iter().map(|key| Term::Value(path.to_owned(), key));
            let there = || search::exists(path);
            match op {
                None => match groups.iter_mut().find(|(known, _)| *known == path) {
                    Some((_, any)) => any.extend(terms),
                    None => groups.push((path, terms.collect())),
                },
                Some("ne") => query.none_of.extend(terms),
                Some("exists") => match value.as_str() {
                    "true" => query.any_of.push(there().into()),
                    "false" => query.none_of.extend(there()),
                    _ => self.error(name, "ONE_OF", "`exists` is true or false"),
                },
                Some("gte") => query.compare.push(compare(CompareOp::Gte)),
                Some("gt") => query.compare.push(compare(CompareOp::Gt)),
                Some("lte") => query.compare.push(compare(CompareOp::Lte)),
                Some("lt") => query.compare.push(compare(CompareOp::Lt)),
                Some(_) => {
                    self.error(name, "OPERATOR", "the operators are gte, gt, lte, lt, ne, exists");
                }
            }
        }
        if conditions > METADATA_FILTERS_MAX {
            let detail = format!("at most {METADATA_FILTERS_MAX} metadata filters");
            self.error("metadata", "TOO_MANY", detail);
        }
        query.any_of.extend(groups.into_iter().map(|(_, terms)| terms));
    }

    fn order(&mut self, searching: bool) -> Order {
        match self.one("sort") {
            None if searching => Order::Best,
            None | Some("-created_at") => Order::Newest,
            Some("best") if searching => Order::Best,
            Some(_) => {
                let detail = "`sort` is -created_at, or best where there is a search_query";
                self.error("sort", "ONE_OF", detail);
                Order::Newest
            }
        }
    }

    /// A cursor says where to go on; without one `limit` begins pages by cursor where there is no
    /// `page`.
    fn paging(&mut self, digest: u128) -> Result<Paging, QueryError> {
        let (cursor, limit) = (self.one("cursor"), self.one("limit"));
        let (page, size) = (self.one("page"), self.one("page_size"));
        // The size of pages of the other kind says nothing.
        let is_numbered = cursor.is_none() && (limit.is_none() || page.is_some());
        let page = self.number("page", page, 1, u64::MAX);
        let size = self.number("page_size", size, PAGE_SIZE_DEFAULT.into(), PAGE_SIZE_MAX.into());
        let limit = self.number("limit", limit, PAGE_SIZE_DEFAULT.into(), PAGE_SIZE_MAX.into());
        if !is_numbered {
            let after = match cursor {
                None => None,
                Some(text) => Some(Position::decode(text, digest).ok_or(QueryError::BadCursor)?),
            };
            return Ok(Paging::Cursor { after, limit: u32::try_from(limit).unwrap_or(1) });
        }
        if (page - 1).saturating_mul(size) > PAGE_OFFSET_MAX {
            let detail = format!("page numbers reach {PAGE_OFFSET_MAX} items; use a cursor beyond");
            self.error("page", "RANGE", detail);
        }
        Ok(Paging::Page { page, size: u32::try_from(size).unwrap_or(1) })
    }

    fn number(&mut self, name: &str, value: Option<&str>, default: u64, max: u64) -> u64 {
        let Some(text) = value else {
            return default;
        };
        match text.parse::<u64>() {
            Ok(number) if (1..=max).contains(&number) => number,
            _ => {
                let detail = if max == u64::MAX {
                    format!("`{name}` is a whole number from 1 on")
                } else {
                    format!("`{name}` is a whole number from 1 to {max}")
                };
                self.error(name, "RANGE", detail);
                default
            }
        }
    }
}
