//! Reads a database from end to end, in pages and in one snapshot, and names every difference
//! between its items and all that follows from them.

mod ledger;

use std::collections::BTreeSet;

use daybook_core::{EventSeq, EventType, Transaction, TransactionId, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::Conn;
use super::ring;
use crate::codec::postgres::EVENT;
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::postings::tsvector;
use crate::seal::mark::BEGINNING;
use crate::seal::{Keys, Seal, Sealed};
use crate::verify::past::{Claims, Doubt, Past};
use crate::verify::replies::{Named, REPLIES, Replies};
use crate::verify::statistics::{Recount, STATISTICS};
use crate::verify::{self, Findings, ItemEvent, Link, Log, seals};
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
    verify.users_of_rows().await?;
    verify.replies().await?;
    for row in conn.query(verify::FOLLOWERS, &[]).await? {
        verify::follower(&mut verify.findings, &row)?;
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

    /// Counts the items of a user anew, looks for the event of each, and asks the log for what they
    /// do not tell.
    async fn user(&mut self, number: i64, user: &UserId) -> Result<()> {
        let page = format!(
            "select {ITEM}, e.event_type, e.subject, e.version, e.body, t.id, t.created_at \
             from transactions t left join events e on e.seq = t.seq \
             where t.\"user\" = $1 and (t.created_at, t.id) < ($2, $3) \
             order by t.created_at desc, t.id desc limit $4"
        );
        let mut recount = Recount::new(user);
        let mut claims = self.dictionary(number).await?;
        let (mut time, mut id) = (i64::MAX, Uuid::max());
        loop {
            let rows = self.conn.query(&page, &[&number, &time, &id, &PAGE]).await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
                self.found.items += 1;
                (id, time) =
                    (row.uuid(ITEM_COLUMNS + 4, "id")?, row.number(ITEM_COLUMNS + 5, "time")?);
                let item = codec::item(row, user);
                let Some(item) = self.findings.readable("rows", item)? else { continue };
                self.event(&item, row)?;
                recount.item(&item);
                items.push(item);
            }
            self.words(number, &items, &mut claims).await?;
            if rows.is_empty() {
                break;
            }
        }
        self.statistics(number, &mut recount, &mut claims).await?;
        self.found.buckets += recount.rows;
        recount.finish(&mut self.findings);
        if !claims.is_empty() {
            self.past(number, &mut claims).await?;
        }
        for doubt in claims.finish(&mut self.findings, user) {
            self.settle(&doubt).await?;
        }
        Ok(())
    }

    /// The words that a user's items have had.
    async fn dictionary(&self, number: i64) -> Result<Claims> {
        let page =
            "select word from words where \"user\" = $1 and word > $2 order by word limit $3";
        let (mut claims, mut last) = (Claims::default(), String::new());
        loop {
            let rows = self.conn.query(page, &[&number, &last.as_str(), &PAGE]).await?;
            for row in &rows {
                last = row.text(0, "word")?.to_owned();
                claims.word(last.clone());
            }
            if rows.is_empty() {
                return Ok(claims);
            }
        }
    }

    /// Shows all events of a user's items to what is claimed of them.
    async fn past(&self, number: i64, claims: &mut Claims) -> Result<()> {
        let page = format!(
            "select {EVENT} from events e where e.\"user\" = $1 and e.event_type in \
             ('transaction.created', 'transaction.updated', 'transaction.deleted') \
             and e.seq > $2 order by e.seq limit $3"
        );
        let (mut past, mut last) = (Past::default(), 0_i64);
        loop {
            let rows = self.conn.query(&page, &[&number, &last, &PAGE]).await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
                last = row.number(0, "event number")?;
                let Ok(event) = codec::event(row, None) else { continue };
                let item = Transaction::of_published(&event.body, event.seq);
                let Some(item) = item else { continue };
                past.event(claims, event.at, event.event_type == EventType::Deleted, &item);
                items.push(item);
            }
            if claims.has_words() {
                let keys = self.keys(&items).await?;
                for item in &items {
                    claims.documents(&seals::past_documents(self.seal, item, &keys));
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn settle(&mut self, doubt: &Doubt) -> Result<()> {
        let find = "select 1 from events where seq between $1 and $2 and at = $3 limit 1";
        let (first, last) = doubt.within;
        let found = self.conn.query_opt(find, &[&first.0, &last.0, &doubt.at.micros()]).await?;
        doubt.settle(&mut self.findings, found.is_some());
        Ok(())
    }

    async fn users_of_rows(&mut self) -> Result<()> {
        for (table, nobody) in verify::OF_USERS {
            let rows = count(self.conn, &verify::strays(table, nobody)).await?;
            verify::stray(&mut self.findings, table, rows);
        }
        for row in self.conn.query(verify::UNNAMED, &[]).await? {
            verify::unnamed(&mut self.findings, row.text(0, "user")?);
        }
        Ok(())
    }

    async fn replies(&mut self) -> Result<()> {
        let page = format!(
            "select {REPLIES}, scope from replies where scope > $1 order by scope limit $2"
        );
        let mut last: Vec<u8> = Vec::new();
        loop {
            let rows = self.conn.query(&page, &[&last, &PAGE]).await?;
            let mut replies = Replies::default();
            for row in &rows {
                last = row.bytes(2, "scope")?.to_vec();
                replies.row(&mut self.findings, row);
            }
            if rows.is_empty() {
                return Ok(());
            }
            let named = self.named(&replies).await?;
            replies.compare(&mut self.findings, &named);
        }
    }

    /// The events that answers name.
    async fn named(&self, replies: &Replies) -> Result<Named> {
        let mut named = Named::default();
        let at = "select seq, at from events where seq = any($1)";
        for row in self.conn.query(at, &[&replies.events()]).await? {
            named.at.insert(row.number(0, "event number")?, row.number(1, "time")?);
        }
        let gone = "select subject, at from events where subject = any($1) \
             and event_type = 'transaction.deleted'";
        let deleted = replies.deleted();
        let subjects: Vec<&[u8]> = deleted.iter().map(|id| id.0.as_bytes().as_slice()).collect();
        for row in self.conn.query(gone, &[&subjects]).await? {
            let id = Uuid::from_slice(row.bytes(0, "id")?).map_err(|_| codec::corrupt("id"))?;
            named.gone.entry(TransactionId(id)).or_default().push(row.number(1, "time")?);
        }
        Ok(named)
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
    async fn words(&mut self, user: i64, items: &[Transaction], claims: &mut Claims) -> Result<()> {
        let differ = "select t.id from unnest($1::uuid[], $2::text[]) as x (id, expected) \
            join transactions t on t.id = x.id where t.search <> x.expected::tsvector";
        if items.is_empty() {
            return Ok(());
        }
        let (mut ids, mut expected) = (Vec::new(), Vec::new());
        let keys = self.keys(items).await?;
        for item in items {
            let document = seals::document(&mut self.findings, self.seal, item, &keys);
            let lacking = claims.document(document.as_ref());
            verify::lacks_entries(&mut self.findings, &lacking, item.id);
            if let Some(document) = document {
                ids.push(item.id.0);
                expected.push(tsvector(user, &document));
            }
        }
        for row in self.conn.query(differ, &[&ids, &expected]).await? {
            let id = TransactionId(row.uuid(0, "id")?);
            self.findings.differs("search", format!("the words of {id} differ from the index"));
        }
        Ok(())
    }

    /// The keys that the sealed values of items need.
    async fn keys(&self, items: &[Transaction]) -> Result<Keys> {
        let mut numbers = BTreeSet::new();
        items.iter().for_each(|item| item.keys(&mut numbers));
        match self.seal {
            Some(seal) if !numbers.is_empty() => ring::keys(self.conn, seal, &numbers).await,
            _ => Ok(Keys::default()),
        }
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

    async fn statistics(
        &mut self,
        user: i64,
        recount: &mut Recount<'_>,
        claims: &mut Claims,
    ) -> Result<()> {
        let all = format!(
            "select {STATISTICS} from statistics where \"user\" = $1 \
             order by currency, digits, month, day"
        );
        for row in self.conn.query(&all, &[&user]).await? {
            let counted = recount.row(&mut self.findings, claims, &row);
            self.findings.readable("statistics", counted)?;
        }
        Ok(())
    }

    async fn events(&mut self, items: u64) -> Result<()> {
        let page = "select e.seq, e.event_type, e.version, e.previous is not null, p.version, \
            (p.subject = e.subject)::integer, u.name, e.body from events e \
            left join events p on p.seq = e.previous \
            left join users u on u.\"user\" = e.\"user\" where e.seq > $1 order by e.seq limit $2";
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
                    user: row.maybe_text(6, "user")?,
                    body: row.text(7, "event")?,
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
