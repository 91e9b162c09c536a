//! Copies the write-ahead log into the database file, beside the writer, so that nobody waits for
//! it. Only to begin the log anew does the writer stop for a moment, when little is left to copy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OpenFlags};

use crate::{Error, Result};

/// How many pages the log gathers before they are copied (8 MiB): enough to copy a page once for
/// many changes, few enough that the disk is not flooded.
const COPY_PAGES: i32 = 2_048;
/// How many pages the log may hold before it begins anew (32 MiB): few enough to open quickly, and
/// to reach soon the end of a file that has to grow.
const RESTART_PAGES: i32 = 8_192;

#[derive(Default)]
struct Shared {
    /// Pages in the log, as of the last commit.
    pages: AtomicI32,
    /// Pages that were in the log when it was last copied.
    copied: AtomicI32,
    copying: AtomicBool,
    closed: Mutex<bool>,
    wake: Condvar,
}

pub struct Checkpoint {
    shared: Arc<Shared>,
}

impl Checkpoint {
    /// Follows the commits of the writing connection.
    pub fn follow(writer: &mut Connection, path: &Path) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let counted = Arc::clone(&shared);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.pages.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.pragma_update(None, "synchronous", "full")?;
        let copier = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || copier.run(&conn))
            .map_err(|error| Error::Driver(Box::new(error)))?;
        Ok(Self { shared })
    }

    /// Called by the writer between commits.
    pub fn tend(&self, writer: &Connection) {
        let shared = &self.shared;
        if shared.copying.load(Ordering::Acquire) {
            return;
        }
        let pages = shared.pages.load(Ordering::Relaxed);
        let left = pages - shared.copied.load(Ordering::Relaxed);
        let long = pages > RESTART_PAGES;
        if long && left < COPY_PAGES / 2 {
            run(writer, "restart");
            shared.pages.store(0, Ordering::Relaxed);
            shared.copied.store(0, Ordering::Relaxed);
            return;
        }
        if left < COPY_PAGES && !long {
            return;
        }
        shared.copying.store(true, Ordering::Release);
        let _closed = shared.closed.lock();
        shared.wake.notify_one();
    }

    /// Copies what is left and empties the log.
    pub fn finish(&self, writer: &Connection) {
        *self.shared.closed.lock() = true;
        self.shared.wake.notify_one();
        run(writer, "truncate");
    }
}

impl Shared {
    fn run(&self, conn: &Connection) {
        loop {
            {
                let mut closed = self.closed.lock();
                while !*closed && !self.copying.load(Ordering::Acquire) {
                    self.wake.wait(&mut closed);
                }
                if *closed {
                    return;
                }
            }
            self.copied.store(self.pages.load(Ordering::Relaxed), Ordering::Relaxed);
            run(conn, "passive");
            self.copying.store(false, Ordering::Release);
        }
    }
}

/// A failure is no harm: the log stays, and is copied later.
fn run(conn: &Connection, mode: &str) {
    let sql = format!("pragma wal_checkpoint({mode})");
    if let Err(error) = conn.query_row(&sql, [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log stays for now");
    }
}
