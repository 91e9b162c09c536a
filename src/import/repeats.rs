//! Names that repeat inside one file. A later row must not replace an earlier one of the same file
//! unless it says that it is newer, because an id that several records share is no id.
//!
//! Memory is bounded: up to [`MEMORY_MAX`] names are held in memory (some 35 MB), more go to a hash
//! table in an unlinked file beside the input, 48 bytes a slot. An import that goes on after an
//! interruption reads the rows before its place again and so knows their names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use daybook_core::canonical::canonical_items;
use daybook_core::id::fnv128;
use daybook_core::json::Json;
use daybook_core::{
    AccountId, Currency, NewTransaction, NewTransfer, Rejection, Status, Timestamp,
};
use daybook_server::app;

use super::check::Checked;

/// The most names that are held in memory.
const MEMORY_MAX: usize = 400_000;
/// Slots of a new table.
const SLOTS_MIN: u64 = 1 << 20;
const SLOT_BYTES: usize = 48;
const SLOT_LENGTH: u64 = SLOT_BYTES as u64;
/// Slots that one read takes.
const WINDOW: usize = 16;

/// What is remembered of the row that had a name last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// Never 0.
    line: u64,
    /// A hash of what the row says, but for its time.
    content: u64,
    created_at: Option<Timestamp>,
    /// A hash of how new the row says that it is; 0 where it does not.
    revision: u32,
    is_pending: bool,
}

impl Seen {
    /// Whether a row says something else than an earlier one; a time that it leaves out is no other
    /// time.
    fn contradicts(self, earlier: Self) -> bool {
        let is_other_time = self.created_at.is_some() && self.created_at != earlier.created_at;
        self.content != earlier.content || is_other_time
    }
}

pub struct Repeats {
    memory_max: usize,
    memory: HashMap<u128, Seen>,
    table: Option<Table>,
    /// Where the table is made.
    folder: PathBuf,
}

impl Repeats {
    pub fn new(folder: &Path) -> Self {
        Self::holding(MEMORY_MAX, folder)
    }

    fn holding(memory_max: usize, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { memory_max, memory: HashMap::new(), table: None, folder }
    }

    /// Remembers the name of a row. The answer is why the row is refused where an earlier row of the
    /// file has its name, says something else and was taken; the store knows whether it was.
    ///
    /// # Errors
    /// When the table cannot be read or written.
    pub fn check(&mut self, line: u64, checked: &Checked) -> anyhow::Result<Option<Rejection>> {
        let (name, content, created_at, revision, is_pending) = match checked {
            Checked::Item(new) | Checked::Exported { new, .. } => {
                let own_id = matches!(checked, Checked::Exported { .. });
                let is_pending = new.status == Status::Pending;
                let name = Name::of(new, own_id);
                (name, item_content(new), new.created_at, revision(new), is_pending)
            }
            Checked::Transfer(new) => {
                (Name::of_transfer(new), transfer_content(new), new.created_at, 0, false)
            }
            // An account opens once: the ledger refuses a repeat, and what shows a transfer is no
            // record of its own.
            Checked::Shown { .. } | Checked::Account(_) => return Ok(None),
        };
        let Some(name) = name else {
            return Ok(None);
        };
        let now = Seen { line, content, created_at, revision, is_pending };
        let moves_on = matches!(name, Name::External { .. });
        let verdict =
            self.verdict(name.key(), now, moves_on).context("looking for repeated ids")?;
        Ok(verdict.err().map(|earlier| name.refusal(line, earlier)))
    }

    /// Takes a row, or answers the line that has its name already. What says how new it is or moves
    /// on from pending is for the store to judge.
    fn verdict(&mut self, key: u128, now: Seen, moves_on: bool) -> io::Result<Result<(), u64>> {
        let Some(seen) = self.get(key)? else {
            self.put(key, now)?;
            return Ok(Ok(()));
        };
        let says_how_new = now.revision != 0 && now.revision != seen.revision;
        if says_how_new || (moves_on && seen.is_pending && !now.is_pending) {
            self.put(key, now)?;
        } else if now.contradicts(seen) {
            return Ok(Err(seen.line));
        }
        Ok(Ok(()))
    }

    fn get(&self, key: u128) -> io::Result<Option<Seen>> {
        match &self.table {
            Some(table) => table.get(key),
            None => Ok(self.memory.get(&key).copied()),
        }
    }

    fn put(&mut self, key: u128, seen: Seen) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            return table.put(key, seen);
        }
        self.memory.insert(key, seen);
        if self.memory.len() > self.memory_max {
            let mut table = Table::make(&self.folder, SLOTS_MIN)?;
            for (key, seen) in std::mem::take(&mut self.memory) {
                table.put(key, seen)?;
            }
            self.table = Some(table);
        }
        Ok(())
    }
}

/// The name of a row.
enum Name<'a> {
    External {
        user: &'a str,
        source: &'a str,
        external_id: &'a str,
    },
    /// Its own id names a row that has no other name.
    Own(String),
    Reference {
        source: AccountId,
        reference: &'a str,
    },
}

impl<'a> Name<'a> {
    fn of(new: &'a NewTransaction, own_id: bool) -> Option<Self> {
        match (&new.source, &new.external_id) {
            (Some(source), Some(external_id)) => {
                Some(Self::External { user: new.user_id.as_str(), source, external_id })
            }
            _ if own_id => Some(Self::Own(new.id.to_string())),
            _ => None,
        }
    }

    fn of_transfer(new: &'a NewTransfer) -> Option<Self> {
        let reference = new.reference.as_deref()?;
        Some(Self::Reference { source: new.source, reference })
    }

    fn key(&self) -> u128 {
        match self {
            Self::External { user, source, external_id } => {
                fnv128(&[b"name", user.as_bytes(), source.as_bytes(), external_id.as_bytes()])
            }
            Self::Own(id) => fnv128(&[b"id", id.as_bytes()]),
            Self::Reference { source, reference } => {
                fnv128(&[b"reference", &source.0.to_le_bytes(), reference.as_bytes()])
            }
        }
    }

    fn refusal(&self, line: u64, earlier: u64) -> Rejection {
        let (pointer, name, advice) = match self {
            Self::External { source, external_id, .. } => (
                "/external_id",
                format!("external_id '{external_id}' of source '{source}'"),
                "or say which is newer by `source_version`",
            ),
            Self::Own(id) => {
                ("/id", format!("id '{id}'"), "or say which is newer by `source_version`")
            }
            Self::Reference { source, reference } => (
                "/reference",
                format!("reference '{reference}' from account {source}"),
                "or leave one of them out",
            ),
        };
        let detail = format!(
            "lines {earlier} and {line} have the same {name} and say different things, so it names \
             no single record; it stays with line {earlier}. Give each record a name of its own, \
             for instance by joining columns in the mapping, {advice}"
        );
        Rejection::field(pointer, "REPEATED_ID", detail)
    }
}

/// A hash of all that an item says of itself, but for its time.
fn item_content(new: &NewTransaction) -> u64 {
    folded(fnv128(&[
        new.transaction_type.name().as_bytes(),
        new.product.as_bytes(),
        new.status.name().as_bytes(),
        new.side.name().as_bytes(),
        new.currency.code().as_bytes(),
        &new.amount.atto().to_le_bytes(),
        &meaning(&new.metadata),
    ]))
}

fn transfer_content(new: &NewTransfer) -> u64 {
    let execute_at = new.execute_at.map_or(0, Timestamp::micros).to_le_bytes();
    let currency = new.currency;
    folded(fnv128(&[
        &new.destination.0.to_le_bytes(),
        &new.amount.atto().to_le_bytes(),
        currency.as_ref().map_or("", Currency::code).as_bytes(),
        &meaning(&new.metadata),
        &[u8::from(new.hold), u8::from(new.queued)],
        &execute_at,
    ]))
}

/// The order of keys and the form of numbers say nothing.
fn meaning(metadata: &Json) -> Vec<u8> {
    canonical_items([metadata.to_string().as_str()])
}

fn folded(hash: u128) -> u64 {
    u64::try_from((hash ^ (hash >> 64)) & u128::from(u64::MAX)).unwrap_or_default()
}

fn revision(new: &NewTransaction) -> u32 {
    let version = new.revision.version.map(i64::to_le_bytes);
    let at = new.revision.updated_at.map(|at| at.micros().to_le_bytes());
    if version.is_none() && at.is_none() {
        return 0;
    }
    let part = |part: &Option<[u8; 8]>| part.map_or(Vec::new(), Vec::from);
    let hash = fnv128(&[&part(&version), &part(&at)]);
    u32::try_from((hash ^ (hash >> 64)) & u128::from(u32::MAX)).unwrap_or_default().max(1)
}

/// A hash table in a file, with open addressing: a name stands in the first free slot from that of
/// its hash on.
struct Table {
    file: File,
    folder: PathBuf,
    slots: u64,
    taken: u64,
}

impl Table {
    fn make(folder: &Path, slots: u64) -> io::Result<Self> {
        let name = format!(".daybook-import-{}", app::new_id().0);
        let open = |path: &Path| {
            let file = File::options().read(true).write(true).create_new(true).open(path)?;
            // Without a name the file is gone with the process, however that ends.
            std::fs::remove_file(path)?;
            Ok::<File, io::Error>(file)
        };
        // A dry run may read from a folder that nobody can write to.
        let file =
            open(&folder.join(&name)).or_else(|_| open(&std::env::temp_dir().join(&name)))?;
        file.set_len(slots.saturating_mul(SLOT_LENGTH))?;
        Ok(Self { file, folder: folder.to_owned(), slots, taken: 0 })
    }

    fn get(&self, key: u128) -> io::Result<Option<Seen>> {
        Ok(self.find(key)?.1)
    }

    fn put(&mut self, key: u128, seen: Seen) -> io::Result<()> {
        let (slot, known) = self.find(key)?;
        self.file.write_all_at(&written(key, seen), slot * SLOT_LENGTH)?;
        if known.is_none() {
            self.taken += 1;
        }
        if self.taken * 4 > self.slots * 3 { self.grow() } else { Ok(()) }
    }

    /// The slot of a name, or the free one where it belongs.
    fn find(&self, key: u128) -> io::Result<(u64, Option<Seen>)> {
        let mut slot = u64::try_from(key % u128::from(self.slots)).unwrap_or_default();
        let mut window = [0; SLOT_BYTES * WINDOW];
        loop {
            let left = usize::try_from(self.slots - slot).unwrap_or(usize::MAX);
            let bytes = left.min(WINDOW) * SLOT_BYTES;
            let window = window.get_mut(..bytes).unwrap_or_default();
            self.file.read_exact_at(window, slot * SLOT_LENGTH)?;
            for bytes in window.chunks_exact(SLOT_BYTES) {
                match read(bytes) {
                    Some((found, seen)) if found == key => return Ok((slot, Some(seen))),
                    Some(_) => slot += 1,
                    None => return Ok((slot, None)),
                }
            }
            slot %= self.slots;
        }
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut larger = Self::make(&self.folder, self.slots * 2)?;
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        reader.seek(SeekFrom::Start(0))?;
        let mut slot = [0; SLOT_BYTES];
        for _ in 0..self.slots {
            reader.read_exact(&mut slot)?;
            if let Some((key, seen)) = read(&slot) {
                larger.put(key, seen)?;
            }
        }
        *self = larger;
        Ok(())
    }
}

const IS_PENDING: u8 = 1;
const HAS_TIME: u8 = 2;

fn written(key: u128, seen: Seen) -> [u8; SLOT_BYTES] {
    let Seen { line, content, created_at, revision, is_pending } = seen;
    let pending = if is_pending { IS_PENDING } else { 0 };
    let time = if created_at.is_some() { HAS_TIME } else { 0 };
    let parts = key.to_le_bytes().into_iter();
    let parts = parts.chain(line.to_le_bytes()).chain(content.to_le_bytes());
    let parts = parts.chain(created_at.map_or(0, Timestamp::micros).to_le_bytes());
    let parts = parts.chain(revision.to_le_bytes()).chain([pending | time]);
    let mut slot = [0; SLOT_BYTES];
    for (to, from) in slot.iter_mut().zip(parts) {
        *to = from;
    }
    slot
}

/// The contents of a slot; `None` when it is free.
fn read(slot: &[u8]) -> Option<(u128, Seen)> {
    let (key, rest) = slot.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (content, rest) = rest.split_first_chunk()?;
    let (micros, rest) = rest.split_first_chunk()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let flags = rest.first()?;
    let (line, content) = (u64::from_le_bytes(*line), u64::from_le_bytes(*content));
    let micros = Some(i64::from_le_bytes(*micros)).filter(|_| flags & HAS_TIME != 0);
    let seen = Seen {
        line,
        content,
        created_at: micros.map(Timestamp::from_micros),
        revision: u32::from_le_bytes(*revision),
        is_pending: flags & IS_PENDING != 0,
    };
    (line > 0).then_some((u128::from_le_bytes(*key), seen))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(line: u64, content: u64, is_pending: bool) -> Seen {
        Seen { line, content, created_at: None, revision: 0, is_pending }
    }

    fn marked(line: u64, content: u64, revision: u32) -> Seen {
        Seen { line, content, created_at: None, revision, is_pending: false }
    }

    #[test]
    fn a_name_belongs_to_the_row_that_has_it_first() {
        let folder = tempfile::tempdir().unwrap();
        for memory_max in [0, 100] {
            let mut repeats = Repeats::holding(memory_max, folder.path());
            let mut take = |key, now| repeats.verdict(key, now, key != 5).unwrap();
            assert_eq!(take(1, seen(2, 7, false)), Ok(()));
            assert_eq!(take(2, seen(3, 7, false)), Ok(()));
            // The same row again, as an import that goes on reads it, or as a copy of it.
            assert_eq!(take(1, seen(2, 7, false)), Ok(()));
            assert_eq!(take(1, seen(9, 7, false)), Ok(()));
            assert_eq!(take(1, seen(10, 8, false)), Err(2));
            assert_eq!(take(1, seen(11, 8, true)), Err(2));
            // A pending record moves on once.
            assert_eq!(take(3, seen(12, 1, true)), Ok(()));
            assert_eq!(take(3, seen(13, 2, true)), Err(12));
            assert_eq!(take(3, seen(14, 3, false)), Ok(()));
            assert_eq!(take(3, seen(15, 4, false)), Err(14));
            // A mark of how new a row is goes to the store, the same mark twice does not.
            assert_eq!(take(4, seen(16, 1, false)), Ok(()));
            assert_eq!(take(4, marked(17, 2, 7)), Ok(()));
            assert_eq!(take(4, marked(18, 3, 7)), Err(17));
            assert_eq!(take(4, marked(19, 3, 6)), Ok(()));
            assert_eq!(take(4, seen(20, 4, false)), Err(19));
            // An id alone does not move on.
            assert_eq!(take(5, seen(21, 1, true)), Ok(()));
            assert_eq!(take(5, seen(22, 2, false)), Err(21));
            assert_eq!(take(5, marked(23, 2, 1)), Ok(()));
            // A time that is left out is no other time.
            let timed = |line, micros| Seen {
                created_at: Some(Timestamp::from_micros(micros)),
                ..seen(line, 1, false)
            };
            assert_eq!(take(6, timed(24, 0)), Ok(()));
            assert_eq!(take(6, seen(25, 1, false)), Ok(()));
            assert_eq!(take(6, timed(26, 0)), Ok(()));
            assert_eq!(take(6, timed(27, 1)), Err(24));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file stays");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn a_table_remembers_what_a_map_does(
            rows in prop::collection::vec(
                (0_u128..400, 1_u64.., any::<u64>(), any::<Option<i64>>(), any::<u32>(), any::<bool>()),
                0..600,
            ),
            slots in 2_u64..64,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut table = Table::make(folder.path(), slots).unwrap();
            let mut map = HashMap::new();
            for (key, line, content, micros, revision, is_pending) in rows {
                // Keys far apart and keys that collide.
                let key = if key % 2 == 0 { key } else { key << 100 };
                prop_assert_eq!(table.get(key).unwrap(), map.get(&key).copied());
                let created_at = micros.map(Timestamp::from_micros);
                let seen = Seen { line, content, created_at, revision, is_pending };
                table.put(key, seen).unwrap();
                map.insert(key, seen);
            }
            prop_assert_eq!(table.taken, map.len() as u64);
            for (key, seen) in map {
                prop_assert_eq!(table.get(key).unwrap(), Some(seen));
            }
        }
    }
}
