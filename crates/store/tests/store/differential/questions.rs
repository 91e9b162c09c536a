//! What is asked: every method that reads, with filters, words, pages and cursors of all kinds.

use super::submissions::USERS;
use super::{Both, Known};
use crate::chance::Chance;
use crate::support::{Fallible, pairs, user};
use daybook_core::query::{AccountsQuery, EntriesQuery, Query, TransfersQuery, Whose};
use daybook_core::stats::{GroupBy, Interval, Span};
use daybook_core::transaction::Vocabulary;
use daybook_core::{AccountId, AccountStatus, EventSeq, Timestamp, TransferStatus};
use jiff::tz::TimeZone;

/// How many pages of a list are read.
const PAGES: usize = 6;

const WORDS: [&str; 33] = [
    "null byte",
    "back\\slash",
    "quoted",
    "a:*",
    "!b",
    "(c) <-> d",
    "\"go gone\"",
    "'go'",
    "1234567890123456789012345678901234567890",
    "starbucks",
    "STARB",
    "starbuks",
    "market",
    "marketing",
    "mark",
    "markte",
    "hall",
    "cafe",
    "zoe",
    "café zoë",
    "straße",
    "strasse",
    "istanbul",
    "東京",
    "o'neill",
    "oneill",
    "a.b_c:d",
    "100",
    "completed",
    "card",
    "\"market hall\"",
    "\"hall market\"",
    "bob 2",
];

const FILTERS: [(&str, &[&str]); 24] = [
    ("transaction_type", &["card", "p2p", "withdrawal", "earnings"]),
    ("product", &["Card", "P2P", "Account"]),
    ("status", &["completed", "pending", "failed", "cancelled"]),
    ("currency", &["USD", "eur", "JPY", "KWD", "GBP"]),
    ("side", &["credit", "debit"]),
    ("start_date", &["2024-05-02", "2024-01-01", "2024-05-01T23:59:59.999999Z"]),
    ("end_date", &["2024-05-01", "2024-05-02T00:00:00Z", "2023-12-31"]),
    ("min_amount", &["1", "0.5", "10", "7.25"]),
    ("max_amount", &["1", "100", "2000"]),
    ("direction", &["received", "sent"]),
    ("merchant_name", &["market", "Market Hall", "cafe zoe", "Changed"]),
    ("card_last_four", &["5678"]),
    ("peer_name", &["Bob 1", "starbucks"]),
    ("source", &["pos"]),
    ("external_id", &["1", "7", "29"]),
    ("metadata.n", &["3", "3.0", "1e2", "100"]),
    ("metadata.n[gte]", &["1", "-1", "1e1"]),
    ("metadata.n[lt]", &["2", "0", "1000"]),
    ("metadata.ok[ne]", &["true"]),
    ("metadata.tags", &["x", "y1"]),
    ("metadata.geo.city", &["krakow", "market"]),
    ("metadata.geo[exists]", &["true", "false"]),
    ("metadata.nothing[exists]", &["true", "false"]),
    ("sort", &["-created_at"]),
];

const ZONES: [&str; 5] =
    ["UTC", "Europe/Madrid", "Asia/Kathmandu", "America/New_York", "Europe/Amsterdam"];

/// Asks one of them.
pub async fn one(both: &Both, chance: &mut Chance, known: &Known) -> Fallible<()> {
    match chance.below(12) {
        0..=2 => feed_by_cursor(both, chance).await,
        3 => feed_by_page(both, chance).await,
        4 => item(both, chance, known).await,
        5 => statistics(both, chance).await,
        6 => series(both, chance).await,
        7 => accounts(both, chance).await,
        8 => statement(both, chance).await,
        9 => transfers(both, chance).await,
        10 => changes(both, chance).await,
        _ => waiting(both, chance).await,
    }
}

fn filters(chance: &mut Chance) -> Vec<(String, String)> {
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for _ in 0..chance.of(&[0, 0, 1, 1, 2, 3]) {
        let (name, values) = chance.of(&FILTERS);
        let again = chosen.iter().any(|(other, _)| *other == name);
        if !again {
            chosen.push((name, chance.of(values)));
        }
    }
    let words;
    if chance.one_in(2) {
        let more = if chance.one_in(3) { chance.of(&WORDS) } else { "" };
        words = format!("{} {more}", chance.of(&WORDS));
        chosen.push(("search_query", &words));
    }
    pairs(&chosen)
}

/// `None` when the parameters do not go together; no store is asked that.
fn query(filters: &[(String, String)], name: &str) -> Option<Query> {
    Query::parse(filters, Some(&user(name)), &Vocabulary::default()).ok()
}

async fn feed_by_cursor(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let (name, filters) = (chance.of(&USERS), filters(chance));
    let limit = chance.of(&["1", "2", "7", "20", "100"]);
    let mut cursor = None;
    for _ in 0..PAGES {
        let mut asked = filters.clone();
        asked.extend(pairs(&[("limit", limit)]));
        asked.extend(cursor.iter().flat_map(|cursor: &String| pairs(&[("cursor", cursor)])));
        let Some(query) = query(&asked, name) else { return Ok(()) };
        let page =
            both.ask((name, &asked), async |store| store.transactions(query.clone()).await).await?;
        match page.next {
            Some(next) => cursor = Some(next.encode(query.digest)),
            None => break,
        }
    }
    Ok(())
}

async fn feed_by_page(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let (name, mut asked) = (chance.of(&USERS), filters(chance));
    let page = chance.of(&["1", "2", "3", "40"]);
    asked.extend(pairs(&[("page", page), ("page_size", chance.of(&["3", "20"]))]));
    let Some(query) = query(&asked, name) else { return Ok(()) };
    both.ask((name, &asked), async |store| store.transactions(query.clone()).await).await?;
    Ok(())
}

async fn item(both: &Both, chance: &mut Chance, known: &Known) -> Fallible<()> {
    if !known.items.is_empty() {
        let id = chance.of(&known.items);
        both.ask(id, async |store| store.transaction(id).await).await?;
        both.ask(id, async |store| store.history(id).await).await?;
    }
    if !known.transfers.is_empty() {
        let id = chance.of(&known.transfers);
        both.ask(id, async |store| store.transfer(id).await).await?;
    }
    Ok(())
}

fn span(chance: &mut Chance) -> Fallible<Span> {
    let tz = TimeZone::get(chance.of(&ZONES))?;
    let day = |chance: &mut Chance| {
        chance.of(&["1935-06-02", "2023-07-01", "2024-01-01", "2024-05-01", "2024-05-02T00:00:00Z"])
    };
    let from = daybook_core::time::Moment::parse(day(chance))?.start(&tz);
    let to = chance.of(&["2024-05-01", "2024-05-02", "2024-05-02T00:00:00.000001Z", "2024-12-31"]);
    let to = daybook_core::time::Moment::parse(to)?.end(&tz);
    Ok(if chance.one_in(4) { Span::all() } else { Span { from, to: to.max(from), tz } })
}

fn currencies(chance: &mut Chance) -> Vec<String> {
    if chance.one_in(2) { Vec::new() } else { vec![chance.of(&["USD", "EUR", "JPY"]).to_owned()] }
}

async fn statistics(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let (name, span, currencies) = (chance.of(&USERS), span(chance)?, currencies(chance));
    both.ask((name, &span, &currencies), async |store| {
        store.statistics(user(name), span.clone(), currencies.clone()).await
    })
    .await?;
    Ok(())
}

async fn series(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let (name, span, currencies) = (chance.of(&USERS), span(chance)?, currencies(chance));
    let interval = chance.of(&[Interval::Day, Interval::Week, Interval::Month]);
    let group = match chance.below(5) {
        0 => GroupBy::None,
        1 => GroupBy::Side,
        2 => GroupBy::TransactionType,
        3 => GroupBy::Product,
        _ => GroupBy::Metadata(chance.of(&["merchant_name", "n", "tags"]).to_owned()),
    };
    // A chart of too many points is refused by both.
    let ask = both.ask((name, &span, &currencies, interval, &group), async |store| {
        store
            .series(user(name), span.clone(), currencies.clone(), interval, group.clone())
            .await
            .map_or_else(|error| Ok(Err(error.to_string())), |series| Ok(Ok(series)))
    });
    drop(ask.await?);
    Ok(())
}

async fn accounts(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let status = chance.of(&[AccountStatus::Open, AccountStatus::Frozen, AccountStatus::Closed]);
    let mut query = AccountsQuery {
        user_id: chance.one_in(2).then(|| user(chance.of(&USERS))),
        currency: chance.one_in(3).then(|| chance.of(&["USD", "EUR"]).to_owned()),
        status: chance.one_in(3).then_some(status),
        after: chance.one_in(2).then_some(AccountId(0)),
        limit: 1 + chance.below(6) as u32,
    };
    for _ in 0..PAGES {
        let page = both.ask(&query, async |store| store.accounts(query.clone()).await).await?;
        let Some(last) = page.items.last().filter(|_| page.has_more) else { break };
        query.after = Some(last.account.id);
    }
    Ok(())
}

/// A moment in the time of the history.
fn moment(chance: &mut Chance, now: Timestamp) -> Timestamp {
    let begin = 1_720_000_000_000_000;
    let passed = u64::try_from(now.micros() - begin).unwrap_or(1).max(1);
    Timestamp::from_micros(begin + chance.below(passed) as i64)
}

async fn statement(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let now = both.sqlite.now();
    let id = AccountId(1 + chance.below(10) as i64);
    both.ask(id, async |store| store.account(id).await).await?;
    let at = moment(chance, now);
    both.ask((id, at), async |store| store.balance_at(id, at).await).await?;
    let whole = chance.one_in(2);
    let (from, to) = (moment(chance, now), moment(chance, now));
    let mut query = EntriesQuery {
        account: id,
        from: if whole { Timestamp::MIN } else { from.min(to) },
        to: if whole { Timestamp::END } else { from.max(to) },
        before: None,
        limit: chance.of(&[1, 3, 64, 1_000]),
    };
    for _ in 0..PAGES {
        let page = both.ask(&query, async |store| store.entries(query.clone()).await).await?;
        let page = page.unwrap_or_default();
        let Some(last) = page.items.last().filter(|_| page.has_more) else { break };
        query.before = Some(last.number);
    }
    Ok(())
}

async fn transfers(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let status = chance.of(&[
        TransferStatus::Pending,
        TransferStatus::Complete,
        TransferStatus::Failed,
        TransferStatus::Rollback,
    ]);
    let whose = match chance.below(3) {
        0 => Whose::All,
        1 => Whose::Account(AccountId(1 + chance.below(9) as i64)),
        _ => Whose::User(user(chance.of(&USERS))),
    };
    let mut query = TransfersQuery {
        whose,
        status: chance.one_in(2).then_some(status),
        reference: chance.one_in(4).then(|| format!("R-{}", chance.below(200))),
        before: None,
        limit: chance.of(&[1, 3, 64, 1_000]),
    };
    for _ in 0..PAGES {
        let page = both.ask(&query, async |store| store.transfers(query.clone()).await).await?;
        let Some(last) = page.items.last().filter(|_| page.has_more) else { break };
        query.before = Some(last.number);
    }
    Ok(())
}

async fn changes(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let (name, limit) = (chance.of(&USERS), chance.of(&[1, 7, 100]));
    let mut after = EventSeq(chance.below(1 + both.sqlite.store.seq().0 as u64) as i64);
    for _ in 0..PAGES {
        let page = both
            .ask((name, after, limit), async |store| store.changes(user(name), after, limit).await)
            .await?;
        if !page.has_more {
            break;
        }
        after = page.next;
    }
    let after = chance.one_in(2).then(|| user(chance.of(&["a", "ana", "bob", "zoe"])));
    both.ask(&after, async |store| store.users(after.clone(), limit).await).await?;
    Ok(())
}

async fn waiting(both: &Both, chance: &mut Chance) -> Fallible<()> {
    let now = both.sqlite.now();
    let at = if chance.one_in(2) { moment(chance, now) } else { now };
    let limit = chance.of(&[1, 5, 100]);
    both.ask((at, limit), async |store| store.due(at, limit).await).await?;
    both.ask("the newest event", async |store| store.status().await.map(|now| now.seq)).await?;
    Ok(())
}
