//! Reads a database from end to end, in pages and in one snapshot, and names every difference
//! between its items and all that follows from them.

mod ledger;

use std::collections::BTreeSet;

use daybook_core::time::Month;
use daybook_core::{EventSeq, Transaction, TransactionId, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::Conn;
use super::ring;
use crate::codec::postgres::EVENT;
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::dictionary;
use crate::postings::tsvector;
use crate::seal::mark::BEGINNING;
use crate::seal::{Keys, Seal, Sealed};
use crate::verify::{self, Findings, ItemEvent, Link, Log, Recount, seals};
use crate::{LedgerVerified, Progress, Result, Verified};

/// How many rows are read at once.
const PAGE: i64 = 2_000;

struct Verify<'a> {
    conn: &'a Conn,
    found: Verified,
    findings: Findings,
    /// `None` where sealed values are looked at as they are.
    seal: Option<&'a Seal>,
}

/// Looks at everything in the connection's one snapshot.
///
/// # Errors
/// When the server fails, or a row cannot be read at all.
pub async fn verify(conn: &Conn, seal: Option<&Seal>, progress: Progress<'_>) -> Result<Verified> {
    let (found, findings) = (Verified::default(), Findings::default());
    let mut verify = Verify { conn, found, findings, seal };
    let all = count(conn, "select count(*) from transactions").await?;
    super::chain::prove(conn, &mut verify.findings).await?;
    verify.users(all, progress).await?;
    verify.events(all).await?;
    verify.sealed_events().await?;
    for row in conn.query(verify::API_KEYS, &[]).await? {
        verify::api_key(&mut verify.findings, &row)?;
    }
    let ledger = ledger::verify(conn, &|_, _| {}).await?;
    progress(all, all);
    let mut differences = verify.findings.into_differences();
    differences.extend(ledger.differences);
    let Verified { items, events, buckets, .. } = verify.found;
    let (accounts, transfers) = (ledger.accounts, ledger.transfers);
    Ok(Verified { items, events, buckets, accounts, transfers, differences })
}

/// Looks at the ledger alone.
///
/// # Errors
/// As [`verify`].
pub async fn verify_ledger(conn: &Conn, progress: Progress<'_>) -> Result<LedgerVerified> {
    ledger::verify(conn, progress).await
}

async fn count(conn: &Conn, sql: &str) -> Result<u64> {
    let row = conn.query_opt(sql, &[]).await?;
    row.map_or(Ok(0), |row| row.small(0, "count"))
}

impl Verify<'_> {
    async fn users(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let page =
            "select \"user\", name from users where \"user\" > $1 order by \"user\" limit $2";
        let mut last = i64::MIN;
        loop {
            let rows = self.conn.query(page, &[&last, &PAGE]).await?;
            for row in &rows {
                last = row.number(0, "user")?;
                self.user(last, &codec::user(row, 1)?).await?;
                progress(self.found.items, all);
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Counts the items of a user anew, and looks for the event of each.
    async fn user(&mut self, number: i64, user: &UserId) -> Result<()> {
        let page = format!(
            "select {ITEM}, e.event_type, e.subject, e.version, e.body \
             from transactions t left join events e on e.seq = t.seq \
             where t.\"user\" = $1 and (t.created_at, t.id) < ($2, $3) \
             order by t.created_at desc, t.id desc limit $4"
        );
        let mut recount = Recount::new(user);
        let (mut time, mut id) = (i64::MAX, Uuid::max());
        loop {
            let rows = self.conn.query(&page, &[&number, &time, &id, &PAGE]).await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
                let item = codec::item(row, user)?;
                self.event(&item, row)?;
                recount.item(&item);
                self.found.items += 1;
                items.push(item);
            }
            self.words(number, &items).await?;
            let Some(last) = items.last() else { break };
            (time, id) = (last.created_at.micros(), last.id.0);
        }
        self.statistics(number, &mut recount).await?;
        recount.finish(&mut self.findings);
        Ok(())
    }

    /// Compares the event that stands in the row behind its item.
    fn event(&mut self, item: &Transaction, row: &Row) -> Result<()> {
        let is_there = row.maybe_number(ITEM_COLUMNS + 2, "version")?.is_some();
        let event = is_there.then(|| ItemEvent::read(row, ITEM_COLUMNS));
        verify::item_event(&mut self.findings, item, event);
        Ok(())
    }

    /// Lets the server compare the words of items with those that they should have, and looks for
    /// them in the dictionary.
    async fn words(&mut self, user: i64, items: &[Transaction]) -> Result<()> {
        let differ = "select t.id from unnest($1::uuid[], $2::text[]) as x (id, expected) \
            join transactions t on t.id = x.id where t.search <> x.expected::tsvector";
        let missing = "select x.id, x.word from unnest($1::uuid[], $2::text[]) as x (id, word) \
            where not exists (select 1 from words w where w.\"user\" = $3 and w.word = x.word)";
        if items.is_empty() {
            return Ok(());
        }
        let (mut ids, mut expected) = (Vec::new(), Vec::new());
        let (mut owners, mut words) = (Vec::new(), Vec::new());
        let mut numbers = BTreeSet::new();
        items.iter().for_each(|item| item.keys(&mut numbers));
        let keys = match self.seal {
            Some(seal) if !numbers.is_empty() => ring::keys(self.conn, seal, &numbers).await?,
            _ => Keys::default(),
        };
        for item in items {
            let Some(document) = seals::document(&mut self.findings, self.seal, item, &keys) else {
                continue;
            };
            ids.push(item.id.0);
            expected.push(tsvector(user, &document));
            for entry in dictionary::entries(&document) {
                owners.push(item.id.0);
                words.push(entry.into_owned());
            }
        }
        for row in self.conn.query(differ, &[&ids, &expected]).await? {
            let id = TransactionId(row.uuid(0, "id")?);
            self.findings.differs("search", format!("the words of {id} differ from the index"));
        }
        for row in self.conn.query(missing, &[&owners, &words, &user]).await? {
            let id = TransactionId(row.uuid(0, "id")?);
            verify::lacks_word(&mut self.findings, row.text(1, "word")?, id);
        }
        Ok(())
    }

    /// Opens every sealed value in the log.
    async fn sealed_events(&mut self) -> Result<()> {
        let Some(seal) = self.seal else { return Ok(()) };
        let page = format!(
            "select {EVENT} from events e where e.seq > $1 \
             and strpos(e.body, '{BEGINNING}') > 0 order by e.seq limit $2"
        );
        let mut last = 0;
        loop {
            let rows = self.conn.query(&page, &[&last, &PAGE]).await?;
            for row in &rows {
                let event = codec::event(row, None)?;
                last = event.seq.0;
                let opened = ring::opened(self.conn, Some(seal), event).await;
                seals::opens(&mut self.findings, opened.map(|_| ()))?;
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn statistics(&mut self, user: i64, recount: &mut Recount<'_>) -> Result<()> {
        let all = "select currency, digits, month, day, sums, counts, slots, updated_at \
            from statistics where \"user\" = $1 order by currency, digits, month, day";
        for row in self.conn.query(all, &[&user]).await? {
            let currency = codec::currency(&row, 0)?;
            if row.number(3, "day")? == 0 {
                let kept = codec::month(&row, [4, 5, 7])?;
                let month = Month(row.small(2, "month")?);
                recount.month(&mut self.findings, currency, month, &kept);
                continue;
            }
            self.found.buckets += 1;
            let slots = row.maybe_bytes(6, "slots")?.unwrap_or_default();
            let kept = [row.bytes(4, "sums")?, row.bytes(5, "counts")?, slots];
            recount.day(&mut self.findings, currency, codec::day(&row, 2)?, kept);
        }
        Ok(())
    }

    async fn events(&mut self, items: u64) -> Result<()> {
        let page = "select e.seq, e.event_type, e.version, e.previous is not null, p.version, \
            (p.subject = e.subject)::integer from events e \
            left join events p on p.seq = e.previous where e.seq > $1 order by e.seq limit $2";
        let mut log = Log::default();
        let mut last = 0;
        loop {
            let rows = self.conn.query(page, &[&last, &PAGE]).await?;
            for row in &rows {
                let seq = row.number(0, "event number")?;
                let before = row.maybe_number(4, "version")?;
                let link = Link {
                    seq: EventSeq(seq),
                    event_type: row.text(1, "event type")?,
                    version: row.small(2, "version")?,
                    follows: row.flag(3, "link")?,
                    before: before.and_then(|version| u32::try_from(version).ok()),
                    same_subject: row.maybe_number(5, "link")?.map(|same| same != 0),
                };
                if seq != last + 1 {
                    let what = format!("event {} is missing before {seq}", last + 1);
                    self.findings.differs("events", what);
                }
                log.event(&mut self.findings, &link);
                last = seq;
            }
            if rows.is_empty() {
                break;
            }
        }
        log.finish(&mut self.findings, items);
        self.found.events = log.events;
        Ok(())
    }
}
