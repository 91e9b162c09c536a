//! The ring of keys in a schema of its own, which a dump of the books leaves out. Another process may
//! destroy keys, so every question asks for them; what is in memory only saves to unwrap them. It changes in a
//! transaction that has the turn of a commit, so that nothing is sealed by a key that is destroyed
//! at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use daybook_core::{UserId, WriteSet};
use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::Conn;
use super::locks::Lock;
use super::target::Target;
use crate::codec::Columns;
use crate::seal::ring::{NewKey, RingKey, fields, require_masters, require_same};
use crate::seal::{
    DataKey, DataKeys, Documents, Keys, Masters, Named, Plan, RingStatus, Seal, Sealed, cipher,
};
use crate::{Error, Options, Result};

/// How long questions may wait behind a cleaning that waits for others.
const CLEAN_WAIT_MS: u32 = 500;

const TABLES: &str = "
    create schema if not exists daybook_keys;
    create table if not exists daybook_keys.ring (id uuid not null);
    create table if not exists daybook_keys.keys (
        key bigint generated always as identity primary key,
        owner text collate \"C\" not null,
        master text not null,
        wrapped bytea,
        made_at timestamptz not null default now(),
        shredded_at timestamptz
    );
    create index if not exists keys_owner on daybook_keys.keys (owner);
    create index if not exists keys_master on daybook_keys.keys (master)
        where wrapped is not null;
    create unique index if not exists keys_live on daybook_keys.keys (owner)
        where wrapped is not null;
";

/// The writer's side of the ring.
pub struct Ring {
    seal: Arc<Seal>,
    id: Uuid,
    /// Whether the books name this ring.
    is_named: bool,
    /// Whether the open transaction names it.
    is_naming: bool,
}

async fn named(conn: &Conn) -> Result<Option<Named>> {
    let row = conn.query_opt("select ring, fields from sealing", &[]).await?;
    row.as_ref().map(Named::read).transpose()
}

/// Adds the fields that are sealed here to those that the books name, in an open transaction; another
/// process that adds its own waits.
async fn name_fields(conn: &Conn, seal: &Seal) -> Result<()> {
    let row = conn.query_opt("select ring, fields from sealing for update", &[]).await?;
    let Some(said) = row.as_ref().map(Named::read).transpose()? else { return Ok(()) };
    let all = said.secrets.and(seal.secrets());
    if all != said.secrets {
        conn.execute("update sealing set fields = $1", &[&fields(&all)]).await?;
    }
    Ok(())
}

/// Opens the ring of books, and makes it where there is none yet and keys are given.
pub async fn open(target: &Target, options: &Options) -> Result<Option<Ring>> {
    let conn = target.connect().await?;
    let (name, said) = (&target.name, named(&conn).await?);
    let Some(sealing) = options.sealing.clone() else {
        return match said {
            Some(_) if !options.without_keys => Err(Error::NoMasterKey { name: name.clone() }),
            Some(_) | None => Ok(None),
        };
    };
    let seal = Arc::new(Seal::new(sealing, said.as_ref()));
    let named = said.as_ref().map(|said| said.ring);
    let there = "select to_regclass('daybook_keys.keys') is not null";
    let there = conn.query_opt(there, &[]).await?.map_or(Ok(false), |row| row.try_get(0))?;
    if !there {
        require_same(name, named, None)?;
        let id = Uuid::from_bytes(cipher::random()?);
        let made = format!(
            "begin; {}; {TABLES} \
             insert into daybook_keys.ring select '{id}' \
             where not exists (select 1 from daybook_keys.ring); commit",
            Lock::Ring.take()
        );
        conn.batch(&made).await?;
    }
    let found = conn.query_opt("select id from daybook_keys.ring", &[]).await?;
    let found = found.map(|row| row.uuid(0, "ring")).transpose()?;
    require_same(name, named, found)?;
    let id = found.ok_or_else(|| Error::NoRing { name: name.clone() })?;
    require_masters(&seal.masters(), in_use(&conn).await?.into_iter().map(|(id, _)| id))?;
    if said.is_some_and(|said| *seal.secrets() != said.secrets) {
        conn.batch("begin").await?;
        name_fields(&conn, &seal).await?;
        conn.batch("commit").await?;
    }
    Ok(Some(Ring { seal, id, is_named: named.is_some(), is_naming: false }))
}

fn kept(row: &Row) -> Result<RingKey> {
    Ok(RingKey {
        number: row.number(0, "key")?,
        owner: row.text(1, "key")?.to_owned(),
        master: row.text(2, "key")?.to_owned(),
        wrapped: row.maybe_bytes(3, "key")?.map(<[u8]>::to_vec),
    })
}

async fn ask(conn: &Conn, sql: &str, params: &[&dyn super::param::Param]) -> Result<Vec<RingKey>> {
    conn.query(sql, params).await?.iter().map(kept).collect()
}

/// The keys of these numbers, as far as there are such.
pub async fn keys(conn: &Conn, seal: &Seal, numbers: &BTreeSet<i64>) -> Result<Keys> {
    let sql = "select key, owner, master, wrapped from daybook_keys.keys where key = any($1)";
    let numbers: Vec<i64> = numbers.iter().copied().collect();
    let read = seal.known.now();
    seal.keys(ask(conn, sql, &[&numbers]).await?, read)
}

/// All keys that a user ever had; none where nothing is sealed.
pub async fn of_owner(conn: &Conn, seal: Option<&Seal>, owner: &UserId) -> Result<Keys> {
    let Some(seal) = seal else { return Ok(Keys::default()) };
    let sql = "select key, owner, master, wrapped from daybook_keys.keys where owner = $1";
    let read = seal.known.now();
    seal.keys(ask(conn, sql, &[&owner.as_str()]).await?, read)
}

/// The key of a user by which values are sealed now.
pub async fn live(conn: &Conn, seal: &Seal, owner: &str) -> Result<Option<Arc<DataKey>>> {
    let sql = "select key, owner, master, wrapped from daybook_keys.keys \
         where owner = any($1) and wrapped is not null";
    let read = seal.known.now();
    let found = ask(conn, sql, &[&vec![owner]]).await?;
    found.first().map_or(Ok(None), |kept| seal.data_key(kept, read))
}

/// Opens what an answer has sealed.
pub async fn opened<T: Sealed>(conn: &Conn, seal: Option<&Seal>, mut found: T) -> Result<T> {
    let Some(seal) = seal else { return Ok(found) };
    let mut numbers = BTreeSet::new();
    found.keys(&mut numbers);
    if !numbers.is_empty() {
        found.open(&keys(conn, seal, &numbers).await?)?;
    }
    Ok(found)
}

impl Ring {
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    pub fn shared(&self) -> Arc<Seal> {
        Arc::clone(&self.seal)
    }

    /// The keys that a commit needs; new users get theirs in the same transaction.
    pub async fn data_keys(&self, conn: &Conn, owners: &BTreeSet<String>) -> Result<DataKeys> {
        if owners.is_empty() {
            return Ok(DataKeys::new());
        }
        let sql = "select key, owner, master, wrapped from daybook_keys.keys \
             where owner = any($1) and wrapped is not null";
        let names: Vec<&str> = owners.iter().map(String::as_str).collect();
        let read = self.seal.known.now();
        let mut found = ask(conn, sql, &[&names]).await?;
        let known: BTreeSet<&str> = found.iter().map(|kept| kept.owner.as_str()).collect();
        let unknown = names.into_iter().filter(|name| !known.contains(name));
        let made = unknown.map(|name| self.seal.make_key(name)).collect::<Result<Vec<_>>>()?;
        if !made.is_empty() {
            found.extend(add(conn, &made).await?);
        }
        let mut keys = DataKeys::new();
        for kept in &found {
            if let Some(key) = self.seal.data_key(kept, read)? {
                keys.insert(kept.owner.clone(), key);
            }
        }
        Ok(keys)
    }

    /// Seals what is to be written, and notes in the books whose keys they need.
    pub async fn write(
        &mut self,
        conn: &Conn,
        plan: Plan,
        write: &mut WriteSet,
        keys: &DataKeys,
    ) -> Result<Documents> {
        self.is_naming = !self.is_named && !plan.is_empty();
        if self.is_naming {
            let sql = "insert into sealing (ring, fields) select $1, $2 \
                 where not exists (select 1 from sealing)";
            let fields = fields(self.seal.secrets());
            let made = conn.execute(sql, &[&self.id.as_bytes().to_vec(), &fields]).await?;
            if made == 0 {
                // Another process was first.
                name_fields(conn, &self.seal).await?;
            }
        }
        plan.seal(write, keys, &self.seal)
    }

    /// What was sent is committed.
    pub fn committed(&mut self) {
        self.is_named |= self.is_naming;
    }
}

async fn add(conn: &Conn, made: &[NewKey]) -> Result<Vec<RingKey>> {
    let sql = "insert into daybook_keys.keys (owner, master, wrapped) \
         select * from unnest($1, $2, $3) returning key, owner, master, wrapped";
    let owners: Vec<&str> = made.iter().map(|key| key.owner.as_str()).collect();
    let masters: Vec<&str> = made.iter().map(|key| key.master.as_str()).collect();
    let wrapped: Vec<Vec<u8>> = made.iter().map(|key| key.wrapped.clone()).collect();
    ask(conn, sql, &[&owners, &masters, &wrapped]).await
}

/// Each master key that wraps keys, and how many.
async fn in_use(conn: &Conn) -> Result<Vec<(String, u64)>> {
    let sql = "select master, count(*) from daybook_keys.keys \
         where wrapped is not null group by master order by master";
    let rows = conn.query(sql, &[]).await?;
    rows.iter().map(|row| Ok((row.text(0, "master")?.to_owned(), row.small(1, "count")?))).collect()
}

pub async fn status(conn: &Conn, seal: &Seal) -> Result<RingStatus> {
    let ring = conn.query_opt("select id from daybook_keys.ring", &[]).await?;
    let ring = ring.ok_or(Error::NotSealing)?.uuid(0, "ring")?;
    let shredded = "select count(*) from daybook_keys.keys where wrapped is null";
    let shredded = conn.query_opt(shredded, &[]).await?;
    let shredded = shredded.map_or(Ok(0), |row| row.small(0, "count"))?;
    Ok(RingStatus::of(ring, in_use(conn).await?, shredded, &seal.masters()))
}

pub async fn use_masters(conn: &Conn, seal: &Seal, masters: Masters) -> Result<()> {
    require_masters(&masters, in_use(conn).await?.into_iter().map(|(id, _)| id))?;
    seal.use_masters(masters);
    Ok(())
}

/// Wraps up to so many keys anew; answers how many are left.
pub async fn rewrap(conn: &Conn, seal: &Seal, limit: u32) -> Result<u64> {
    let current = seal.masters().current.id().to_owned();
    let old = "select key, owner, master, wrapped from daybook_keys.keys \
         where wrapped is not null and (master < $1 or master > $1) limit $2";
    let old = ask(conn, old, &[&current.as_str(), &i64::from(limit)]).await?;
    let (mut numbers, mut wrapped) = (Vec::new(), Vec::new());
    for kept in &old {
        if let Some(new) = seal.rewrapped(kept)? {
            numbers.push(kept.number);
            wrapped.push(new.wrapped);
        }
    }
    let change = "update daybook_keys.keys k set master = $3, wrapped = n.wrapped \
         from unnest($1, $2) as n (key, wrapped) where k.key = n.key";
    conn.execute(change, &[&numbers, &wrapped, &current.as_str()]).await?;
    let left = "select count(*) from daybook_keys.keys \
         where wrapped is not null and (master < $1 or master > $1)";
    let left = conn.query_opt(left, &[&current.as_str()]).await?;
    left.map_or(Ok(0), |row| row.small(0, "count"))
}

/// Destroys the keys of a user.
pub async fn shred(conn: &Conn, user: &UserId) -> Result<u64> {
    let sql = "update daybook_keys.keys set wrapped = null, shredded_at = now() \
         where owner = $1 and wrapped is not null";
    conn.execute(sql, &[&user.as_str()]).await
}

/// Writes the table anew, so that the file has no old rows. Who reads keys is not kept waiting: what
/// fails leaves the rows to the server's own cleaning, and so does a pooler, which keeps no settings.
pub async fn clean(target: &Target) {
    let emptied = async {
        if !target.keeps_settings() {
            return Ok(());
        }
        let conn = target.connect().await?;
        conn.batch(&format!("set lock_timeout = {CLEAN_WAIT_MS}")).await?;
        conn.batch("vacuum full daybook_keys.keys").await
    };
    if let Err(error) = emptied.await {
        tracing::warn!(%error, "old rows of the ring stay for now");
    }
}
