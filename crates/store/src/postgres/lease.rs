//! Leases of work, which end by the clock of the server.

use super::connect::Conn;
use crate::codec::Columns;
use crate::{LeaseHolder, Result, WorkLease};

/// One statement, so that of two who ask at once only one gets it.
pub async fn lease(conn: &Conn, asked: &WorkLease) -> Result<LeaseHolder> {
    let take = "insert into leases as l (name, owner, lease_until, note) \
         values ($1, $2, clock_timestamp() + $3::bigint * interval '1 microsecond', \
                 coalesce($4, '')) \
         on conflict (name) do update set owner = excluded.owner, \
             lease_until = excluded.lease_until, note = coalesce($4, l.note) \
         where l.owner = excluded.owner or l.lease_until <= clock_timestamp() \
         returning note";
    let (name, owner, note) = (asked.name.as_str(), asked.owner.as_str(), asked.note.as_deref());
    let lease_us = i64::try_from(asked.lease.as_micros()).unwrap_or(i64::MAX);
    if let Some(row) = conn.query_opt(take, &[&name, &owner, &lease_us, &note]).await? {
        return Ok(LeaseHolder::Asker { note: row.text(0, "note")?.to_owned() });
    }
    let row = conn.query_opt("select note from leases where name = $1", &[&name]).await?;
    let note = row.map_or(Ok(String::new()), |row| row.text(0, "note").map(str::to_owned))?;
    Ok(LeaseHolder::Another { note })
}
