//! The file: found, locked, checked and brought up to date.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook_core::EventSeq;
use refinery::embed_migrations;
use rusqlite::{Connection, OpenFlags};

use super::chain;
use crate::chain::Link;
use crate::{Error, Result};

embed_migrations!("migrations/sqlite");

/// Marks a database file as Daybook's (`DAYB`), so that no other is written to.
const APPLICATION_ID: i64 = 0x4441_5942;
/// The writer's page cache, in KiB. SQLite walks all of it after many a commit to a file below one
/// gigabyte (it moves pages by way of a number behind the last), so more is not faster.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// A process that is about to end, or that another one was just forked from, holds the lock a
/// moment longer than it needs it.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(40);

/// A file that is this process's.
pub struct Opened {
    pub conn: Connection,
    pub seq: EventSeq,
    /// The link of the newest event.
    pub link: Link,
    /// Held until the store is closed; the operating system lets go of it when the process dies.
    pub lock: File,
}

/// Opens the file for writing, and creates it when there is none.
pub fn open(path: &Path) -> Result<Opened> {
    let lock = lock(path)?;
    let refused = |reason: String| Error::CannotOpen { path: path.to_owned(), reason };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn =
        Connection::open_with_flags(path, flags).map_err(|error| refused(error.to_string()))?;
    if std::fs::metadata(path).is_ok_and(|found| found.permissions().readonly())
        || conn.is_readonly("main").unwrap_or(false)
    {
        return Err(refused("the file is read-only".to_owned()));
    }
    check_application(&conn, path)?;
    configure(&conn).map_err(|error| match error {
        Error::Driver(source) => refused(source.to_string()),
        other => other,
    })?;
    migrate(&mut conn, path)?;
    chain::complete(&mut conn)?;
    let (seq, link) = chain::newest(&conn)?;
    Ok(Opened { conn, seq, link, lock })
}

/// Takes the lock that says whose file this is. A file of its own, because closing a second handle
/// of the database would drop SQLite's locks.
pub fn lock(path: &Path) -> Result<File> {
    let cannot = |error: std::io::Error| Error::CannotOpen {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(beside(path, "-lock"))
        .map_err(cannot)?;
    let mut tries_left = LOCK_TRIES;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if tries_left > 0 => {
                tries_left -= 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
}

/// The path with something added to its file name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn check_application(conn: &Connection, path: &Path) -> Result<()> {
    let refused =
        |reason: &str| Error::CannotOpen { path: path.to_owned(), reason: reason.to_owned() };
    let read = |name: &str| conn.query_row(&format!("pragma {name}"), [], |r| r.get::<_, i64>(0));
    let id = read("application_id").map_err(|_| refused("it is no database"))?;
    let empty = read("schema_version")? == 0;
    match id {
        APPLICATION_ID => Ok(()),
        0 if empty => {
            // A commit writes whole pages, and most of those it touches change little.
            conn.pragma_update(None, "page_size", 4096)?;
            conn.pragma_update(None, "application_id", APPLICATION_ID)?;
            Ok(())
        }
        _ => Err(refused("it is a database of another program")),
    }
}

fn configure(conn: &Connection) -> Result<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    // Nothing is acknowledged before it is on the disk.
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    // The writer decides when; see there.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    super::pool::keep_plans(conn)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(conn: &mut Connection, path: &Path) -> Result<()> {
    let (found, known) = (version(conn)?, known());
    if found > known {
        return Err(Error::TooNew { path: path.to_owned(), found, known });
    }
    if found < known {
        let runner = migrations::runner().set_abort_divergent(true);
        runner.run(conn).map_err(|error| Error::Driver(Box::new(error)))?;
        // More of a batch in memory makes fewer, larger pieces of index.
        conn.execute("insert into search (search, rank) values ('hashsize', 16777216)", [])?;
        // Merge pieces of the index eight at a time: half the copying, some more look-ups.
        conn.execute("insert into search (search, rank) values ('automerge', 8)", [])?;
    }
    Ok(())
}

/// The number of the newest migration that this program has.
fn known() -> i64 {
    let newest =
        migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
    newest.unwrap_or(0).into()
}

/// Refuses a file of another schema than this program's, without a change.
pub fn require_current(conn: &Connection, path: &Path) -> Result<()> {
    crate::copy::require_current(path, version(conn)?, known())
}

/// Refuses a file that holds a part of the books.
pub fn require_whole(conn: &Connection, path: &Path) -> Result<()> {
    crate::copy::require_whole(path, is_unfinished(conn)?)
}

/// Whether the file is the target of a copy that has not ended.
pub fn is_unfinished(conn: &Connection) -> Result<bool> {
    is_there(conn, "copying")
}

/// Whether the file has a table.
pub fn is_there(conn: &Connection, table: &str) -> Result<bool> {
    let find = "select count(*) > 0 from sqlite_schema where name = ?1";
    Ok(conn.query_row(find, [table], |row| row.get(0))?)
}

/// The number of the newest migration that the file has seen; 0 when it is new.
pub fn version(conn: &Connection) -> Result<i64> {
    if !is_there(conn, "refinery_schema_history")? {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0) from refinery_schema_history";
    Ok(conn.query_row(newest, [], |row| row.get(0))?)
}
