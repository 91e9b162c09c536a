//! A complete copy of the books while they are in use.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{pool, schema};
use crate::{Error, Progress, Result};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(200);

/// Copies the store of a URL to a file that is not there yet. It needs no server and disturbs none.
///
/// # Errors
/// When the target exists or cannot be written, or the source is no store.
pub async fn backup_file(url: &str, target: &Path, progress: Progress<'_>) -> Result<()> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            backup(Path::new(path), target, progress).await
        }
        Some(("postgres" | "postgresql", _)) => Err(Error::NoBackup),
        _ => Err(Error::BadUrl { url: crate::public_name(url) }),
    }
}

pub async fn backup(source: &Path, target: &Path, progress: Progress<'_>) -> Result<()> {
    let refused = |path: &Path, reason: &str| Error::CannotOpen {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if target.exists() {
        return Err(refused(target, "there is a file of this name already"));
    }
    if !source.exists() {
        return Err(refused(source, "there is no such file"));
    }
    let conn = pool::reader(source)?;
    if schema::version(&conn)? == 0 {
        return Err(refused(source, "it is no Daybook database"));
    }
    schema::require_whole(&conn, source)?;
    let pages: u64 = conn.query_row(
        "select page_count * page_size from pragma_page_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?;
    // Written under another name, so that a file of the wanted name is always a whole copy.
    let part = schema::beside(target, ".part");
    remove(&part)?;
    let copy = {
        let part = part.clone();
        tokio::task::spawn_blocking(move || write(&conn, &part))
    };
    let mut copy = std::pin::pin!(copy);
    let outcome = loop {
        match tokio::time::timeout(TICK, &mut copy).await {
            Ok(outcome) => break outcome.map_err(|error| Error::Driver(Box::new(error)))?,
            Err(_) => {
                let done = std::fs::metadata(&part).map_or(0, |found| found.len());
                progress(done.min(pages), pages);
            }
        }
    };
    if let Err(error) = outcome {
        remove(&part)?;
        return Err(error);
    }
    finish(&part, target).map_err(|error| refused(target, &error.to_string()))?;
    progress(pages, pages);
    Ok(())
}

/// One read transaction copies one state of the books; writers go on meanwhile.
fn write(conn: &rusqlite::Connection, part: &Path) -> Result<()> {
    let name = part.to_str().ok_or_else(|| Error::CannotOpen {
        path: part.to_owned(),
        reason: "the name is not UTF-8".to_owned(),
    })?;
    conn.execute("vacuum into ?1", [name])?;
    Ok(())
}

/// The copy is on the disk before it gets its name.
fn finish(part: &PathBuf, target: &Path) -> std::io::Result<()> {
    File::open(part)?.sync_all()?;
    std::fs::rename(part, target)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn remove(part: &Path) -> Result<()> {
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::CannotOpen { path: part.to_owned(), reason: error.to_string() })
        }
        _ => Ok(()),
    }
}
