//! Recomputes all that follows from the items, and names every difference.

use std::collections::{BTreeMap, HashMap};

use daybook_core::id::fnv128;
use daybook_core::search::{Document, in_dictionary};
use daybook_core::stats::{self, Bucket, BucketKey, Extreme, MonthSums, Sums};
use daybook_core::time::Month;
use daybook_core::{Currency, EventSeq, Json, Timestamp, Transaction, UserId};
use rusqlite::Connection;

use super::write::postings;
use crate::codec::{self, ITEM};
use crate::{Difference, Progress, Result, Verified};

/// Differences that are named; past these something is wrong with the whole.
const NAMED_MAX: usize = 1_000;

struct Verify<'a> {
    conn: &'a Connection,
    found: Verified,
    /// By row number: a sum over the words and places that the index should have.
    expected: HashMap<i64, u64>,
}

pub fn verify(conn: &Connection, progress: Progress<'_>) -> Result<Verified> {
    // One state of the books from the first look to the last.
    conn.execute_batch("begin")?;
    let mut verify = Verify { conn, found: Verified::default(), expected: HashMap::new() };
    let all: u64 = conn.query_row("select count(*) from transactions", [], |row| row.get(0))?;
    verify.file()?;
    verify.users(all, progress)?;
    verify.events(all)?;
    verify.index()?;
    verify.index_of_events()?;
    conn.execute_batch("commit")?;
    progress(all, all);
    Ok(verify.found)
}

impl Verify<'_> {
    fn differs(&mut self, part: &'static str, what: String) {
        if self.found.differences.len() < NAMED_MAX {
            self.found.differences.push(Difference { part, what });
        }
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

    /// Counts the items of a user anew, and looks for the event of each.
    fn user(&mut self, number: i64, user: &UserId) -> Result<()> {
        let sql = format!("select {ITEM} from transactions t where t.user = ?1");
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([number])?;
        let mut buckets: BTreeMap<BucketKey, Bucket> = BTreeMap::new();
        let mut months: BTreeMap<(Currency, Month), MonthSums> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let item = codec::item(row, user)?;
            let pos: i64 = row.get(0)?;
            if codec::pos_second(pos) != item.created_at.seconds() {
                self.differs("rows", format!("{} stands at a row of another time", item.id));
            }
            self.event(&item)?;
            self.words(number, pos, &item)?;
            let (key, delta) = stats::count(&item, true, item.recorded_at);
            let month = months.entry((key.currency, key.day.month())).or_default();
            month.apply(key.day, std::slice::from_ref(&delta));
            buckets.entry(key).or_default().apply(&[delta]);
            self.found.items += 1;
        }
        self.months(number, user, months)?;
        self.buckets(number, user, buckets)
    }

    fn event(&mut self, item: &Transaction) -> Result<()> {
        let mut find = self.conn.prepare_cached(
            "select event_type, transaction_id, version, body from events where seq = ?1",
        )?;
        let mut rows = find.query([item.seq.0])?;
        let Some(row) = rows.next()? else {
            self.differs("events", format!("{} has no event {}", item.id, item.seq));
            return Ok(());
        };
        let same = row.get::<_, String>(0)? != "transaction.deleted"
            && row.get::<_, Vec<u8>>(1)? == item.id.0.as_bytes()
            && row.get::<_, u32>(2)? == item.version
            && said(&row.get::<_, String>(3)?) == said(&item.to_json());
        if !same {
            let what = format!("event {} says something else than {} is", item.seq, item.id);
            self.differs("events", what);
        }
        Ok(())
    }

    fn words(&mut self, user: i64, pos: i64, item: &Transaction) -> Result<()> {
        let document = Document::of(item);
        let sum = postings(user, &document)
            .split_ascii_whitespace()
            .enumerate()
            .fold(0, |sum: u64, (place, word)| sum.wrapping_add(mark(word, place as i64)));
        self.expected.insert(pos, sum);
        let mut find =
            self.conn.prepare_cached("select 1 from words where user = ?1 and word = ?2")?;
        for word in document.fields.iter().flatten().filter(|word| in_dictionary(word)) {
            if !find.exists((user, word))? {
                self.differs("search", format!("the dictionary lacks '{word}' of {}", item.id));
            }
        }
        Ok(())
    }

    fn buckets(
        &mut self,
        number: i64,
        user: &UserId,
        mut expected: BTreeMap<BucketKey, Bucket>,
    ) -> Result<()> {
        let mut select = self.conn.prepare_cached(
            "select currency, digits, month, day, sums, counts, slots from statistics \
             where user = ?1 and day > 0",
        )?;
        let mut rows = select.query([number])?;
        while let Some(row) = rows.next()? {
            self.found.buckets += 1;
            let (currency, day) = (codec::currency(row, 0)?, codec::day(row, 2)?);
            let name = format!("{user}, {currency}, {}", day.start());
            let key = BucketKey { user_id: user.clone(), currency, day };
            let Some(counted) = expected.remove(&key) else {
                self.differs("statistics", format!("{name}: counted, but there are no items"));
                continue;
            };
            let kept: [Vec<u8>; 3] = [row.get(4)?, row.get(5)?, row.get(6)?];
            let Some(slots) = Bucket::decode_slots(&kept[2]) else {
                self.differs("statistics", format!("{name}: unreadable"));
                continue;
            };
            let bucket = Bucket { slots, updated_at: Timestamp::default() };
            let derived = [bucket.summary().encode(), bucket.encode_counts()];
            if derived != kept[..2] {
                self.differs("statistics", format!("{name}: the sums of its slots differ"));
            }
            if !same_counts(&bucket, &counted) {
                self.differs("statistics", format!("{name}: the items add up to something else"));
            }
        }
        for key in expected.into_keys() {
            let day = key.day.start();
            self.differs("statistics", format!("{user}, {}, {day}: not counted", key.currency));
        }
        Ok(())
    }

    fn months(
        &mut self,
        number: i64,
        user: &UserId,
        mut expected: BTreeMap<(Currency, Month), MonthSums>,
    ) -> Result<()> {
        let mut select = self.conn.prepare_cached(
            "select currency, digits, month, sums, counts, updated_at from statistics \
             where user = ?1 and day = 0",
        )?;
        let mut rows = select.query([number])?;
        while let Some(row) = rows.next()? {
            let (currency, month) = (codec::currency(row, 0)?, Month(row.get(2)?));
            let counted = expected.remove(&(currency, month)).unwrap_or_default();
            let kept = codec::month(row.get_ref(3)?, row.get_ref(4)?, row.get(5)?)?;
            if kept.days != counted.days || !same_sums(&kept.sums, &counted.sums) {
                let first = month.first_day().start();
                let what = format!("{user}, {currency}, month of {first}: adds up differently");
                self.differs("statistics", what);
            }
        }
        for (currency, month) in expected.into_keys() {
            let first = month.first_day().start();
            self.differs("statistics", format!("{user}, {currency}, month of {first}: missing"));
        }
        Ok(())
    }

    /// Each item's history is a chain, and every chain ends at an item or at its deletion.
    fn events(&mut self, items: u64) -> Result<()> {
        let mut select = self.conn.prepare(
            "select e.seq, e.event_type, e.version, e.previous, p.version, \
             p.transaction_id = e.transaction_id from events e \
             left join events p on p.seq = e.previous order by e.seq",
        )?;
        let mut rows = select.query([])?;
        let mut alive: i64 = 0;
        while let Some(row) = rows.next()? {
            self.found.events += 1;
            let seq = EventSeq(row.get(0)?);
            let (version, previous): (u32, Option<i64>) = (row.get(2)?, row.get(3)?);
            match row.get::<_, String>(1)?.as_str() {
                "transaction.created" => alive += 1,
                "transaction.deleted" => alive -= 1,
                _ => {}
            }
            let before: Option<u32> = row.get(4)?;
            let same_item: Option<bool> = row.get(5)?;
            let linked = match previous {
                None => version == 1,
                Some(_) => before == version.checked_sub(1) && same_item == Some(true),
            };
            if !linked {
                self.differs("events", format!("event {seq} does not follow its predecessor"));
            }
        }
        if alive != i64::try_from(items).unwrap_or(i64::MAX) {
            let what = format!("the events leave {alive} items, the feed has {items}");
            self.differs("events", what);
        }
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
        let mut events = self.conn.prepare("select user, seq from events")?;
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
            if sums.remove(pos) != Some(*sum) {
                self.differs("search", format!("the words of row {pos} differ from the index"));
            }
        }
        for pos in sums.into_keys() {
            self.differs("search", format!("the index has row {pos}, which is not there"));
        }
        Ok(())
    }
}

/// What a published item says, without what is computed for people to read.
fn said(body: &str) -> Option<Json> {
    match Json::parse(body, usize::MAX).ok()? {
        Json::Object(mut entries) => {
            entries.retain(|(key, _)| key != "display");
            Some(Json::Object(entries))
        }
        _ => None,
    }
}

/// A number that stands for a word at a place; sums of them compare texts in any order.
fn mark(word: &str, place: i64) -> u64 {
    fnv128(&[word.as_bytes(), &place.to_le_bytes()]) as u64
}

fn same_counts(kept: &Bucket, counted: &Bucket) -> bool {
    kept.slots.len() == counted.slots.len()
        && kept
            .slots
            .iter()
            .zip(&counted.slots)
            .all(|((a, kept), (b, counted))| a == b && same_sums(kept, counted))
}

/// The same items; a largest or smallest amount that is marked as a bound may lie further out.
fn same_sums(kept: &Sums, counted: &Sums) -> bool {
    let bound =
        |kept: Option<Extreme>, counted: Option<Extreme>, largest: bool| match (kept, counted) {
            (None, None) => true,
            (Some(kept), Some(counted)) if kept.exact => kept.amount == counted.amount,
            (Some(kept), Some(counted)) if largest => kept.amount >= counted.amount,
            (Some(kept), Some(counted)) => kept.amount <= counted.amount,
            (Some(_), None) | (None, Some(_)) => false,
        };
    kept.cells == counted.cells
        && bound(kept.largest, counted.largest, true)
        && bound(kept.smallest, counted.smallest, false)
}
