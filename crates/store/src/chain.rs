//! The hash chain of the event log: each event keeps a hash over itself and the hash of the event
//! before it. Who changes, removes or adds an event afterwards would have to change every later
//! link too, the last of which others may have seen.

use aws_lc_rs::digest::{Context, SHA256};
use daybook_core::EventSeq;

use crate::codec::{Columns, corrupt};
use crate::verify::Findings;
use crate::{Error, Result};

/// A hash over an event and all before it (SHA-256).
pub type Link = [u8; 32];

/// What the first event follows.
pub const START: Link = [0; 32];

/// Keeps these hashes apart from all others; a new form of events gets a new name.
const NAME: &[u8] = b"daybook event v1";

/// The columns that [`Linked::read`] reads, in every store; `subject` is what the store calls it.
pub fn columns(subject: &str) -> String {
    format!(
        "e.seq, e.event_type, e.at, e.\"user\", e.{subject}, e.version, e.previous, e.body, e.link"
    )
}

/// An event as its row has it, which is what the chain is about: sealed values stay sealed.
pub struct Linked<'a> {
    pub seq: i64,
    pub event_type: &'a str,
    pub at: i64,
    /// The user's number.
    pub user: i64,
    pub subject: &'a [u8],
    pub version: u32,
    pub previous: Option<i64>,
    pub body: &'a str,
}

impl<'a> Linked<'a> {
    /// Reads [`columns`]; the link that is kept stands behind.
    pub fn read(row: &'a impl Columns) -> Result<(Self, Option<Link>)> {
        let linked = Self {
            seq: row.number(0, "event number")?,
            event_type: row.text(1, "event type")?,
            at: row.number(2, "time")?,
            user: row.number(3, "user")?,
            subject: row.bytes(4, "subject")?,
            version: row.small(5, "version")?,
            previous: row.maybe_number(6, "event number")?,
            body: row.text(7, "event")?,
        };
        Ok((linked, row.maybe_bytes(8, "link")?.map(link).transpose()?))
    }

    /// The link of this event behind another one's. Every part is as long as it says, so that no
    /// two events are the same bytes.
    pub fn follow(&self, before: &Link) -> Link {
        let mut hash = Context::new(&SHA256);
        hash.update(NAME);
        hash.update(before);
        for number in [self.seq, self.at, self.user, i64::from(self.version)] {
            hash.update(&number.to_be_bytes());
        }
        hash.update(&self.previous.unwrap_or(-1).to_be_bytes());
        for part in [self.event_type.as_bytes(), self.subject, self.body.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut link = START;
        link.copy_from_slice(hash.finish().as_ref());
        link
    }
}

/// That a log is still to get its links, which its migration says.
pub const UNLINKED: &str = "unlinked";

/// Reads a link.
pub fn link(bytes: &[u8]) -> Result<Link> {
    bytes.try_into().map_err(|_| corrupt("link"))
}

/// That the newest event has no link, so that none can follow it.
pub fn unlinked(seq: EventSeq) -> Error {
    Error::Corrupt { what: format!("event {seq} has no link of the chain") }
}

/// Follows the chain from the first event on.
pub struct Proof {
    last: Link,
    is_whole: bool,
}

impl Default for Proof {
    fn default() -> Self {
        Self { last: START, is_whole: true }
    }
}

impl Proof {
    /// Compares an event, a row of [`columns`], with the link that it has. Only the first that is
    /// broken is named: behind it nothing is proven.
    ///
    /// # Errors
    /// When the row has not even a number.
    pub fn event(&mut self, findings: &mut Findings, row: &impl Columns) -> Result<()> {
        if !self.is_whole {
            return Ok(());
        }
        let what = match Linked::read(row) {
            Ok((event, kept)) => {
                self.last = event.follow(&self.last);
                match kept {
                    Some(kept) if kept == self.last => return Ok(()),
                    Some(_) => "is not what was recorded".to_owned(),
                    None => "has no link".to_owned(),
                }
            }
            Err(Error::Corrupt { what }) => format!("cannot be read ({what})"),
            Err(other) => return Err(other),
        };
        self.is_whole = false;
        let seq = row.number(0, "event number")?;
        let what = format!("the chain breaks at event {seq}: it {what}, or one before is gone");
        findings.differs("chain", what);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_is_in_its_link() {
        let event = || Linked {
            seq: 7,
            event_type: "transaction.created",
            at: 1,
            user: 2,
            subject: b"ab",
            version: 1,
            previous: None,
            body: "c",
        };
        let link = event().follow(&START);
        assert_eq!(link, event().follow(&START));
        let others = [
            Linked { seq: 8, ..event() },
            Linked { event_type: "transaction.updated", ..event() },
            Linked { at: 2, ..event() },
            Linked { user: 3, ..event() },
            Linked { subject: b"a", body: "bc", ..event() },
            Linked { version: 2, ..event() },
            Linked { previous: Some(6), ..event() },
            Linked { body: "d", ..event() },
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(link, other.follow(&START), "{place}");
        }
        assert_ne!(link, event().follow(&link));
    }
}
