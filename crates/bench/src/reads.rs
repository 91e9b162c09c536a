//! What questions cost, asked about users with few and with very many items in one file.

use anyhow::{Context, Result, anyhow, bail};
use daybook_core::cursor::Position;
use daybook_core::transaction::Vocabulary;
use daybook_core::{Query, Timestamp, TransactionId, UserId, search};
use serde::Deserialize;

use crate::client::{self, Client, Measured, Until};
use crate::load::Happened;
use crate::report::{Report, Row, Target, count, rate, ratio};
use crate::server::Program;
use crate::{Plan, load, say, writes};

/// In milliseconds, on a file with all the users.
const READY: Target = Target::Below(500.0);
/// How much more a page may cost for the biggest user than for the smallest.
const PAGE: Option<Target> = Some(Target::AtMost(2.0));
const SEARCH: Option<Target> = Some(Target::AtMost(3.0));
const STATISTICS: Option<Target> = Some(Target::AtMost(3.0));

/// How many items are counted to come to a page by its number: such a question takes as long as
/// they are many.
const COUNTED_MAX: u64 = 1_000_000;
/// Over how long a time items are seeded: a year.
const SEEDED_US: i64 = 365 * 86_400 * 1_000_000;

/// A question that is asked about every user.
struct Question {
    name: &'static str,
    path: fn(&Subject) -> String,
    /// How much more it may cost for a bigger user.
    growth: Option<Target>,
    /// How fast it must be beside the endpoint that does nothing.
    speed: Option<Target>,
}

const fn question(
    name: &'static str,
    growth: Option<Target>,
    path: fn(&Subject) -> String,
) -> Question {
    Question { name, path, growth, speed: None }
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "feed page by number",
        path: |s| s.feed("page=1&page_size=20"),
        growth: PAGE,
        speed: Some(writes::FEED),
    },
    Question {
        name: "feed page by cursor",
        path: |s| s.feed("limit=20"),
        growth: PAGE,
        speed: Some(writes::FEED),
    },
    question("deep cursor", PAGE, |s| s.feed(&format!("limit=20&cursor={}", s.cursor))),
    question("deep page number", None, |s| s.feed(&format!("page={}&page_size=20", s.deep_page))),
    question("filter by status", None, |s| s.feed("limit=20&status=pending")),
    question("filter by status, counted", None, |s| s.feed("page=1&status=pending")),
    question("filter by merchant", None, |s| {
        s.feed(&format!("limit=20&merchant_name={}", client::encode(&s.words.merchant)))
    }),
    question("search a word", SEARCH, |s| s.search(&s.words.exact, "limit=20")),
    question("search a word, counted", SEARCH, |s| s.search(&s.words.exact, "page=1")),
    question("search a beginning", SEARCH, |s| s.search(&s.words.beginning, "limit=20")),
    question("search a beginning, counted", SEARCH, |s| s.search(&s.words.beginning, "page=1")),
    question("search with a typo", SEARCH, |s| s.search(&s.words.typo, "limit=20")),
    question("search with a typo, counted", SEARCH, |s| s.search(&s.words.typo, "page=1")),
    question("statistics, all time", STATISTICS, |s| s.statistics("")),
    question("statistics in a zone", STATISTICS, |s| s.statistics("?tz=Europe%2FMadrid")),
    question("statistics of a range", STATISTICS, |s| {
        s.statistics(&format!("?start_date={}&end_date={}", s.oldest, s.newest))
    }),
];

/// Measures every question, at one connection for its latency and at many for its rate.
pub fn measure(plan: &Plan, program: &Program, report: &mut Report) -> Result<()> {
    let store = program.store("reads")?;
    for size in &plan.sizes {
        say(&format!("seeding {size} items"));
        let took = program.seed(&store, user_name(*size).as_str(), *size)?;
        let per_second = ratio(Some(count(*size)), Some(took.as_secs_f64()));
        report.rows.push(Row { per_second, ..Row::fact("seed") }.size(*size));
    }
    let server = program.serve(&store)?;
    report.rows.push(writes::ready(&server, READY).size(plan.sizes.iter().sum()));
    let many = Client { address: server.address, also: None, connections: plan.connections };
    let trivial = writes::trivial(plan, &many, report)?;

    let mut words = None;
    let mut subjects = Vec::new();
    for size in &plan.sizes {
        let subject = Subject::find(&many, *size, words.as_ref())?;
        words.get_or_insert_with(|| subject.words.clone());
        subjects.push(subject);
    }
    for question in QUESTIONS {
        say(question.name);
        latencies(plan, &many, question, &subjects, report)?;
        rates(plan, &many, question, &subjects, trivial, report)?;
    }
    let bodies = load::bodies(2, plan.users, plan.create_bodies, Happened::Now)?;
    let row = writes::create(plan, &many, "create, big file", &bodies, false, trivial)?;
    report.rows.push(row.size(plan.sizes.iter().sum()));
    report.rows.push(writes::memory(&server, "memory after questions"));
    Ok(())
}

fn latencies(
    plan: &Plan,
    many: &Client,
    question: &Question,
    subjects: &[Subject],
    report: &mut Report,
) -> Result<()> {
    let one = Client { connections: 1, ..*many };
    let mut smallest = None;
    for subject in subjects {
        let measured = ask(&one, Until::Elapsed(plan.latency), question, subject)?;
        let row = Row::measured(question.name, &measured, 1.0).size(subject.size).connections(1);
        let compared = ratio(row.p50_ms, smallest.map(|(_, p50)| p50));
        let of = smallest.map_or_else(String::new, |(size, _)| of_size("p50", size));
        smallest = smallest.or(row.p50_ms.map(|p50| (subject.size, p50)));
        report.rows.push(row.times(&of, compared, question.growth));
    }
    Ok(())
}

/// The rates for the smallest and the biggest user.
fn rates(
    plan: &Plan,
    many: &Client,
    question: &Question,
    subjects: &[Subject],
    trivial: f64,
    report: &mut Report,
) -> Result<()> {
    let mut smallest = None;
    let middle = 1..subjects.len().saturating_sub(1);
    for (place, subject) in subjects.iter().enumerate() {
        if middle.contains(&place) {
            continue;
        }
        let time = if question.speed.is_some() { plan.throughput } else { plan.latency };
        let measured = ask(many, Until::Elapsed(time), question, subject)?;
        let per_second = rate(&measured, 1.0);
        let mut row = Row::measured(question.name, &measured, 1.0)
            .size(subject.size)
            .connections(many.connections)
            .times("livez", ratio(Some(per_second), Some(trivial)), question.speed);
        if let Some((size, base)) = smallest {
            let compared = ratio(Some(per_second), Some(base));
            row = row.times(&of_size("rate", size), compared, None);
        }
        smallest = smallest.or(Some((subject.size, per_second)));
        report.rows.push(row);
    }
    Ok(())
}

fn of_size(what: &str, size: u64) -> String {
    format!("{what} at {}", crate::report::grouped(size))
}

fn ask(client: &Client, until: Until, question: &Question, subject: &Subject) -> Result<Measured> {
    let path = (question.path)(subject);
    let mut request = Vec::new();
    client::get(&path, &mut request);
    let measured = client.measure(until, |_, out: &mut Vec<u8>| {
        out.extend_from_slice(&request);
        true
    });
    measured.with_context(|| format!("asking {path}"))
}

fn user_name(size: u64) -> String {
    format!("bench_{size}")
}

/// A user with a known number of items, and what is needed to ask about them.
struct Subject {
    user: String,
    size: u64,
    words: Words,
    /// The number of a page nine tenths down, or that deep in a million items where there are more.
    deep_page: u64,
    /// The cursor of a place nine tenths of the seeded time ago.
    cursor: String,
    /// The times between which nine tenths of the items lie.
    oldest: String,
    newest: String,
}

/// What is searched, the same for every user.
#[derive(Clone)]
struct Words {
    merchant: String,
    exact: String,
    beginning: String,
    typo: String,
}

/// A page of a feed, as far as it is needed here; amounts are not looked at.
#[derive(Deserialize)]
struct FeedPage {
    /// Only where pages have numbers.
    total: Option<u64>,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: TransactionId,
    created_at: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    merchant_name: Option<String>,
}

impl Subject {
    /// Looks at a user's newest and old items to learn what can be asked.
    fn find(client: &Client, size: u64, words: Option<&Words>) -> Result<Self> {
        let user = user_name(size);
        let newest = page(client, &format!("user_id={user}&page_size=100"))?;
        if newest.total != Some(size) {
            bail!("{user} has {:?} items instead of {size}", newest.total);
        }
        let words = match words {
            Some(words) => words.clone(),
            None => Words::of(&newest.items).context("no merchant to search for")?,
        };
        let deep_page = size.min(COUNTED_MAX) * 9 / 10 / 20;
        let first = newest.items.first().context("no items")?;
        let past = Timestamp::parse(&first.created_at)?.micros() - SEEDED_US * 9 / 10;
        let past = client::encode(&Timestamp::from_micros(past).to_string());
        let deep = page(client, &format!("user_id={user}&end_date={past}&limit=20"))?;
        let last = deep.items.last().context("no old items")?;
        Ok(Self {
            words,
            deep_page,
            cursor: cursor_after(&user, last)?,
            oldest: client::encode(&last.created_at),
            newest: client::encode(&first.created_at),
            user,
            size,
        })
    }

    fn feed(&self, parameters: &str) -> String {
        format!("/api/v1/transactions?user_id={}&{parameters}", self.user)
    }

    fn search(&self, words: &str, parameters: &str) -> String {
        self.feed(&format!("search_query={}&{parameters}", client::encode(words)))
    }

    fn statistics(&self, parameters: &str) -> String {
        format!("/api/v1/users/{}/statistics{parameters}", self.user)
    }
}

impl Words {
    /// Takes a merchant with a word that is long enough to be mistyped.
    fn of(items: &[Item]) -> Option<Self> {
        items.iter().filter_map(|item| item.metadata.merchant_name.as_ref()).find_map(|merchant| {
            let exact = search::words(merchant).into_iter().find(|word| {
                word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_lowercase())
            })?;
            let beginning = exact.chars().take(4).collect();
            let without_fourth = exact.chars().enumerate().filter(|(place, _)| *place != 3);
            let typo = without_fourth.map(|(_, letter)| letter).collect();
            Some(Self { merchant: merchant.clone(), beginning, typo, exact })
        })
    }
}

fn page(client: &Client, parameters: &str) -> Result<FeedPage> {
    let mut request = Vec::new();
    client::get(&format!("/api/v1/transactions?{parameters}"), &mut request);
    let (status, body) = client.ask(&request)?;
    if status != 200 {
        bail!("{parameters}: {status} {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("reading the page of {parameters}"))
}

/// The cursor that a client who paged to this item would hold.
fn cursor_after(user: &str, item: &Item) -> Result<String> {
    let user = UserId::parse(user).map_err(|refused| anyhow!(refused))?;
    let asked = [("user_id".to_owned(), user.to_string()), ("limit".to_owned(), "20".to_owned())];
    let query = Query::parse(&asked, None, &Vocabulary::default())?;
    let created_at = Timestamp::parse(&item.created_at)?;
    Ok(Position { tier: 0, created_at, id: item.id }.encode(query.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searched_words_come_from_the_data() {
        let item = |name: Option<&str>| Item {
            id: TransactionId(uuid::Uuid::from_u128(1)),
            created_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            metadata: Metadata { merchant_name: name.map(str::to_owned) },
        };
        let items = [item(None), item(Some("Aldi 7")), item(Some("Starbucks Coffee"))];
        let words = Words::of(&items).unwrap();
        assert_eq!(words.merchant, "Starbucks Coffee");
        assert_eq!(words.exact, "starbucks");
        assert_eq!(words.beginning, "star");
        assert_eq!(words.typo, "stabucks");
        assert!(Words::of(&items[..2]).is_none());
    }
}
