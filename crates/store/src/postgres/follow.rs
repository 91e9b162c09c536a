//! Followers of the event log, whose leases end by the clock of the server.

use daybook_core::EventSeq;

use super::connect::Conn;
use crate::codec::Columns;
use crate::{Claim, Follower, Result};

/// One statement, so that of two who ask at once only one gets it.
pub async fn follow(conn: &Conn, claim: &Claim) -> Result<Option<EventSeq>> {
    let sql = "insert into followers as f (name, position, owner, lease_until) \
         values ($1, greatest($3::bigint, $4::bigint), $2, \
                 clock_timestamp() + $5::bigint * interval '1 microsecond') \
         on conflict (name) do update set owner = excluded.owner, \
             lease_until = excluded.lease_until, position = greatest(f.position, $4) \
         where f.owner = excluded.owner or f.lease_until <= clock_timestamp() \
         returning position";
    let done = claim.done.map_or(0, |done| done.0);
    let lease_us = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
    let (name, owner) = (claim.follower.as_str(), claim.owner.as_str());
    let row = conn.query_opt(sql, &[&name, &owner, &claim.from.0, &done, &lease_us]).await?;
    row.map(|row| Ok(EventSeq(row.number(0, "position")?))).transpose()
}

pub async fn followers(conn: &Conn) -> Result<Vec<Follower>> {
    let sql = "select name, position, case when lease_until > clock_timestamp() then owner end \
         from followers order by name";
    let rows = conn.query(sql, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Follower {
            name: row.text(0, "name")?.to_owned(),
            place: EventSeq(row.number(1, "position")?),
            owner: row.maybe_text(2, "owner")?.map(str::to_owned),
        })
    };
    rows.iter().map(read).collect()
}

pub async fn unfollow(conn: &Conn, name: &str) -> Result<bool> {
    let sql = "delete from followers where name = $1 and lease_until <= clock_timestamp()";
    Ok(conn.execute(sql, &[&name]).await? > 0)
}
