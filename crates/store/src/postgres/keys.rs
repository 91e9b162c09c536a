//! API keys in a database.

use daybook_core::{ApiKey, KeyId, Timestamp};

use super::connect::Conn;
use crate::codec::key::{KEY, key};
use crate::{List, Result};

pub async fn get(conn: &Conn, ids: Vec<i64>) -> Result<Vec<ApiKey>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("select {KEY} from api_keys where id = any($1)");
    conn.query(&sql, &[&ids]).await?.iter().map(key).collect()
}

/// Keys in the order of their ids.
pub async fn list(conn: &Conn, after: KeyId, limit: u32) -> Result<List<ApiKey>> {
    let sql = format!("select {KEY} from api_keys where id > $1 order by id limit $2");
    let rows = conn.query(&sql, &[&after.0, &(i64::from(limit) + 1)]).await?;
    Ok(List::cut(rows.iter().map(key).collect::<Result<_>>()?, limit))
}

/// Remembers when keys were last seen; another process may have seen them later.
pub async fn used(conn: &Conn, used: &[(KeyId, Timestamp)]) -> Result<()> {
    let (ids, times): (Vec<i64>, Vec<i64>) =
        used.iter().map(|(id, at)| (id.0, at.micros())).unzip();
    let sql = "update api_keys k set used_at = greatest(k.used_at, n.at) \
         from unnest($1, $2) as n (id, at) where k.id = n.id";
    conn.execute(sql, &[&ids, &times]).await?;
    Ok(())
}
