//! The chain of the event log in a file.

use daybook_core::EventSeq;
use rusqlite::Connection;

use super::schema;
use crate::Result;
use crate::chain::{self, Link, Linked, Proof, START, UNLINKED};
use crate::codec::Columns;
use crate::verify::Findings;

/// The newest event and its link; before the first event, what that will follow.
pub fn newest(conn: &Connection) -> Result<(EventSeq, Link)> {
    let mut select = conn.prepare("select seq, link from events order by seq desc limit 1")?;
    let mut rows = select.query([])?;
    let Some(row) = rows.next()? else { return Ok((EventSeq(0), START)) };
    let seq = EventSeq(row.get(0)?);
    let link = row.maybe_bytes(1, "link")?.ok_or_else(|| chain::unlinked(seq))?;
    Ok((seq, chain::link(link)?))
}

/// Gives links to the events of a file that was made before there were any, all or none. What has
/// no link later on has lost it, and does not get another.
pub fn complete(conn: &mut Connection) -> Result<()> {
    if !schema::is_there(conn, UNLINKED)? {
        return Ok(());
    }
    let transaction = conn.transaction()?;
    let mut last = START;
    let sql = format!("select {} from events e order by e.seq", chain::columns("transaction_id"));
    let mut select = transaction.prepare(&sql)?;
    let mut update = transaction.prepare("update events set link = ?1 where seq = ?2")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (event, _) = Linked::read(row)?;
        last = event.follow(&last);
        update.execute((last.as_slice(), event.seq))?;
    }
    drop(rows);
    drop((select, update));
    transaction.execute_batch("drop table unlinked")?;
    Ok(transaction.commit()?)
}

/// The link of an event.
pub fn link(conn: &Connection, seq: EventSeq) -> Result<Option<Link>> {
    let mut select = conn.prepare_cached("select link from events where seq = ?1")?;
    let mut rows = select.query([seq.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    row.maybe_bytes(0, "link")?.map(chain::link).transpose()
}

/// Follows the chain from end to end.
pub fn prove(conn: &Connection, findings: &mut Findings) -> Result<()> {
    let sql = format!("select {} from events e order by e.seq", chain::columns("transaction_id"));
    let mut select = conn.prepare(&sql)?;
    let mut rows = select.query([])?;
    let mut proof = Proof::default();
    while let Some(row) = rows.next()? {
        proof.event(findings, row)?;
    }
    Ok(())
}
