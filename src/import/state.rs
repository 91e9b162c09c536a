//! What an import remembers beside the file, so that an interrupted one goes on where it was.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use daybook_core::id::fnv128;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lines::Place;

/// How much of a file's beginning tells it from another one.
const FINGERPRINT_BYTES: u64 = 1024 * 1024;

/// What happened to the rows so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub rows: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Rows that say something else than their record and not that they are newer.
    #[serde(default)]
    pub ignored: u64,
    pub rejected: u64,
    /// Rows that nothing names: another import of them records them again.
    pub unnamed: u64,
    /// Accounts that were opened for their first movement; they are no rows.
    pub opened: u64,
}

/// Where an import stands: everything before is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Names this import, so that a batch that was committed just before an interruption is not
    /// recorded twice, and another import of the same file is another one.
    pub run: Uuid,
    pub fingerprint: Fingerprint,
    /// The mapping, the user and the store: with others it is another import.
    pub setting: String,
    pub batch: usize,
    pub offset: u64,
    pub line: u64,
    pub rejects_bytes: u64,
    pub counts: Counts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    bytes: u64,
    hash: String,
}

impl Fingerprint {
    /// Hashes the beginning of a file.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::of_beginning(path, FINGERPRINT_BYTES)
    }

    fn of_beginning(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut beginning = Vec::new();
        File::open(path)?.take(bytes).read_to_end(&mut beginning)?;
        let bytes = u64::try_from(beginning.len()).unwrap_or(u64::MAX);
        Ok(Self { bytes, hash: hash(&[&beginning]) })
    }

    /// Whether the file still begins as it did; it may have grown.
    fn fits(&self, path: &Path) -> io::Result<bool> {
        Ok(Self::of_beginning(path, self.bytes)? == *self)
    }
}

/// A hash as text.
pub fn hash(parts: &[&[u8]]) -> String {
    format!("{:032x}", fnv128(parts))
}

impl State {
    pub fn place(&self) -> Place {
        Place { offset: self.offset, line: self.line }
    }

    /// The state of an interrupted import of this file; `Ok(Err(why))` when there is one that
    /// cannot be used.
    pub fn load(
        path: &Path,
        file: &Path,
        setting: &str,
    ) -> anyhow::Result<Result<Option<Self>, String>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Err(error).with_context(|| shown("reading", path)),
        };
        let Ok(state) = serde_json::from_str::<Self>(&text) else {
            return Ok(Err(format!("'{}' is no state of an import", path.display())));
        };
        let length = std::fs::metadata(file).with_context(|| shown("reading", file))?.len();
        let fits = state.fingerprint.fits(file).with_context(|| shown("reading", file))?;
        if !fits || length < state.offset {
            return Ok(Err(format!("'{}' changed since it was interrupted", file.display())));
        }
        if state.setting != setting {
            let why = "the interrupted import had another mapping, user or store";
            return Ok(Err(why.to_owned()));
        }
        Ok(Ok(Some(state)))
    }

    /// Replaces the state file in one step.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        let write = || -> io::Result<()> {
            let mut file = File::create(&draft)?;
            file.write_all(serde_json::to_string(self)?.as_bytes())?;
            file.sync_data()?;
            std::fs::rename(&draft, path)
        };
        write().with_context(|| shown("writing", path))
    }
}

fn shown(what: &str, path: &Path) -> String {
    format!("{what} '{}'", path.display())
}
