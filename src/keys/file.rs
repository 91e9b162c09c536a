//! The file of master keys.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
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
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = write(&path, &new, key);
    if written.is_err() && new.exists() {
        std::fs::remove_file(&new).with_context(doing)?;
    }
    written.with_context(doing)
}

fn write(path: &Path, new: &Path, key: &str) -> anyhow::Result<()> {
    let old = std::fs::read_to_string(path)?;
    let owner = std::fs::metadata(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (owner.uid(), owner.gid()) {
        // The server must be able to read it as before.
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(format!("{key}\n{old}").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    let folder = path.parent().context("it is in no folder")?;
    Ok(File::open(folder)?.sync_all()?)
}
