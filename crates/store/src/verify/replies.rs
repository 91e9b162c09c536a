//! What must hold between answers that are kept for repeated requests and the event log.

use std::collections::HashMap;

use daybook_core::write_set::{StoredReply, StoredVerdict};
use daybook_core::{EventSeq, TransactionId};

use super::Findings;
use crate::codec::Columns;

/// The columns that [`Replies::row`] reads.
pub const REPLIES: &str = "at, body";

/// Answers, to be compared with the events that they name.
#[derive(Default)]
pub struct Replies(Vec<StoredReply>);

/// The events that answers name: the time of each, and items that are gone.
#[derive(Default)]
pub struct Named {
    pub at: HashMap<i64, i64>,
    pub gone: HashMap<TransactionId, Vec<i64>>,
}

impl Replies {
    /// Takes a row of [`REPLIES`].
    pub fn row(&mut self, findings: &mut Findings, row: &impl Columns) {
        let reply = row.text(1, "reply").ok().map(serde_json::from_str::<StoredReply>);
        match (reply, row.time(0, "time")) {
            (Some(Ok(reply)), Ok(at)) if reply.at == at => self.0.push(reply),
            (Some(Ok(reply)), _) => {
                let what = format!("an answer of {} is kept as of another time", reply.at);
                findings.differs("replies", what);
            }
            _ => findings.differs("replies", "a kept answer is unreadable".to_owned()),
        }
    }

    /// The events that the answers name.
    pub fn events(&self) -> Vec<i64> {
        let named = self.0.iter().flat_map(|reply| reply.events().chain([reply.seq]));
        named.map(|seq| seq.0).collect()
    }

    /// The items of whose deletion the answers tell.
    pub fn deleted(&self) -> Vec<TransactionId> {
        let deleted = |verdict: &StoredVerdict| match verdict {
            StoredVerdict::Deleted(id) => Some(*id),
            StoredVerdict::Created(_)
            | StoredVerdict::Updated(_)
            | StoredVerdict::Unchanged(_)
            | StoredVerdict::Ignored(_)
            | StoredVerdict::Seen(..)
            | StoredVerdict::Refused(_) => None,
        };
        self.0.iter().flat_map(|reply| &reply.verdicts).filter_map(deleted).collect()
    }

    /// Compares the answers with what the log has of the events that they name. What an answer
    /// calls new is of its own moment, and nothing in it is newer than the answer.
    pub fn compare(self, findings: &mut Findings, named: &Named) {
        for reply in self.0 {
            let at_of = |seq: EventSeq| named.at.get(&seq.0).copied();
            let own = reply.at.micros();
            let is_told = |seq: EventSeq| seq <= reply.seq && at_of(seq) == Some(own);
            let fits = |verdict: &StoredVerdict| match verdict {
                StoredVerdict::Created(seq) | StoredVerdict::Updated(seq) => is_told(*seq),
                StoredVerdict::Unchanged(seq)
                | StoredVerdict::Ignored(seq)
                | StoredVerdict::Seen(seq, _) => *seq <= reply.seq && at_of(*seq).is_some(),
                StoredVerdict::Deleted(id) => {
                    named.gone.get(id).is_some_and(|times| times.contains(&own))
                }
                StoredVerdict::Refused(_) => true,
            };
            let is_news = reply.verdicts.iter().any(|verdict| {
                matches!(
                    verdict,
                    StoredVerdict::Created(_)
                        | StoredVerdict::Updated(_)
                        | StoredVerdict::Deleted(_)
                )
            });
            let last = at_of(reply.seq);
            if last.is_none_or(|last| is_news && last != own) || !reply.verdicts.iter().all(fits) {
                let what = format!("an answer of {} is not what the log says", reply.at);
                findings.differs("replies", what);
            }
        }
    }
}
