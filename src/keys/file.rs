//! The file of master keys.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A new master key as it stands in the file.
pub fn new_key() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(STANDARD.encode(bytes))
}

/// Puts a key before all others. After a crash the file is the old or the new one, whole.
pub fn put_first(path: &Path, key: &str) -> anyhow::Result<()> {
    let doing = || format!("writing the key file '{}'", path.display());
    // The file itself is replaced, not a link to it.
    let path = path.canonicalize().with_context(doing)?;
    replace(&path, key).with_context(doing)
}

fn replace(path: &Path, key: &str) -> anyhow::Result<()> {
    let folder = File::open(path.parent().context("it is in no folder")?)?;
    // Of two rotations at once one would lose the key of the other. The lock ends with its process,
    // and where the file system knows none, nobody waits for it.
    if let Err(TryLockError::WouldBlock) = folder.try_lock() {
        bail!("another rotation is at work");
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A rotation that was killed may have left its own.
    remove(&new)?;
    let written = write(path, &new, key);
    if written.is_err() {
        remove(&new)?;
    }
    written?;
    Ok(folder.sync_all()?)
}

fn write(path: &Path, new: &Path, key: &str) -> anyhow::Result<()> {
    let old = std::fs::read_to_string(path)?;
    let owner = std::fs::metadata(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let ours = file.metadata()?;
    // Who reads it now reads it then, but nobody else.
    file.set_permissions(Permissions::from_mode(owner.mode() & 0o640))?;
    if (ours.uid(), ours.gid()) != (owner.uid(), owner.gid()) {
        // The server must be able to read it as before.
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(format!("{key}\n{old}").as_bytes())?;
    file.sync_all()?;
    Ok(std::fs::rename(new, path)?)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_rotations_at_once_the_second_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.keys");
        std::fs::write(&path, "old\n").expect("a file");
        let first = File::open(folder.path()).expect("the folder");
        first.lock().expect("the first rotation's lock");
        let error = put_first(&path, "new").expect_err("the first one is at work");
        assert!(format!("{error:#}").ends_with("another rotation is at work"), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), "old\n");
    }
}
