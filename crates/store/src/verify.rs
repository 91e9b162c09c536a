//! What must hold between the items and all that follows from them, whichever store keeps it. A
//! store reads its rows and shows them here; nothing here knows where they come from.

pub mod ledger;
pub mod past;
pub mod replies;
pub mod seals;
pub mod statistics;

use std::borrow::Cow;

use daybook_core::{ApiKey, EventSeq, Json, KeyId, Transaction};
use serde::Deserialize;

use crate::codec::Columns;
use crate::{Difference, Error, Result};

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

    /// Takes what was read of a row. A row that cannot be read is a difference, and nothing more is
    /// known of it.
    ///
    /// # Errors
    /// When more than the row failed.
    pub fn readable<T>(&mut self, part: &'static str, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Error::Corrupt { what }) => {
                self.differs(part, what);
                Ok(None)
            }
            Err(other) => Err(other),
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
        && item.amount.fits(item.currency)
        && said(event.body) == said(&item.to_json());
    if !same {
        let what = format!("event {} says something else than {} is", item.seq, item.id);
        findings.differs("events", what);
    }
}

/// The columns that [`api_key`] reads, of an API key and the event of its latest change.
pub const API_KEYS: &str =
    "select k.id, k.seq, k.body, e.body from api_keys k left join events e on e.seq = k.seq";

/// An API key may do what the log says that it was given. Only a key with another secret than its
/// first has one before.
pub fn api_key(findings: &mut Findings, row: &impl Columns) -> Result<()> {
    let (id, seq) = (KeyId(row.number(0, "key")?), row.number(1, "event number")?);
    let body = row.text(2, "key").unwrap_or_default();
    let event = row.maybe_text(3, "event").unwrap_or_default();
    let said = serde_json::from_str::<ApiKey>(body).ok();
    if event != Some(body) || said.is_none_or(|said| said.id != id) {
        findings.differs("keys", format!("event {seq} says something else than the key {id} is"));
    }
    Ok(())
}

/// Tables that name users by their numbers, and the number that stands for nobody.
pub const OF_USERS: &[(&str, &str)] = &[
    ("events", "0"),
    ("transactions", "null"),
    ("statistics", "null"),
    ("words", "null"),
    ("accounts", "null"),
];

/// How many rows of a table are of users who are not there.
pub fn strays(table: &str, nobody: &str) -> String {
    format!(
        "select count(*) from {table} t left join users u on u.\"user\" = t.\"user\" \
         where u.\"user\" is null and coalesce(t.\"user\" <> {nobody}, t.\"user\" is not null)"
    )
}

/// Takes the count of [`strays`].
pub fn stray(findings: &mut Findings, table: &str, rows: u64) {
    if rows > 0 {
        findings.differs("rows", format!("{rows} {table} are of users who are not there"));
    }
}

/// Users whom no event names.
pub const UNNAMED: &str = "select u.name from users u left join \
    (select distinct \"user\" from events) e on e.\"user\" = u.\"user\" where e.\"user\" is null";

/// Takes a user of [`UNNAMED`].
pub fn unnamed(findings: &mut Findings, user: &str) {
    findings.differs("rows", format!("no event names the user {user}"));
}

/// Followers, and where they are; the newest event.
pub const FOLLOWERS: &str =
    "select name, position, (select coalesce(max(seq), 0) from events) from followers";

/// No follower is done with what has not happened.
pub fn follower(findings: &mut Findings, row: &impl Columns) -> Result<()> {
    let (name, position) = (row.text(0, "name")?, row.number(1, "position")?);
    if position > row.number(2, "event number")? || position < 0 {
        findings
            .differs("followers", format!("'{name}' is at event {position}, which is not there"));
    }
    Ok(())
}

/// Names entries that the dictionary lacks.
pub fn lacks_entries(findings: &mut Findings, entries: &[String], item: impl std::fmt::Display) {
    for entry in entries {
        findings.differs("search", format!("the dictionary lacks '{entry}' of {item}"));
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
    /// The user whom the event names by number, and what it says.
    pub user: Option<&'a str>,
    pub body: &'a str,
}

impl Link<'_> {
    /// Whether what was published names the user whom the event does. A transfer has two sides, of
    /// which its accounts tell; notes say of no user.
    fn names_its_user(&self) -> bool {
        #[derive(Deserialize)]
        struct Whose<'a> {
            #[serde(borrow)]
            user_id: Option<Cow<'a, str>>,
        }
        match self.event_type {
            "transaction.created"
            | "transaction.updated"
            | "transaction.deleted"
            | "account.created"
            | "account.updated" => serde_json::from_str::<Whose>(self.body)
                .is_ok_and(|whose| whose.user_id.as_deref() == self.user),
            _ => true,
        }
    }
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
        if !link.names_its_user() {
            let what = format!("event {} is of another user than it says", link.seq);
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
