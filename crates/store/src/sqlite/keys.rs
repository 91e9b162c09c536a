//! API keys in a file.

use daybook_core::{ApiKey, KeyId, Timestamp};
use rusqlite::Connection;

use crate::codec::key::{KEY, key};
use crate::{List, Result};

pub fn get(conn: &Connection, id: KeyId) -> Result<Option<ApiKey>> {
    let mut select = conn.prepare_cached(&format!("select {KEY} from api_keys where id = ?1"))?;
    let mut rows = select.query([id.0])?;
    rows.next()?.map(key).transpose()
}

/// Keys in the order of their ids.
pub fn list(conn: &Connection, after: KeyId, limit: u32) -> Result<List<ApiKey>> {
    let sql = format!("select {KEY} from api_keys where id > ?1 order by id limit ?2");
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query((after.0, i64::from(limit) + 1))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(key(row)?);
    }
    Ok(List::cut(keys, limit))
}

pub fn write(conn: &Connection, keys: &[ApiKey]) -> Result<()> {
    let sql =
        format!("insert or replace into api_keys ({KEY}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    for key in keys {
        conn.prepare_cached(&sql)?.execute((
            key.id.0,
            key.hash.as_slice(),
            key.previous.as_ref().map(|(hash, _)| hash.as_slice()),
            key.previous.map(|(_, until)| until.micros()),
            key.to_json(),
            key.seq.0,
            key.used_at.map(Timestamp::micros),
        ))?;
    }
    Ok(())
}

/// Remembers when keys were last seen.
pub fn used(conn: &mut Connection, used: &[(KeyId, Timestamp)]) -> Result<()> {
    let transaction = conn.transaction()?;
    for (id, at) in used {
        transaction
            .prepare_cached("update api_keys set used_at = ?2 where id = ?1")?
            .execute((id.0, at.micros()))?;
    }
    Ok(transaction.commit()?)
}
