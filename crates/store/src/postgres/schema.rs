//! The schema: brought up to date by one process at a time.

use std::time::Duration;

use refinery::embed_migrations;

use super::chain;
use super::connect::Conn;
use super::failure::{away, describe};
use super::locks::Lock;
use super::target::Target;
use crate::chain::UNLINKED;
use crate::{Error, Result};

embed_migrations!("migrations/postgres");

/// How often one that waits looks whether another has migrated.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Brings the schema up to date. Each migration is a transaction together with the note that it
/// was made, so one that is interrupted is made again.
///
/// # Errors
/// When the schema is newer than this program, or the server refuses.
pub async fn migrate(target: &Target) -> Result<()> {
    let conn = target.connect().await?;
    let known = known();
    loop {
        let found = version(&conn).await?;
        if found > known {
            return Err(Error::TooNew { path: target.name.clone().into(), found, known });
        }
        if found == known && !is_there(&conn, UNLINKED).await? {
            return Ok(());
        }
        // A lock of a transaction, because a pooler may give each statement outside of one another
        // connection. It ends with this connection, however that ends.
        conn.batch("begin").await?;
        if is_ours(&conn).await? {
            break;
        }
        // Who waits keeps no transaction meanwhile: behind a pooler those who wait would have all
        // connections, and none would be left for the one who migrates.
        conn.batch("rollback").await?;
        tracing::debug!("another process brings the schema up to date");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut client = target.connect_plain().await?;
    let runner = migrations::runner().set_abort_divergent(true);
    let migrated = runner.run_async(&mut client).await;
    let completed = if migrated.is_ok() { chain::complete(&conn).await } else { Ok(()) };
    conn.batch("commit").await?;
    migrated.map_err(|error| {
        if client.is_closed() { away(describe(&error)) } else { Error::Driver(Box::new(error)) }
    })?;
    completed
}

/// The number of the newest migration that this program has.
pub fn known() -> i64 {
    let newest =
        migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
    newest.unwrap_or(0).into()
}

/// Refuses a database of another schema than this program's, without a change.
///
/// # Errors
/// That, and what the server says.
pub async fn require_current(conn: &Conn, target: &Target) -> Result<()> {
    crate::copy::require_current(target.name.as_ref(), version(conn).await?, known())
}

/// Refuses a database that holds a part of the books.
///
/// # Errors
/// That, and what the server says.
pub async fn require_whole(conn: &Conn, target: &Target) -> Result<()> {
    crate::copy::require_whole(target.name.as_ref(), is_unfinished(conn).await?)
}

/// Whether the database is the target of a copy that has not ended.
///
/// # Errors
/// What the server says.
pub async fn is_unfinished(conn: &Conn) -> Result<bool> {
    is_there(conn, "copying").await
}

/// Whether the database has a table.
///
/// # Errors
/// What the server says.
pub async fn is_there(conn: &Conn, table: &str) -> Result<bool> {
    let there = conn.query_opt("select to_regclass($1) is not null", &[&table]).await?;
    there.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

/// Whether the open transaction is now the one that migrates.
async fn is_ours(conn: &Conn) -> Result<bool> {
    let taken = conn.query_opt(&Lock::Migration.try_take(), &[]).await?;
    taken.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

/// The number of the newest migration that the database has seen; 0 when it is new.
///
/// # Errors
/// What the server says.
pub async fn version(conn: &Conn) -> Result<i64> {
    if !is_there(conn, "refinery_schema_history").await? {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0)::bigint from refinery_schema_history";
    let newest = conn.query_opt(newest, &[]).await?;
    newest.map_or(Ok(0), |row| Ok(row.try_get(0)?))
}
