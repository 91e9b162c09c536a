//! Reads a file from end to end, and names every difference between its items and all that follows
//! from them.

use std::collections::{BTreeSet, HashMap};

use daybook_core::id::fnv128;
use daybook_core::search::Document;
use daybook_core::{EventSeq, EventType, Transaction, TransactionId, UserId};
use rusqlite::Connection;

use super::ring;
use crate::codec::sqlite::EVENT;
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::seal::mark::BEGINNING;
use crate::seal::{Keys, Moment, Seal, Sealed};
use crate::verify::past::{Claims, Doubt, Past};
use crate::verify::replies::{Named, REPLIES, Replies};
use crate::verify::statistics::{Recount, STATISTICS};
use crate::verify::{self, Findings, ItemEvent, Link, Log, seals};
use crate::{Progress, Result, Verified, postings};

struct Verify<'a> {
    conn: &'a Connection,
    found: Verified,
    findings: Findings,
    /// `None` where sealed values are looked at as they are. And a moment before anything was read.
    seal: Option<(&'a Seal, Moment)>,
    /// By row number: a sum over the words and places that the index should have; `None` where
    /// they follow from what cannot be opened.
    expected: HashMap<i64, Option<u64>>,
}

pub fn verify(conn: &Connection, seal: Option<&Seal>, progress: Progress<'_>) -> Result<Verified> {
    // One state of the books from the first look to the last.
    let seal = seal.map(|seal| (seal, seal.known.now()));
    conn.execute_batch("begin")?;
    let (found, findings) = (Verified::default(), Findings::default());
    let mut verify = Verify { conn, found, findings, seal, expected: HashMap::new() };
    let all: u64 = conn.query_row("select count(*) from transactions", [], |row| row.get(0))?;
    verify.file()?;
    super::chain::prove(conn, &mut verify.findings)?;
    verify.users(all, progress)?;
    verify.events(all)?;
    verify.sealed_events()?;
    verify.api_keys()?;
    verify.users_of_rows()?;
    verify.replies()?;
    verify.followers()?;
    verify.index()?;
    verify.index_of_events()?;
    let ledger = super::ledger::verify::verify(conn, &|_, _| {})?;
    conn.execute_batch("commit")?;
    progress(all, all);
    let mut differences = verify.findings.into_differences();
    differences.extend(ledger.differences);
    let Verified { items, events, buckets, .. } = verify.found;
    let (accounts, transfers) = (ledger.accounts, ledger.transfers);
    Ok(Verified { items, events, buckets, accounts, transfers, differences })
}

impl Verify<'_> {
    fn differs(&mut self, part: &'static str, what: String) {
        self.findings.differs(part, what);
    }

    fn file(&mut self) -> Result<()> {
        let mut check = self.conn.prepare("pragma quick_check")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines.collect::<rusqlite::Result<Vec<_>>>()? {
            if line != "ok" {
                self.differs("file", line);
            }
        }
        Ok(())
    }

    fn users(&mut self, all: u64, progress: Progress<'_>) -> Result<()> {
        let mut select = self.conn.prepare("select user, name from users order by user")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (number, user) = (row.get(0)?, codec::user(row, 1)?);
            self.user(number, &user)?;
            progress(self.found.items, all);
        }
        Ok(())
    }

    /// Counts the items of a user anew, looks for the event of each, and asks the log for what they
    /// do not tell.
    fn user(&mut self, number: i64, user: &UserId) -> Result<()> {
        let mut claims = self.dictionary(number)?;
        let sql = format!("select {ITEM}, t.pos from transactions t where t.user = ?1");
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([number])?;
        let mut recount = Recount::new(user);
        while let Some(row) = rows.next()? {
            self.found.items += 1;
            let item = codec::item(row, user);
            let Some(item) = self.findings.readable("rows", item)? else { continue };
            let pos: i64 = row.get(ITEM_COLUMNS)?;
            if codec::pos_second(pos) != item.created_at.seconds() {
                self.differs("rows", format!("{} stands at a row of another time", item.id));
            }
            // Row and event of an item are sealed alike, so they are compared as they are.
            self.event(&item)?;
            self.words(number, pos, &item, &mut claims)?;
            recount.item(&item);
        }
        self.statistics(number, &mut recount, &mut claims)?;
        self.found.buckets += recount.rows;
        recount.finish(&mut self.findings);
        if !claims.is_empty() {
            self.past(number, &mut claims)?;
        }
        for doubt in claims.finish(&mut self.findings, user) {
            self.settle(&doubt)?;
        }
        Ok(())
    }

    /// The words that a user's items have had.
    fn dictionary(&self, number: i64) -> Result<Claims> {
        let mut claims = Claims::default();
        let mut select = self.conn.prepare_cached("select word from words where user = ?1")?;
        let mut rows = select.query([number])?;
        while let Some(row) = rows.next()? {
            claims.word(row.get(0)?);
        }
        Ok(claims)
    }

    /// Shows all events of a user's items to what is claimed of them.
    fn past(&self, number: i64, claims: &mut Claims) -> Result<()> {
        let sql = format!(
            "select {EVENT} from events_user u cross join events e on e.seq = u.rowid \
             where u.events_user match :user order by u.rowid"
        );
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([format!("\"{}\"", codec::prefix(number))])?;
        let mut past = Past::default();
        while let Some(row) = rows.next()? {
            let Ok(event) = codec::event(row, None) else { continue };
            let Some(item) = Transaction::of_published(&event.body, event.seq) else { continue };
            past.event(claims, event.at, event.event_type == EventType::Deleted, &item);
            if claims.has_words() {
                let (seal, keys) = (self.seal.map(|(seal, _)| seal), self.keys(&item)?);
                claims.documents(&seals::past_documents(seal, &item, &keys));
            }
        }
        Ok(())
    }

    fn settle(&mut self, doubt: &Doubt) -> Result<()> {
        let (first, last) = doubt.within;
        let mut find = self.conn.prepare_cached(
            "select 1 from events where seq between ?1 and ?2 and at = ?3 limit 1",
        )?;
        let is_there = find.exists((first.0, last.0, doubt.at.micros()))?;
        doubt.settle(&mut self.findings, is_there);
        Ok(())
    }

    fn event(&mut self, item: &Transaction) -> Result<()> {
        let mut find = self.conn.prepare_cached(
            "select event_type, transaction_id, version, body from events where seq = ?1",
        )?;
        let mut rows = find.query([item.seq.0])?;
        let Some(row) = rows.next()? else {
            verify::item_event(&mut self.findings, item, None);
            return Ok(());
        };
        verify::item_event(&mut self.findings, item, Some(ItemEvent::read(row, 0)));
        Ok(())
    }

    fn words(
        &mut self,
        user: i64,
        pos: i64,
        item: &Transaction,
        claims: &mut Claims,
    ) -> Result<()> {
        let document = self.document(item)?;
        let lacking = claims.document(document.as_ref());
        verify::lacks_entries(&mut self.findings, &lacking, item.id);
        let sum = document.map(|document| {
            postings::fts(user, &document)
                .split_ascii_whitespace()
                .enumerate()
                .fold(0, |sum: u64, (place, word)| sum.wrapping_add(mark(word, place as i64)))
        });
        self.expected.insert(pos, sum);
        Ok(())
    }

    /// What the index should have of an item; `None` when that cannot be known.
    fn document(&mut self, item: &Transaction) -> Result<Option<Document>> {
        let keys = self.keys(item)?;
        Ok(seals::document(&mut self.findings, self.seal.map(|(seal, _)| seal), item, &keys))
    }

    /// The keys that the sealed values of an item need.
    fn keys(&self, item: &Transaction) -> Result<Keys> {
        let mut numbers = BTreeSet::new();
        item.keys(&mut numbers);
        match self.seal {
            Some((seal, read)) if !numbers.is_empty() => {
                ring::keys(self.conn, seal, &numbers, read)
            }
            _ => Ok(Keys::default()),
        }
    }

    /// Opens every sealed value in the log.
    fn sealed_events(&mut self) -> Result<()> {
        let Some((seal, read)) = self.seal else { return Ok(()) };
        let sql = format!("select {EVENT} from events e where instr(e.body, '{BEGINNING}') > 0");
        let mut select = self.conn.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let event = codec::event(row, None)?;
            let opened = ring::opened(self.conn, seal, event, read);
            seals::opens(&mut self.findings, opened.map(|_| ()))?;
        }
        Ok(())
    }

    fn api_keys(&mut self) -> Result<()> {
        let mut select = self.conn.prepare(verify::API_KEYS)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            verify::api_key(&mut self.findings, row)?;
        }
        Ok(())
    }

    fn users_of_rows(&mut self) -> Result<()> {
        for (table, nobody) in verify::OF_USERS {
            let strays = verify::strays(table, nobody);
            let rows = self.conn.query_row(&strays, [], |row| row.get(0))?;
            verify::stray(&mut self.findings, table, rows);
        }
        let mut select = self.conn.prepare(verify::UNNAMED)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            verify::unnamed(&mut self.findings, row.text(0, "user")?);
        }
        Ok(())
    }

    fn replies(&mut self) -> Result<()> {
        let mut select = self.conn.prepare(&format!("select {REPLIES} from replies"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let mut replies = Replies::default();
            replies.row(&mut self.findings, row);
            let named = self.named(&replies)?;
            replies.compare(&mut self.findings, &named);
        }
        Ok(())
    }

    /// The events that answers name.
    fn named(&self, replies: &Replies) -> Result<Named> {
        let mut named = Named::default();
        let mut find = self.conn.prepare_cached("select at from events where seq = ?1")?;
        for seq in replies.events() {
            if let Some(row) = find.query([seq])?.next()? {
                named.at.insert(seq, row.get(0)?);
            }
        }
        let mut find = self.conn.prepare_cached(
            "select at from events where transaction_id = ?1 \
             and event_type = 'transaction.deleted'",
        )?;
        for TransactionId(id) in replies.deleted() {
            let times = find.query_map([id.as_bytes().as_slice()], |row| row.get(0))?;
            named.gone.insert(TransactionId(id), times.collect::<rusqlite::Result<_>>()?);
        }
        Ok(named)
    }

    fn followers(&mut self) -> Result<()> {
        let mut select = self.conn.prepare(verify::FOLLOWERS)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            verify::follower(&mut self.findings, row)?;
        }
        Ok(())
    }

    fn statistics(
        &mut self,
        number: i64,
        recount: &mut Recount,
        claims: &mut Claims,
    ) -> Result<()> {
        let sql = format!("select {STATISTICS} from statistics where user = ?1");
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([number])?;
        while let Some(row) = rows.next()? {
            let counted = recount.row(&mut self.findings, claims, row);
            self.findings.readable("statistics", counted)?;
        }
        Ok(())
    }

    fn events(&mut self, items: u64) -> Result<()> {
        let mut select = self.conn.prepare(
            "select e.seq, e.event_type, e.version, e.previous is not null, p.version, \
             p.transaction_id = e.transaction_id, u.name, e.body from events e \
             left join events p on p.seq = e.previous left join users u on u.user = e.user \
             order by e.seq",
        )?;
        let mut rows = select.query([])?;
        let mut log = Log::default();
        while let Some(row) = rows.next()? {
            let link = Link {
                seq: EventSeq(row.get(0)?),
                event_type: row.text(1, "event type").unwrap_or_default(),
                version: row.get(2)?,
                follows: row.get(3)?,
                before: row.get(4)?,
                same_subject: row.get(5)?,
                user: row.maybe_text(6, "user")?,
                body: row.text(7, "event").unwrap_or_default(),
            };
            log.event(&mut self.findings, &link);
        }
        log.finish(&mut self.findings, items);
        self.found.events = log.events;
        Ok(())
    }

    /// Compares the events of each user with the log.
    fn index_of_events(&mut self) -> Result<()> {
        self.conn.execute_batch(
            "create virtual table if not exists temp.event_postings \
             using fts5vocab (main, events_user, instance)",
        )?;
        let sum = |sum: u64, user: &str, seq: i64| sum.wrapping_add(mark(user, seq));
        let (mut expected, mut found) = (0, 0);
        let mut events = self.conn.prepare(
            "select user, seq from events where event_type in \
             ('transaction.created', 'transaction.updated', 'transaction.deleted')",
        )?;
        let mut rows = events.query([])?;
        while let Some(row) = rows.next()? {
            expected = sum(expected, &codec::prefix(row.get(0)?), row.get(1)?);
        }
        let mut postings = self.conn.prepare("select term, doc from temp.event_postings")?;
        let mut rows = postings.query([])?;
        while let Some(row) = rows.next()? {
            found =
                sum(found, row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?, row.get(1)?);
        }
        if expected != found {
            let what = "the index of events by user differs from the events".to_owned();
            self.differs("events", what);
        }
        Ok(())
    }

    /// Compares every posting of the index with the words that the items have.
    fn index(&mut self) -> Result<()> {
        self.conn.execute_batch(
            "create virtual table if not exists temp.postings \
             using fts5vocab (main, search, instance)",
        )?;
        let mut select = self.conn.prepare("select term, doc, offset from temp.postings")?;
        let mut rows = select.query([])?;
        let mut sums: HashMap<i64, u64> = HashMap::with_capacity(self.expected.len());
        while let Some(row) = rows.next()? {
            let term = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            let sum = sums.entry(row.get(1)?).or_default();
            *sum = sum.wrapping_add(mark(term, row.get(2)?));
        }
        let expected = std::mem::take(&mut self.expected);
        for (pos, sum) in &expected {
            let found = sums.remove(pos);
            if sum.is_some() && found != *sum {
                self.differs("search", format!("the words of row {pos} differ from the index"));
            }
        }
        for pos in sums.into_keys() {
            self.differs("search", format!("the index has row {pos}, which is not there"));
        }
        Ok(())
    }
}

/// A number that stands for a word at a place; sums of them compare texts in any order.
fn mark(word: &str, place: i64) -> u64 {
    fnv128(&[word.as_bytes(), &place.to_le_bytes()]) as u64
}
