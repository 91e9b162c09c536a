//! What group commit needs of SQLite: the writing connection and its care.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use daybook_core::write_set::Reply;
use daybook_core::{EventSeq, Submission, decide};

use super::Shared;
use super::checkpoint::Checkpoint;
use super::follow::Lease;
use super::ring::Ring;
use super::schema::{self, Opened};
use super::write::{self, Interned};
use crate::group::{Backend, ROOM_BYTES};
use crate::seal::{Documents, Owners};
use crate::{Error, Result};

/// How many pages of index are merged at once when there is nothing else to do: some milliseconds.
const MERGE_PAGES: i64 = 256;
/// How often replies that are too old are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

pub struct Writing {
    checkpoint: Checkpoint,
    pub opened: Opened,
    ring: Option<Ring>,
    /// Whose followers are, by their names.
    pub leases: HashMap<String, Lease>,
    shared: Arc<Shared>,
    replies_kept: Duration,
    interned: Interned,
    swept: Instant,
    /// Whether the indexes may have pieces to merge.
    unmerged: bool,
    /// A file that is there only while space is looked for.
    room: PathBuf,
}

impl Writing {
    pub fn new(
        path: &Path,
        mut opened: Opened,
        ring: Option<Ring>,
        shared: Arc<Shared>,
        replies_kept: Duration,
    ) -> Result<Self> {
        Ok(Self {
            checkpoint: Checkpoint::follow(&mut opened.conn, path)?,
            opened,
            ring,
            leases: HashMap::new(),
            shared,
            replies_kept,
            interned: Interned::default(),
            swept: Instant::now(),
            unmerged: true,
            room: schema::beside(path, "-room"),
        })
    }

    /// The ring of keys.
    pub fn ring(&mut self) -> Result<&mut Ring> {
        self.ring.as_mut().ok_or(Error::NotSealing)
    }
}

impl Backend for Writing {
    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Reply>> {
        self.unmerged = true;
        let next_seq = EventSeq(self.shared.seq.load(Ordering::Acquire) + 1);
        let conn = &mut self.opened.conn;
        let transaction =
            conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let snapshot = write::load(&transaction, submissions, next_seq)?;
        let (snapshot, owners) = match &self.ring {
            Some(ring) => {
                let owners = Owners::of(&snapshot);
                (ring.opened(snapshot)?, owners)
            }
            None => (snapshot, Owners::default()),
        };
        let (replies, mut write_set) = decide(submissions, snapshot);
        if write_set.is_empty() {
            transaction.commit()?;
            return Ok(replies);
        }
        let documents = match &mut self.ring {
            Some(ring) => ring.seal(&transaction, &mut write_set, owners)?,
            None => Documents::default(),
        };
        let (mut fresh, mut link) = (HashSet::new(), self.opened.link);
        let mut known = (&self.interned, &mut fresh);
        let changed = write::write(&transaction, &write_set, &documents, &mut known, &mut link);
        let changed = match changed {
            Ok(changed) => changed,
            Err(error) => {
                self.interned.forget_users();
                return Err(error);
            }
        };
        if let Err(error) = transaction.commit() {
            self.interned.forget_users();
            return Err(error.into());
        }
        self.opened.link = link;
        self.interned.words.remember(fresh);
        if let Some(ring) = &mut self.ring {
            ring.committed();
        }
        if let Some(last) = write_set.events.last() {
            self.shared.seq.store(last.seq.0, Ordering::Release);
        }
        for (user, change) in &changed {
            self.shared.counts.changed(user, *change);
        }
        Ok(replies)
    }

    fn forget(&mut self) {
        self.interned.forget_users();
    }

    /// Keeps the write-ahead log and the replies bounded. A failure is tried again later.
    fn tidy(&mut self) {
        self.checkpoint.tend(&self.opened.conn);
        if let Some(ring) = &mut self.ring {
            ring.clean();
        }
        if self.swept.elapsed() > SWEEP_EVERY {
            self.swept = Instant::now();
            if let Err(error) = write::sweep(&self.opened.conn, self.replies_kept) {
                tracing::warn!(%error, "old replies stay for now");
            }
        }
    }

    /// Merges pieces of the indexes, so that a later commit does not have to.
    fn idle(&mut self, waiting: &AtomicUsize) {
        if let Some(ring) = &mut self.ring {
            ring.clean();
        }
        while self.unmerged && waiting.load(Ordering::Relaxed) == 0 {
            match write::merge(&mut self.opened.conn, MERGE_PAGES) {
                Ok(merged) => self.unmerged = merged,
                Err(error) => {
                    tracing::warn!(%error, "the index stays in pieces for now");
                    self.unmerged = false;
                }
            }
            self.checkpoint.tend(&self.opened.conn);
        }
    }

    fn has_room(&mut self) -> bool {
        let written = std::fs::File::create(&self.room).and_then(|mut file| {
            file.write_all(&vec![1; ROOM_BYTES])?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&self.room);
        written.and(removed).is_ok()
    }

    fn finish(&mut self) {
        self.checkpoint.finish(&self.opened.conn);
    }
}
