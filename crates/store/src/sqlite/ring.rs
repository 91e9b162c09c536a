//! The ring of keys in a file of its own beside the books. Only the writer changes it; readers have it
//! attached. Keys that are in memory are forgotten before anybody hears that some were destroyed.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daybook_core::{UserId, WriteSet};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::schema::beside;
use crate::seal::ring::{RingKey, fields, require_masters, require_same};
use crate::seal::{
    DataKey, DataKeys, Documents, Keys, Masters, Moment, Named, Owners, Plan, RingStatus, Seal,
    Sealed, cipher,
};
use crate::{Error, Options, Result};

/// How long the ring waits for whoever else has its file.
const BUSY: Duration = Duration::from_secs(5);
/// What the file's name adds to that of the books.
const SUFFIX: &str = "-keys";

const TABLES: &str = "
    -- Names the ring, so that books know theirs.
    create table if not exists ring (id blob not null) strict;
    -- The keys of users; wrapped is null when the key was destroyed. Numbers are never used again.
    create table if not exists keys (
        key integer primary key autoincrement,
        owner text not null,
        master text not null,
        wrapped blob,
        made_at integer not null,
        shredded_at integer
    ) strict;
    create unique index if not exists keys_owner on keys (owner) where wrapped is not null;
    create index if not exists keys_master on keys (master) where wrapped is not null;
";

const KEY: &str = "select key, owner, master, wrapped from keys";

/// As two ranges, so that the index of masters finds them.
const WRAPPED_BY_OTHERS: &str = "wrapped is not null and (master < ?1 or master > ?1)";

/// The writer's side of the ring.
pub struct Ring {
    conn: Connection,
    seal: Arc<Seal>,
    id: Uuid,
    /// Whether the books name this ring.
    is_named: bool,
    /// Whether the open transaction names it.
    is_naming: bool,
    /// Whether the log may still hold what was destroyed.
    is_dirty: bool,
}

/// What books say, when something is sealed in them.
fn named(books: &Connection) -> Result<Option<Named>> {
    let mut select = books.prepare("select ring, fields from sealing")?;
    select.query([])?.next()?.map(Named::read).transpose()
}

/// Opens the ring of books, and makes it where there is none yet and keys are given.
pub fn open(path: &Path, books: &Connection, options: &Options) -> Result<Option<Ring>> {
    let (name, said) = (path.display(), named(books)?);
    let Some(sealing) = options.sealing.clone() else {
        return match said {
            Some(_) if !options.without_keys => Err(Error::NoMasterKey { name: name.to_string() }),
            Some(_) | None => Ok(None),
        };
    };
    let seal = Arc::new(Seal::new(sealing, said.as_ref()));
    let named = said.as_ref().map(|said| said.ring);
    let file = beside(path, SUFFIX);
    if !file.exists() {
        require_same(&name, named, None)?;
        // Nobody else reads which keys there are.
        let made = File::options().write(true).create_new(true).mode(0o600).open(&file);
        made.map_err(|error| Error::Driver(Box::new(error)))?;
    }
    let conn = Connection::open(&file)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    // A key is on the disk before anything is sealed by it, and what is destroyed is overwritten.
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "secure_delete", true)?;
    conn.execute_batch(&format!("begin immediate; {TABLES} commit"))?;
    let found: Option<Vec<u8>> =
        conn.query_row("select id from ring", [], |row| row.get(0)).optional()?;
    let found = found.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    require_same(&name, named, found)?;
    let id = found.map_or_else(|| cipher::random().map(Uuid::from_bytes), Ok)?;
    if found.is_none() {
        conn.execute("insert into ring (id) values (?1)", [id.as_bytes().as_slice()])?;
    }
    if said.is_some_and(|said| *seal.secrets() != said.secrets) {
        books.execute("update sealing set fields = ?1", [fields(seal.secrets())])?;
    }
    let ring = Ring {
        conn,
        seal: Arc::clone(&seal),
        id,
        is_named: named.is_some(),
        is_naming: false,
        // A process that died may have destroyed something just before.
        is_dirty: true,
    };
    require_masters(&seal.masters(), ring.masters_in_use()?.into_iter().map(|(id, _)| id))?;
    Ok(Some(ring))
}

/// Lets a reader of the books look up keys too.
pub fn attach(reader: &Connection, path: &Path) -> Result<()> {
    let file = beside(path, SUFFIX);
    let cannot = || Error::NoRing { name: path.display().to_string() };
    reader.execute("attach database ?1 as daybook_keys", [file.to_str().ok_or_else(cannot)?])?;
    Ok(())
}

fn kept(row: &Row) -> rusqlite::Result<RingKey> {
    let (number, owner) = (row.get(0)?, row.get(1)?);
    Ok(RingKey { number, owner, master: row.get(2)?, wrapped: row.get(3)? })
}

/// The keys of these numbers, as far as there are such. Nobody else destroys any, so what is in memory
/// need not be looked up. `read` is before the connection's transaction saw the ring.
pub fn keys(conn: &Connection, seal: &Seal, numbers: &BTreeSet<i64>, read: Moment) -> Result<Keys> {
    let mut keys = Keys::default();
    for number in numbers {
        if let Some(key) = seal.known.by_number(*number) {
            keys.0.insert(*number, Some(key));
            continue;
        }
        let mut find = conn.prepare_cached(&format!("{KEY} where key = ?1"))?;
        if let Some(kept) = find.query_row([number], kept).optional()? {
            keys.0.insert(*number, seal.data_key(&kept, read)?);
        }
    }
    Ok(keys)
}

/// The key of an owner by which values are sealed now.
pub fn live(
    conn: &Connection,
    seal: &Seal,
    owner: &str,
    read: Moment,
) -> Result<Option<Arc<DataKey>>> {
    if let Some(key) = seal.known.by_owner(owner) {
        return Ok(Some(key));
    }
    let sql = format!("{KEY} where owner = ?1 and wrapped is not null");
    let found = conn.prepare_cached(&sql)?.query_row([owner], kept).optional()?;
    found.map_or(Ok(None), |kept| seal.data_key(&kept, read))
}

/// Opens what an answer has sealed.
pub fn opened<T: Sealed>(conn: &Connection, seal: &Seal, mut found: T, read: Moment) -> Result<T> {
    let mut numbers = BTreeSet::new();
    found.keys(&mut numbers);
    if !numbers.is_empty() {
        found.open(&keys(conn, seal, &numbers, read)?)?;
    }
    Ok(found)
}

impl Ring {
    pub fn shared(&self) -> Arc<Seal> {
        Arc::clone(&self.seal)
    }

    /// The keys of these numbers.
    pub fn keys(&self, numbers: &BTreeSet<i64>) -> Result<Keys> {
        keys(&self.conn, &self.seal, numbers, self.seal.known.now())
    }

    pub fn opened<T: Sealed>(&self, found: T) -> Result<T> {
        opened(&self.conn, &self.seal, found, self.seal.known.now())
    }

    /// Seals what is to be written. The keys of new users are durable before anything is sealed by
    /// them; one whose commit then fails waits for the user's next.
    pub fn seal(
        &mut self,
        books: &Connection,
        write: &mut WriteSet,
        owners: Owners,
    ) -> Result<Documents> {
        // What an earlier commit began to write may have failed.
        self.is_naming = false;
        let plan = Plan::of(write, &self.seal, owners)?;
        if plan.is_empty() {
            return Ok(Documents::default());
        }
        let keys = self.data_keys(&plan.owners)?;
        if !self.is_named {
            books.execute(
                "insert into sealing (ring, fields) values (?1, ?2)",
                (self.id.as_bytes().as_slice(), fields(self.seal.secrets())),
            )?;
            self.is_naming = true;
        }
        plan.seal(write, &keys, &self.seal)
    }

    /// What was sealed last is committed, so the books name the ring.
    pub fn committed(&mut self) {
        self.is_named |= std::mem::take(&mut self.is_naming);
    }

    fn data_keys(&mut self, owners: &BTreeSet<String>) -> Result<DataKeys> {
        let read = self.seal.known.now();
        let mut keys = DataKeys::new();
        let mut new = Vec::new();
        for owner in owners {
            match live(&self.conn, &self.seal, owner, read)? {
                Some(key) => drop(keys.insert(owner.clone(), key)),
                None => new.push(owner),
            }
        }
        if new.is_empty() {
            return Ok(keys);
        }
        let adding = self.conn.transaction()?;
        for owner in &new {
            let key = self.seal.make_key(owner)?;
            adding
                .prepare_cached(
                    "insert into keys (owner, master, wrapped, made_at) \
                     values (?1, ?2, ?3, unixepoch())",
                )?
                .execute((&key.owner, &key.master, &key.wrapped))?;
        }
        adding.commit()?;
        for owner in new {
            let key = live(&self.conn, &self.seal, owner, read)?;
            let key = key.ok_or_else(|| Error::Corrupt { what: "a key is gone".to_owned() })?;
            keys.insert(owner.clone(), key);
        }
        Ok(keys)
    }

    /// Each master key that wraps keys, and how many.
    fn masters_in_use(&self) -> Result<Vec<(String, u64)>> {
        let mut select = self.conn.prepare_cached(
            "select master, count(*) from keys where wrapped is not null group by master",
        )?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn status(&self) -> Result<RingStatus> {
        let shredded = "select count(*) from keys where wrapped is null";
        let shredded = self.conn.query_row(shredded, [], |row| row.get(0))?;
        Ok(RingStatus::of(self.id, self.masters_in_use()?, shredded, &self.seal.masters()))
    }

    pub fn use_masters(&self, masters: Masters) -> Result<()> {
        require_masters(&masters, self.masters_in_use()?.into_iter().map(|(id, _)| id))?;
        self.seal.use_masters(masters);
        Ok(())
    }

    /// Wraps up to so many keys anew; answers how many are left.
    pub fn rewrap(&mut self, limit: u32) -> Result<u64> {
        let current = self.seal.masters().current.id().to_owned();
        let changing = self.conn.transaction()?;
        let old = {
            let sql = format!("{KEY} where {WRAPPED_BY_OTHERS} limit ?2");
            let mut select = changing.prepare_cached(&sql)?;
            let rows = select.query_map((&current, limit), kept)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        for key in &old {
            let Some(new) = self.seal.rewrapped(key)? else { continue };
            changing
                .prepare_cached("update keys set master = ?2, wrapped = ?3 where key = ?1")?
                .execute((key.number, new.master, new.wrapped))?;
        }
        let left = format!("select count(*) from keys where {WRAPPED_BY_OTHERS}");
        let left = changing.query_row(&left, [&current], |row| row.get(0))?;
        changing.commit()?;
        if left == 0 {
            self.is_dirty = true;
            self.clean();
        }
        Ok(left)
    }

    /// Destroys the keys of a user.
    pub fn shred(&mut self, user: &UserId) -> Result<u64> {
        let destroyed = self.conn.execute(
            "update keys set wrapped = null, shredded_at = unixepoch() \
             where owner = ?1 and wrapped is not null",
            [user.as_str()],
        )?;
        self.seal.known.forget();
        self.is_dirty |= destroyed > 0;
        self.clean();
        Ok(destroyed as u64)
    }

    /// Empties the ring's log, which may hold what was destroyed. A reader may be in the way; then
    /// it is tried again.
    pub fn clean(&mut self) {
        if !self.is_dirty {
            return;
        }
        // Commits wait behind this.
        let emptied = self.conn.busy_timeout(Duration::ZERO).and_then(|()| {
            let empty = "pragma wal_checkpoint(truncate)";
            self.conn.query_row(empty, [], |row| row.get::<_, i64>(0))
        });
        let patient = self.conn.busy_timeout(BUSY);
        match emptied.and_then(|busy| patient.map(|()| busy)) {
            Ok(busy) => self.is_dirty = busy != 0,
            Err(error) => tracing::warn!(%error, "the log of the ring stays for now"),
        }
    }
}
