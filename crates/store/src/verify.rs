//! What must hold between the items and all that follows from them, whichever store keeps it. A
//! store reads its rows and shows them here; nothing here knows where they come from.

pub mod ledger;
pub mod seals;

use std::collections::BTreeMap;

use daybook_core::search::{Document, in_dictionary};
use daybook_core::stats::{self, Bucket, BucketKey, Extreme, MonthSums, Sums};
use daybook_core::time::{Day, Month};
use daybook_core::{Currency, EventSeq, Json, KeyId, Timestamp, Transaction, UserId};

use crate::codec::Columns;
use crate::{Difference, Result};

/// Differences that are named; past these something is wrong with the whole.
const NAMED_MAX: usize = 1_000;

/// The differences so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Difference>);

impl Findings {
    pub fn differs(&mut self, part: &'static str, what: String) {
        if self.0.len() < NAMED_MAX {
            self.0.push(Difference { part, what });
        }
    }

    pub fn into_differences(self) -> Vec<Difference> {
        self.0
    }
}

/// The event of an item, as its row has it.
pub struct ItemEvent<'a> {
    pub event_type: &'a str,
    pub subject: &'a [u8],
    pub version: u32,
    pub body: &'a str,
}

impl<'a> ItemEvent<'a> {
    /// Reads type, subject, version and body, which stand from a column on.
    pub fn read(row: &'a impl Columns, at: usize) -> Result<Self> {
        Ok(Self {
            event_type: row.text(at, "event type")?,
            subject: row.bytes(at + 1, "subject")?,
            version: row.small(at + 2, "version")?,
            body: row.text(at + 3, "event")?,
        })
    }
}

/// The event that an item names says what the item is.
pub fn item_event(findings: &mut Findings, item: &Transaction, event: Option<Result<ItemEvent>>) {
    let event = match event {
        Some(Ok(event)) => event,
        Some(Err(_)) => {
            findings.differs("events", format!("event {} of {} is unreadable", item.seq, item.id));
            return;
        }
        None => {
            findings.differs("events", format!("{} has no event {}", item.id, item.seq));
            return;
        }
    };
    let same = event.event_type != "transaction.deleted"
        && event.subject == item.id.0.as_bytes()
        && event.version == item.version
        && said(event.body) == said(&item.to_json());
    if !same {
        let what = format!("event {} says something else than {} is", item.seq, item.id);
        findings.differs("events", what);
    }
}

/// The columns that [`api_key`] reads, of an API key and the event of its latest change.
pub const API_KEYS: &str =
    "select k.id, k.seq, k.body, e.body from api_keys k left join events e on e.seq = k.seq";

/// An API key may do what the log says that it was given.
pub fn api_key(findings: &mut Findings, row: &impl Columns) -> Result<()> {
    let (id, seq) = (KeyId(row.number(0, "key")?), row.number(1, "event number")?);
    let event = row.maybe_text(3, "event").unwrap_or_default();
    if event != Some(row.text(2, "key").unwrap_or_default()) {
        findings.differs("keys", format!("event {seq} says something else than the key {id} is"));
    }
    Ok(())
}

/// The words of an item that the dictionary of its user must have.
pub fn dictionary(document: &Document) -> impl Iterator<Item = &String> {
    document.fields.iter().flatten().filter(|word| in_dictionary(word))
}

/// Names a word that the dictionary lacks.
pub fn lacks_word(findings: &mut Findings, word: &str, item: impl std::fmt::Display) {
    findings.differs("search", format!("the dictionary lacks '{word}' of {item}"));
}

/// The statistics of a user, counted anew from the items.
pub struct Recount<'a> {
    user: &'a UserId,
    buckets: BTreeMap<BucketKey, Bucket>,
    months: BTreeMap<(Currency, Month), MonthSums>,
}

impl<'a> Recount<'a> {
    pub fn new(user: &'a UserId) -> Self {
        Self { user, buckets: BTreeMap::new(), months: BTreeMap::new() }
    }

    pub fn item(&mut self, item: &Transaction) {
        let (key, delta) = stats::count(item, true, item.recorded_at);
        let month = self.months.entry((key.currency, key.day.month())).or_default();
        month.apply(key.day, std::slice::from_ref(&delta));
        self.buckets.entry(key).or_default().apply(&[delta]);
    }

    /// Compares a day that the store keeps: its sums, its counts and its slots.
    pub fn day(&mut self, findings: &mut Findings, currency: Currency, day: Day, kept: [&[u8]; 3]) {
        let name = format!("{}, {currency}, {}", self.user, day.start());
        let key = BucketKey { user_id: self.user.clone(), currency, day };
        let counted = self.buckets.remove(&key);
        let [sums, counts, slots] = kept;
        let Some(slots) = Bucket::decode_slots(slots) else {
            findings.differs("statistics", format!("{name}: unreadable"));
            return;
        };
        let bucket = Bucket { slots, updated_at: Timestamp::default() };
        if bucket.summary().encode() != sums || bucket.encode_counts() != counts {
            findings.differs("statistics", format!("{name}: the sums of its slots differ"));
        }
        // A day that items have left stays, empty, and says when the last one did.
        if counted.is_none() && !bucket.is_empty() {
            findings.differs("statistics", format!("{name}: counted, but there are no items"));
        } else if !same_counts(&bucket, &counted.unwrap_or_default()) {
            findings.differs("statistics", format!("{name}: the items add up to something else"));
        }
    }

    /// Compares a month that the store keeps.
    pub fn month(
        &mut self,
        findings: &mut Findings,
        currency: Currency,
        month: Month,
        kept: &MonthSums,
    ) {
        let counted = self.months.remove(&(currency, month)).unwrap_or_default();
        if kept.days != counted.days || !same_sums(&kept.sums, &counted.sums) {
            let (user, first) = (self.user, month.first_day().start());
            let what = format!("{user}, {currency}, month of {first}: adds up differently");
            findings.differs("statistics", what);
        }
    }

    /// After all days and months of the user: names those that are missing.
    pub fn finish(self, findings: &mut Findings) {
        let user = self.user;
        for (currency, month) in self.months.into_keys() {
            let first = month.first_day().start();
            findings
                .differs("statistics", format!("{user}, {currency}, month of {first}: missing"));
        }
        for key in self.buckets.into_keys() {
            let day = key.day.start();
            findings.differs("statistics", format!("{user}, {}, {day}: not counted", key.currency));
        }
    }
}

/// An event with what the row says that it follows.
pub struct Link<'a> {
    pub seq: EventSeq,
    pub event_type: &'a str,
    pub version: u32,
    /// Whether it names a previous event.
    pub follows: bool,
    /// The version of the previous event, where that is there.
    pub before: Option<u32>,
    /// Whether the previous event is about the same subject.
    pub same_subject: Option<bool>,
}

/// The log: each history is a chain, and every chain ends at an item or at its deletion.
#[derive(Debug, Default)]
pub struct Log {
    pub events: u64,
    alive: i64,
}

impl Log {
    pub fn event(&mut self, findings: &mut Findings, link: &Link<'_>) {
        self.events += 1;
        match link.event_type {
            "transaction.created" => self.alive += 1,
            "transaction.deleted" => self.alive -= 1,
            _ => {}
        }
        let linked = if link.follows {
            link.before == link.version.checked_sub(1) && link.same_subject == Some(true)
        } else {
            link.version == 1
        };
        if !linked {
            let what = format!("event {} does not follow its predecessor", link.seq);
            findings.differs("events", what);
        }
    }

    pub fn finish(&self, findings: &mut Findings, items: u64) {
        if self.alive != i64::try_from(items).unwrap_or(i64::MAX) {
            let what = format!("the events leave {} items, the feed has {items}", self.alive);
            findings.differs("events", what);
        }
    }
}

/// What a published item says, without what is computed for people to read.
fn said(body: &str) -> Option<Json> {
    without(body, &["display"])
}

/// A published body without some of its entries.
fn without(body: &str, left_out: &[&str]) -> Option<Json> {
    match Json::parse(body, usize::MAX).ok()? {
        Json::Object(mut entries) => {
            entries.retain(|(key, _)| !left_out.contains(&key.as_str()));
            Some(Json::Object(entries))
        }
        _ => None,
    }
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
