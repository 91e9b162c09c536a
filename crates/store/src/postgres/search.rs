//! Questions that need the index of words and terms.
//!
//! The index finds every match, but in no order. Where matches lie close together it is cheaper to
//! walk down the feed until the page is full; where they are rare the index answers. A short walk
//! tells which of them it is.

use daybook_core::cursor::Position;
use daybook_core::query::Order;
use daybook_core::search::{Clause, Typo};
use daybook_core::{Transaction, TransactionId};
use futures_util::future::try_join_all;
use tokio_postgres::Row;
use uuid::Uuid;

use super::ask::Ask;
use super::connect::Conn;
use super::read::Look;
use super::statistics;
use crate::codec::{Columns, ITEM, ITEM_COLUMNS};
use crate::dictionary::{self, BEGINNINGS_READ, Walk};
use crate::page::{self, START, cut, window};
use crate::sql::{Beginnings, Dialect, Matcher, Reach, Tier};
use crate::{Page, Result};

/// How many items the first walk passes: some hundred microseconds.
const FIRST_WALK: u64 = 256;
/// How many times as far the next walk goes.
const LONGER: u64 = 8;
/// How many items can be passed in the time in which the index finds one and sorts it.
const PASSED_EACH: u64 = 4;
/// The farthest down that a page is walked to.
const WALKED_TO_MAX: u64 = 1_000;
/// How many words of a dictionary are read at once.
const WORDS_READ: i64 = 4_000;
/// Sorts before all letters.
const FIRST_CHAR: char = '\u{1}';

/// A search for one user's items.
pub struct Search<'a> {
    look: Look<'a>,
    /// One for each clause of the search, in order.
    reach: Vec<Reach>,
}

/// How far a walk came.
struct Walked {
    found: Vec<(u8, Transaction)>,
    passed: u64,
    /// Where it goes on; `None` when there are no more items, or enough is found.
    next: Option<Position>,
}

impl<'a> Search<'a> {
    pub async fn new(look: Look<'a>) -> Result<Self> {
        // Only the index may answer, however many matches the server expects.
        let only_index = "select set_config('enable_seqscan', 'off', true)";
        let reach = look.query.search.iter().map(|clause| reach(look.conn, look.user, clause));
        let set = look.conn.query(only_index, &[]);
        let (_, reach) = futures_util::try_join!(set, try_join_all(reach))?;
        Ok(Self { look, reach })
    }

    fn matcher(&self) -> Matcher<'_> {
        Matcher::new(Dialect::Tsquery, self.look.query, self.look.user, &self.reach)
    }

    pub async fn page(&self) -> Result<Page> {
        let query = self.look.query;
        let (offset, limit) = window(&query.paging);
        let (near, total) = futures_util::try_join!(self.near(), self.total())?;
        let found = match near {
            Some(found) => found,
            None => self.ranked(page::after(&query.paging), offset, limit as i64 + 1).await?,
        };
        Ok(Page { total, is_cut: self.is_cut(), ..cut(found, limit) })
    }

    /// Whether there are more words that the search may mean than it looks for.
    pub fn is_cut(&self) -> bool {
        self.reach.iter().any(|reach| reach.is_cut)
    }

    /// The page, when it is complete after a walk down the feed that is not too long.
    async fn near(&self) -> Result<Option<Vec<(u8, Transaction)>>> {
        let query = self.look.query;
        let (offset, limit) = window(&query.paging);
        let wanted = offset + limit as u64 + 1;
        if wanted > WALKED_TO_MAX {
            return Ok(None);
        }
        let matcher = self.matcher();
        let start = page::after(&query.paging);
        let tier = match query.order {
            Order::Newest => Tier::Typo,
            Order::Best => start.and_then(|start| Tier::of(start.tier)).unwrap_or(Tier::Exact),
        };
        let (matching, number, is_last) = match query.order {
            Order::Newest => (matcher.up_to(tier), 0, true),
            Order::Best => {
                let worse = Tier::ALL.into_iter().filter(|other| *other > tier);
                let is_last = !worse.into_iter().any(|other| matcher.reaches(other));
                (matcher.at(tier), tier.number(), is_last)
            }
        };
        let mut walked =
            Walked { found: Vec::new(), passed: 0, next: Some(start.unwrap_or(START)) };
        let mut budget = FIRST_WALK;
        let mut all = None;
        while let Some(start) = walked.next {
            if walked.passed > 0 {
                let items = match all {
                    Some(items) => items,
                    None => statistics::items(self.look.conn, self.look.user).await?,
                };
                all = Some(items);
                // What is still to be walked, and what the index would find, if it goes on so.
                let each = walked.passed / (walked.found.len() as u64 + 1);
                let ahead = (wanted - walked.found.len() as u64).saturating_mul(each);
                if ahead / PASSED_EACH > items / each.max(1) {
                    return Ok(None);
                }
                budget = budget.saturating_mul(LONGER);
            }
            self.walk(&matching, number, (start, budget), wanted, &mut walked).await?;
        }
        let full = walked.found.len() as u64 >= wanted;
        let shown = walked.found.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok((full || is_last).then(|| shown.collect()))
    }

    /// Walks down the feed and keeps what matches.
    async fn walk(
        &self,
        matching: &str,
        tier: u8,
        (start, budget): (Position, u64),
        wanted: u64,
        walked: &mut Walked,
    ) -> Result<()> {
        let (time, id) = (start.created_at.micros(), start.id.0);
        let budget = i64::try_from(budget).unwrap_or(i64::MAX);
        let missing = wanted - walked.found.len() as u64;
        let limit = i64::try_from(missing).unwrap_or(i64::MAX);
        let mut ask = Ask::default();
        ask.push(&format!("select {ITEM} from (select t.*"));
        self.stretch((&time, &id), &mut ask);
        ask.push(" limit ").bind(&budget);
        ask.push(") t where t.search @@ (select ").bind(&matching).push("::text::tsquery)");
        self.look.in_amount(&mut ask);
        ask.push(" order by t.created_at desc, t.id desc limit ").bind(&limit);
        // The last one passed says where to go on.
        let before_last = budget - 1;
        let mut last = Ask::default();
        last.push("select t.created_at, t.id");
        self.stretch((&time, &id), &mut last);
        last.push(" limit 1 offset ").bind(&before_last);
        let (rows, last) = futures_util::try_join!(self.look.rows(ask), self.look.rows(last))?;
        for row in &rows {
            walked.found.push((tier, self.look.item(row)?));
        }
        walked.passed += budget.unsigned_abs();
        walked.next = match last.first() {
            Some(row) if (walked.found.len() as u64) < wanted => {
                let (created_at, id) = (row.time(0, "time")?, TransactionId(row.uuid(1, "id")?));
                Some(Position { tier, created_at, id })
            }
            _ => None,
        };
        Ok(())
    }

    /// The feed from a position down.
    fn stretch<'b>(&'b self, (time, id): (&'b i64, &'b Uuid), ask: &mut Ask<'b>) {
        ask.push(" from transactions t where t.user = ").bind(&self.look.user);
        ask.push(" and (t.created_at, t.id) < (").bind(time).push(", ").bind(id).push(")");
        self.look.in_time(ask);
        ask.push(" order by t.created_at desc, t.id desc");
    }

    /// Items in the order of the question, from the index.
    async fn ranked(
        &self,
        start: Option<Position>,
        offset: u64,
        limit: i64,
    ) -> Result<Vec<(u8, Transaction)>> {
        let ranking = Ranking::new(&self.matcher(), start, offset, limit);
        let mut ask = Ask::default();
        ask.push(&format!("select {ITEM}, f.tier from ("));
        self.rank(&ranking, &mut ask);
        ask.push(
            ") f join transactions t on t.id = f.found \
             order by f.tier, t.created_at desc, t.id desc",
        );
        let rows = self.look.rows(ask).await?;
        rows.iter().map(|row| Ok((tier(row, ITEM_COLUMNS)?, self.look.item(row)?))).collect()
    }

    /// Where the items are that [`Search::ranked`] would answer, many of them.
    pub async fn places(&self, start: Option<Position>, limit: i64) -> Result<Vec<(u8, Uuid)>> {
        let ranking = Ranking::new(&self.matcher(), start, 0, limit);
        let mut ask = Ask::default();
        self.rank(&ranking, &mut ask);
        let rows = self.look.rows(ask).await?;
        rows.iter().map(|row| Ok((tier(row, 1)?, row.uuid(0, "id")?))).collect()
    }

    /// The items at places.
    pub async fn items(&self, places: &[(u8, Uuid)]) -> Result<Vec<(u8, Transaction)>> {
        let sql = format!(
            "select {ITEM}, n.tier from unnest($1, $2) with ordinality as n(tier, id, place) \
             join transactions t on t.id = n.id order by n.place"
        );
        let (tiers, ids): (Vec<i16>, Vec<Uuid>) =
            places.iter().map(|(tier, id)| (i16::from(*tier), *id)).unzip();
        let rows = self.look.conn.query(&sql, &[&tiers, &ids]).await?;
        rows.iter().map(|row| Ok((tier(row, ITEM_COLUMNS)?, self.look.item(row)?))).collect()
    }

    fn rank<'b>(&'b self, ranking: &'b Ranking, ask: &mut Ask<'b>) {
        let Ranking { exact, beginning, all, from, time, id, limit, offset } = ranking;
        ask.push("select g.found, g.tier from (select t.id as found, t.created_at as at, ");
        match self.look.query.order {
            Order::Newest => ask.push("0"),
            Order::Best => {
                ask.push("case when t.search @@ (select ").bind(exact);
                ask.push("::text::tsquery) then 0 when t.search @@ (select ").bind(beginning);
                ask.push("::text::tsquery) then 1 else 2 end")
            }
        };
        ask.push(" as tier from transactions t where t.search @@ (select ").bind(all);
        ask.push("::text::tsquery)");
        self.conditions(ask);
        ask.push(") g");
        if let Some(from) = from {
            ask.push(" where g.tier > ").bind(from);
            ask.push(" or (g.tier = ").bind(from);
            ask.push(" and (g.at, g.found) < (").bind(time).push(", ").bind(id).push("))");
        }
        ask.push(" order by g.tier, g.at desc, g.found desc limit ").bind(limit);
        ask.push(" offset ").bind(offset);
    }

    /// Adds the conditions on rows, where the question has any.
    fn conditions<'b>(&'b self, ask: &mut Ask<'b>) {
        if !page::is_all_time(self.look.query) {
            self.look.in_time(ask);
        }
        self.look.in_amount(ask);
    }

    async fn total(&self) -> Result<Option<u64>> {
        if !page::is_numbered(self.look.query) {
            return Ok(None);
        }
        self.count().await.map(Some)
    }

    /// How many items match.
    pub async fn count(&self) -> Result<u64> {
        let all = self.matcher().up_to(Tier::Typo);
        let mut ask = Ask::default();
        ask.push("select count(*) from transactions t where t.search @@ (select ").bind(&all);
        ask.push("::text::tsquery)");
        self.conditions(&mut ask);
        self.look.count(ask).await
    }
}

/// The parameters of a ranking.
struct Ranking {
    exact: String,
    beginning: String,
    all: String,
    /// The tier to go on in, where it goes on.
    from: Option<i64>,
    time: i64,
    id: Uuid,
    limit: i64,
    offset: i64,
}

impl Ranking {
    fn new(matcher: &Matcher, start: Option<Position>, offset: u64, limit: i64) -> Self {
        let [exact, beginning, all] = Tier::ALL.map(|tier| matcher.up_to(tier));
        let tier = |start: Position| Tier::of(start.tier).unwrap_or(Tier::Exact).number();
        let from = start.map(|start| i64::from(tier(start)));
        let start = start.unwrap_or(START);
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let (time, id) = (start.created_at.micros(), start.id.0);
        Self { exact, beginning, all, from, time, id, limit, offset }
    }
}

fn tier(row: &Row, at: usize) -> Result<u8> {
    row.small(at, "tier")
}

/// Looks up which words of a user's dictionary a searched word stands for.
async fn reach(conn: &Conn, user: i64, clause: &Clause) -> Result<Reach> {
    let (mut reach, look_up) = dictionary::reach_of(clause);
    let begun = async {
        match look_up.beginnings_of {
            Some(word) => beginnings(conn, user, word).await.map(Some),
            None => Ok(None),
        }
    };
    let near = async {
        match look_up.typo {
            Some(typo) => typos(conn, user, typo).await.map(Some),
            None => Ok(None),
        }
    };
    let (begun, near) = futures_util::try_join!(begun, near)?;
    if let Some(begun) = begun {
        reach.beginnings = begun;
    }
    if let Some(walk) = near {
        walk.finish(&mut reach);
    }
    Ok(reach)
}

async fn beginnings(conn: &Conn, user: i64, word: &str) -> Result<Beginnings> {
    let from = r#"select word from words where "user" = $1 and word >= $2 order by word limit $3"#;
    let rows = conn.query(from, &[&user, &word, &BEGINNINGS_READ]).await?;
    let words = rows.iter().map(|row| Ok(row.text(0, "word")?.to_owned()));
    dictionary::beginnings(word, words)
}

/// Walks the entries that are long enough and short enough, many at a time, jumping over every
/// beginning that no near word can have.
async fn typos(conn: &Conn, user: i64, typo: Typo) -> Result<Walk> {
    let from = r#"select word from words where "user" = $1 and word >= $2
        and char_length(word) between $3 and $4 and (right(word, 1) = '0') = $5
        order by word limit $6"#;
    let letters = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let (least, most) =
        (letters(*typo.entry_lengths().start()), letters(*typo.entry_lengths().end()));
    let has_digits = typo.has_digits();
    let mut walk = Walk::new(typo);
    let mut next = Some(String::new());
    while let Some(start) = next.take() {
        let rows =
            conn.query(from, &[&user, &start, &least, &most, &has_digits, &WORDS_READ]).await?;
        let mut last = None;
        for row in &rows {
            let word = row.text(0, "word")?;
            last = Some((word, walk.visit(word)));
        }
        if rows.len() < WORDS_READ as usize {
            break;
        }
        next = match last {
            Some((_, false)) => walk.behind(),
            Some((word, true)) => Some(format!("{word}{FIRST_CHAR}")),
            None => None,
        };
    }
    Ok(walk)
}
