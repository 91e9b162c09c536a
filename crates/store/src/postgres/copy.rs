//! A database as the source or the target of a copy.

use std::time::Duration;

use super::connect::Conn;
use super::locks::Lock;
use super::param::{Atto, Param};
use super::target::Target;
use super::{outdated, schema, verify};
use crate::codec::Columns;
use crate::copy::{Column, Kind, Place, Row, Table, Value, refused};
use crate::outdated::OUTDATED;
use crate::{Options, Progress, Result, Verified, postings};

type Array<'a> = Box<dyn Param + Send + 'a>;

pub struct Database {
    name: String,
    conn: Conn,
}

impl Database {
    /// Opens a database that has books, and changes nothing of it.
    pub async fn source(url: &str) -> Result<Self> {
        let target = Target::parse(url, &Options::default())?;
        let conn = connect(&target).await?;
        conn.batch(&Self::read()).await?;
        schema::require_current(&conn, &target).await?;
        schema::require_whole(&conn, &target).await?;
        let is_outdated = schema::is_there(&conn, OUTDATED).await?;
        crate::copy::require_indexed(target.name.as_ref(), is_outdated)?;
        Ok(Self { name: target.name, conn })
    }

    /// Opens a database to be filled, and brings its schema up to date.
    pub async fn target(url: &str) -> Result<Self> {
        let target = Target::parse(url, &Options::default())?;
        let conn = connect(&target).await?;
        conn.batch("begin").await?;
        let free = conn.query_opt(&Lock::CopySource.try_take(), &[]).await?;
        let is_free = free.map_or(Ok(false), |row| row.flag(0, "lock"))?;
        conn.batch("rollback").await?;
        if !is_free {
            let what = "is the source itself, or is being copied elsewhere at this moment";
            return Err(refused(format!("'{}' {what}", target.name)));
        }
        schema::migrate(&target).await?;
        outdated::complete(&target, None).await?;
        Ok(Self { name: target.name, conn })
    }
}

/// A connection whose statements take as long as they take.
async fn connect(target: &Target) -> Result<Conn> {
    Ok(target.connect().await?.patient(Duration::MAX))
}

/// The values of a column as an array.
fn array<'a>(rows: &'a [Row], at: usize, kind: Kind) -> Result<Array<'a>> {
    fn of<'a, T>(rows: &'a [Row], read: impl Fn(&'a Row) -> Result<T>) -> Result<Array<'a>>
    where
        Vec<T>: Param + Send + 'a,
    {
        Ok(Box::new(rows.iter().map(read).collect::<Result<Vec<T>>>()?))
    }
    match kind {
        Kind::Number => of(rows, |row| row.maybe_number(at, "number")),
        Kind::Text | Kind::Json => of(rows, |row| row.maybe_text(at, "text")),
        Kind::Bytes => of(rows, |row| row.maybe_bytes(at, "bytes")),
        Kind::Uuid => of(rows, |row| row.maybe_uuid(at, "id")),
        Kind::Amount | Kind::Money => {
            of(rows, |row| Ok(row.maybe_wide(at, "amount")?.map(Atto::of)))
        }
        Kind::Flag => of(rows, |row| row.flag(at, "flag")),
    }
}

/// A single value.
fn param(value: &Value) -> Box<dyn Param + Send + '_> {
    match value {
        Value::Null => Box::new(None::<i64>),
        Value::Number(number) => Box::new(*number),
        Value::Text(text) => Box::new(text.as_str()),
        Value::Bytes(bytes) => Box::new(bytes.as_slice()),
        Value::Uuid(uuid) => Box::new(*uuid),
        Value::Atto(atto) => Box::new(Atto::of(*atto)),
        Value::Flag(flag) => Box::new(*flag),
    }
}

impl Place for Database {
    const KIND: &'static str = "postgres";
    const WRITE: &'static str = "begin isolation level read committed; \
        set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
        set local jit = off";
    // Users are counted on from the last one; and verifying asks better when the planner knows.
    const SETTLE: &'static str = "select setval(pg_get_serial_sequence('users', 'user'), \
            max(\"user\")) from users having count(*) > 0; \
        analyze users, events, transactions, statistics, words, accounts, funds, transfers, marks";

    fn read() -> String {
        // Keys are walked by their indexes, even where nobody has counted the rows yet.
        let begin = "begin isolation level repeatable read read only; \
            set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
            set local enable_seqscan = off; set local jit = off";
        format!("{begin}; {}", Lock::CopySource.share())
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self, table: &Table) -> &'static [Column] {
        table.key
    }

    fn column(&self, name: &'static str) -> &'static str {
        name
    }

    async fn is_unfinished(&self) -> Result<bool> {
        schema::is_unfinished(&self.conn).await
    }

    async fn batch(&self, sql: &str) -> Result<()> {
        self.conn.batch(sql).await
    }

    async fn ask(&self, sql: &str, params: &[Value], columns: &[Column]) -> Result<Vec<Row>> {
        let params: Vec<_> = params.iter().map(param).collect();
        let params: Vec<&dyn Param> = params.iter().map(|param| &**param as &dyn Param).collect();
        let rows = self.conn.query(sql, &params).await?;
        rows.iter().map(|row| Row::read(row, columns)).collect()
    }

    async fn insert(&self, table: &Table, rows: Vec<Row>) -> Result<()> {
        let (mut names, mut values, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (name, kind)) in table.columns.iter().enumerate() {
            let cast = if *kind == Kind::Json { "::json" } else { "" };
            values.push(format!("\"{name}\"{cast}"));
            names.push(format!("\"{name}\""));
            arrays.push(array(&rows, at, *kind)?);
        }
        let mut given = names.clone();
        match table.name {
            "transactions" => {
                let text = |row: &Row| -> Result<String> {
                    let (user, document) = row.document()?;
                    Ok(postings::tsvector(user, &document))
                };
                let texts = rows.iter().map(text).collect::<Result<Vec<_>>>()?;
                arrays.push(Box::new(texts));
                names.push("search".to_owned());
                values.push("search::tsvector".to_owned());
                given.push("search".to_owned());
            }
            "followers" => {
                names.extend(["owner", "lease_until"].map(str::to_owned));
                values.extend(["''", "'epoch'::timestamptz"].map(str::to_owned));
            }
            _ => {}
        }
        let marks: Vec<_> = (1..=arrays.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "insert into {} ({}) overriding system value select {} from unnest({}) as new ({})",
            table.name,
            names.join(", "),
            values.join(", "),
            marks.join(", "),
            given.join(", ")
        );
        let params: Vec<&dyn Param> = arrays.iter().map(|array| &**array as &dyn Param).collect();
        self.conn.execute(&sql, &params).await?;
        Ok(())
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        self.conn.batch(&Self::read()).await?;
        self.conn.batch("set local enable_seqscan = on").await?;
        let verified = verify::verify(&self.conn, None, progress).await?;
        self.conn.batch("commit").await?;
        Ok(verified)
    }
}
