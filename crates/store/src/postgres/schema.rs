//! The schema: brought up to date by one process at a time.

use refinery::embed_migrations;

use super::connect::Conn;
use super::failure::{away, describe};
use super::target::Target;
use crate::{Error, Result};

embed_migrations!("migrations/postgres");

/// The advisory lock that one process holds while it migrates.
const LOCK: i64 = 0x4441_5942_0001;

/// Brings the schema up to date. Each migration is a transaction together with the note that it
/// was made, so one that is interrupted is made again.
///
/// # Errors
/// When the schema is newer than this program, or the server refuses.
pub async fn migrate(target: &Target) -> Result<()> {
    let known = known();
    let conn = target.connect().await?;
    let found = version(&conn).await?;
    if found > known {
        return Err(Error::TooNew { path: target.name.clone().into(), found, known });
    }
    if found == known {
        return Ok(());
    }
    // A lock of a transaction, because a pooler may give each statement outside of one another
    // connection. It ends with this connection, however that ends.
    conn.batch(&format!(
        "begin; set local statement_timeout = 0; select pg_advisory_xact_lock({LOCK})"
    ))
    .await?;
    let mut client = target.connect_plain().await?;
    let runner = migrations::runner().set_abort_divergent(true);
    let migrated = runner.run_async(&mut client).await;
    conn.batch("commit").await?;
    migrated.map_err(|error| {
        if client.is_closed() { away(describe(&error)) } else { Error::Driver(Box::new(error)) }
    })?;
    Ok(())
}

/// The number of the newest migration that this program knows.
pub fn known() -> i64 {
    let runner = migrations::runner();
    i64::from(runner.get_migrations().iter().map(refinery::Migration::version).max().unwrap_or(0))
}

/// The number of the newest migration that the database has seen; 0 when it is new.
///
/// # Errors
/// What the server says.
pub async fn version(conn: &Conn) -> Result<i64> {
    let there = "select to_regclass('refinery_schema_history') is not null";
    let there = conn.query_opt(there, &[]).await?;
    if !there.is_some_and(|row| row.try_get(0).unwrap_or(false)) {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0)::bigint from refinery_schema_history";
    let newest = conn.query_opt(newest, &[]).await?;
    newest.map_or(Ok(0), |row| Ok(row.try_get(0)?))
}
