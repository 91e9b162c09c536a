//! A file as the source or the target of a copy.

use std::path::Path;

use daybook_core::{EventSeq, Subject};
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::{outdated, pool, schema, verify, write};
use crate::codec::sqlite::bytes;
use crate::codec::{self, Columns};
use crate::copy::{Column, Kind, Place, Row, Table, Value};
use crate::outdated::OUTDATED;
use crate::{Error, Progress, Result, Verified, postings};

/// The page cache of the target in KiB: pages of indexes are written in no order.
const CACHE_KIB: i64 = 256 * 1024;
/// How long the write-ahead log of the target grows before it is brought into the file, in pages.
const LOG_PAGES: i64 = 16 * 1024;

pub struct File {
    name: String,
    conn: Connection,
    /// Held until the copy is over, so that nobody else changes the file.
    #[expect(dead_code, reason = "held, never read")]
    lock: std::fs::File,
}

impl File {
    /// Opens a file that is there, and changes nothing of it.
    pub fn source(path: &Path) -> Result<Self> {
        let refused =
            |reason: &str| Error::CannotOpen { path: path.to_owned(), reason: reason.to_owned() };
        if !path.exists() {
            return Err(refused("there is no such file"));
        }
        let lock = schema::lock(path)?;
        let conn = pool::reader(path).map_err(|error| refused(&error.to_string()))?;
        conn.execute_batch(&Self::read())?;
        schema::require_current(&conn, path)?;
        schema::require_whole(&conn, path)?;
        crate::copy::require_indexed(path, schema::is_there(&conn, OUTDATED)?)?;
        Ok(Self::new(path, conn, lock))
    }

    /// Opens a file to be filled, and makes it when it is not there.
    pub fn target(path: &Path) -> Result<Self> {
        let schema::Opened { mut conn, lock, .. } = schema::open(path)?;
        outdated::complete(&mut conn, None)?;
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(Self::new(path, conn, lock))
    }

    fn new(path: &Path, conn: Connection, lock: std::fs::File) -> Self {
        Self { name: format!("sqlite:{}", path.display()), conn, lock }
    }

    fn insert_rows(&self, table: &Table, rows: Vec<Row>) -> Result<()> {
        let is_items = table.name == "transactions";
        let mut placed = Vec::with_capacity(rows.len());
        for row in rows {
            let at = if is_items { Some(position(&row)?) } else { None };
            placed.push((at, row));
        }
        // The index writes one piece per commit as long as row numbers rise.
        placed.sort_by_key(|(at, _)| *at);
        let mut names: Vec<&str> =
            table.columns.iter().map(|(name, _)| self.column(name)).collect();
        names.extend(is_items.then_some("pos"));
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!("insert into {} ({}) values ({marks})", table.name, names.join(", "));
        let mut insert = self.conn.prepare_cached(&sql)?;
        for (at, row) in placed {
            let values = row.0.iter().zip(table.columns);
            let values = values.map(|(value, (_, kind))| bound(value, *kind));
            insert.execute(params_from_iter(values.chain(at.map(ToSqlOutput::from))))?;
            match (table.name, at) {
                ("events", _) => self.post_event(&row)?,
                (_, Some(at)) => self.post_item(at, &row)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn post_event(&self, row: &Row) -> Result<()> {
        let event = codec::event(row, None)?;
        if let Subject::Item(_) = event.subject {
            let user = codec::prefix(row.number(codec::EVENT_COLUMNS, "user")?);
            self.conn.prepare_cached(write::POST_EVENT)?.execute((event.seq.0, user))?;
        }
        Ok(())
    }

    fn post_item(&self, at: i64, row: &Row) -> Result<()> {
        let (user, document) = row.document()?;
        let text = postings::fts(user, &document);
        self.conn.prepare_cached(write::POST_ITEM)?.execute((at, text))?;
        Ok(())
    }
}

/// The row number of an item.
fn position(row: &Row) -> Result<i64> {
    Ok(codec::pos(row.time(12, "time")?, EventSeq(row.number(15, "event number")?)))
}

/// A value as this store keeps it.
fn bound(value: &Value, kind: Kind) -> ToSqlOutput<'_> {
    match value {
        Value::Null => ToSqlOutput::Owned(Owned::Null),
        Value::Number(number) => ToSqlOutput::from(*number),
        Value::Text(text) => ToSqlOutput::from(text.as_str()),
        Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Value::Uuid(uuid) => ToSqlOutput::Borrowed(ValueRef::Blob(uuid.as_bytes())),
        Value::Atto(atto) if kind == Kind::Amount => {
            ToSqlOutput::Owned(Owned::Blob(atto.as_i128().to_be_bytes().to_vec()))
        }
        Value::Atto(atto) => ToSqlOutput::Owned(Owned::Blob(bytes(*atto).as_slice().to_vec())),
        Value::Flag(flag) => ToSqlOutput::from(*flag),
    }
}

impl Place for File {
    const KIND: &'static str = "sqlite";
    const WRITE: &'static str = "begin immediate";
    const SETTLE: &'static str = "";

    fn read() -> String {
        "begin".to_owned()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self, table: &Table) -> &'static [Column] {
        match table.name {
            "transactions" => &[("pos", Kind::Number)],
            "replies" => &[("reply", Kind::Number)],
            _ => table.key,
        }
    }

    fn column(&self, name: &'static str) -> &'static str {
        if name == "subject" { "transaction_id" } else { name }
    }

    async fn is_unfinished(&self) -> Result<bool> {
        schema::is_unfinished(&self.conn)
    }

    async fn batch(&self, sql: &str) -> Result<()> {
        Ok(tokio::task::block_in_place(|| self.conn.execute_batch(sql))?)
    }

    async fn ask(&self, sql: &str, params: &[Value], columns: &[Column]) -> Result<Vec<Row>> {
        tokio::task::block_in_place(|| {
            let mut ask = self.conn.prepare_cached(sql)?;
            let params = params.iter().map(|value| bound(value, Kind::Money));
            let mut rows = ask.query(params_from_iter(params))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Row::read(row, columns)?);
            }
            Ok(found)
        })
    }

    async fn insert(&self, table: &Table, rows: Vec<Row>) -> Result<()> {
        tokio::task::block_in_place(|| self.insert_rows(table, rows))
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        tokio::task::block_in_place(|| verify::verify(&self.conn, None, progress))
    }
}
