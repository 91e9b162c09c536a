//! The past of a user's items, read from the event log: proof of what today's items do not tell.
//! An item that was deleted or that moved to another day leaves traces: words in the dictionary,
//! bounds of amounts, and times of changes in the statistics.

use std::collections::{HashMap, HashSet};

use daybook_core::search::Document;
use daybook_core::stats::slot_of;
use daybook_core::time::{Day, Month};
use daybook_core::{Amount, Currency, EventSeq, Timestamp, Transaction, UserId};
use uuid::Uuid;

use super::Findings;
use crate::dictionary::entries;

/// The most events of one commit; more than its actions make.
const COMMIT_EVENTS_MAX: i64 = 100_000;

/// A stretch of time that statistics are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stretch {
    Slot(Day, u8),
    Day(Day),
    Month(Month),
}

/// What a row of statistics says of items that are not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An item that has been in it changed at this time.
    Changed(Timestamp),
    /// An item of this amount has left it.
    Left(Amount),
}

struct Claim {
    fact: Fact,
    /// The row that says so.
    row: String,
    is_proven: bool,
    /// The latest deletion of an item that was counted.
    deletion: Option<EventSeq>,
}

/// What the rows of a user say that only the log can prove.
#[derive(Default)]
pub struct Claims {
    places: HashMap<(Currency, Stretch), Vec<Claim>>,
    /// The dictionary, and whether an item has the word.
    words: HashMap<String, bool>,
    /// Whether an item had words that cannot be read any more.
    has_unreadable: bool,
}

/// A time of change that is no item's own: that of the last event of a commit with a deletion.
pub struct Doubt {
    pub at: Timestamp,
    /// The numbers of the events that it may be the time of, first and last.
    pub within: (EventSeq, EventSeq),
    row: String,
}

impl Claims {
    pub fn add(&mut self, currency: Currency, stretch: Stretch, fact: Fact, row: &str) {
        let claim = Claim { fact, row: row.to_owned(), is_proven: false, deletion: None };
        self.places.entry((currency, stretch)).or_default().push(claim);
    }

    /// Takes an entry of the user's dictionary.
    pub fn word(&mut self, word: String) {
        self.words.insert(word, false);
    }

    /// Takes the words of an item, now or in the past; `None` where they cannot be known. Answers
    /// the entries that the dictionary lacks.
    pub fn document(&mut self, document: Option<&Document>) -> Vec<String> {
        let Some(document) = document else {
            self.has_unreadable = true;
            return Vec::new();
        };
        let mut lacking = Vec::new();
        for entry in entries(document) {
            match self.words.get_mut(&*entry) {
                Some(is_used) => *is_used = true,
                None => lacking.push(entry.into_owned()),
            }
        }
        lacking
    }

    /// Takes the words that an item of the past may have had; none where they cannot be known.
    pub fn documents(&mut self, documents: &[Document]) {
        if documents.is_empty() {
            self.has_unreadable = true;
        }
        for document in documents {
            self.document(Some(document));
        }
    }

    /// Whether words are left that no item has now.
    pub fn has_words(&self) -> bool {
        !self.has_unreadable && self.words.values().any(|is_used| !is_used)
    }

    /// Whether the log must be asked.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && !self.has_words()
    }

    fn prove(&mut self, currency: Currency, stretch: Stretch, fact: Fact) {
        for claim in self.places.get_mut(&(currency, stretch)).into_iter().flatten() {
            claim.is_proven |= claim.fact == fact;
        }
    }

    fn deleted(&mut self, currency: Currency, stretch: Stretch, seq: EventSeq) {
        for claim in self.places.get_mut(&(currency, stretch)).into_iter().flatten() {
            claim.deletion = Some(seq);
        }
    }

    /// After all events of the user: names what nothing proves. What is left to be looked for in
    /// the log is answered.
    pub fn finish(self, findings: &mut Findings, user: &UserId) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        for claim in self.places.into_values().flatten().filter(|claim| !claim.is_proven) {
            let row = claim.row;
            match (claim.fact, claim.deletion) {
                (Fact::Changed(at), Some(first)) => {
                    let within = (first, EventSeq(first.0.saturating_add(COMMIT_EVENTS_MAX)));
                    doubts.push(Doubt { at, within, row });
                }
                (Fact::Changed(_), None) => unproven(findings, &row),
                (Fact::Left(_), _) => {
                    let what = format!("{row}: no item had an amount that bounds it");
                    findings.differs("statistics", what);
                }
            }
        }
        if !self.has_unreadable {
            for (word, _) in self.words.into_iter().filter(|(_, is_used)| !is_used) {
                let what = format!("the dictionary of {user} has '{word}', which no item had");
                findings.differs("search", what);
            }
        }
        doubts
    }
}

fn unproven(findings: &mut Findings, row: &str) {
    findings.differs("statistics", format!("{row}: nothing changed when it did"));
}

impl Doubt {
    /// Takes whether an event has this time.
    pub fn settle(&self, findings: &mut Findings, is_there: bool) {
        if !is_there {
            unproven(findings, &self.row);
        }
    }
}

/// An item as it last stood, and the days on which it has been.
struct Trace {
    now: Option<Standing>,
    been: HashSet<(Currency, Day)>,
}

struct Standing {
    currency: Currency,
    day: Day,
    slot: u8,
    /// `None` where it does not count.
    amount: Option<Amount>,
}

/// A user's items, event by event.
#[derive(Default)]
pub struct Past(HashMap<Uuid, Trace>);

impl Past {
    /// Takes the next event of the user: its time, whether the item is gone, and what it says.
    pub fn event(&mut self, claims: &mut Claims, at: Timestamp, is_gone: bool, item: &Transaction) {
        let trace = self.0.entry(item.id.0);
        let trace = trace.or_insert_with(|| Trace { now: None, been: HashSet::new() });
        if let Some(Standing { currency, day, slot, amount: Some(amount) }) = trace.now.take() {
            for stretch in [Stretch::Slot(day, slot), Stretch::Month(day.month())] {
                claims.prove(currency, stretch, Fact::Left(amount));
            }
        }
        let (currency, day) = (item.currency, item.created_at.day());
        trace.been.insert((currency, day));
        if !is_gone {
            let amount = item.status.counts().then_some(item.amount);
            let slot = slot_of(item.created_at);
            trace.now = Some(Standing { currency, day, slot, amount });
        }
        // Several changes of one commit count as one, with the time of the last of them.
        for (currency, day) in &trace.been {
            for stretch in [Stretch::Day(*day), Stretch::Month(day.month())] {
                claims.prove(*currency, stretch, Fact::Changed(at));
                if is_gone {
                    claims.deleted(*currency, stretch, item.seq);
                }
            }
        }
    }
}
