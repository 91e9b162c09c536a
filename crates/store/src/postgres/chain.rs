//! The chain of the event log in a database.

use daybook_core::EventSeq;

use super::connect::Conn;
use super::schema;
use crate::Result;
use crate::chain::{self, Link, Linked, Proof, START, UNLINKED};
use crate::codec::Columns;
use crate::verify::Findings;

/// How many events are read at once.
const PAGE: i64 = 2_000;

/// What a commit follows.
pub struct Newest {
    /// The newest event and its link; before the first event, what that will follow.
    pub seq: EventSeq,
    pub link: Link,
    /// Whether anything was ever sealed.
    pub is_sealed: bool,
}

/// Reads what a commit follows.
pub async fn newest(conn: &Conn) -> Result<Newest> {
    let sql = "select seq, link, (select count(*) from sealing) from events \
         order by seq desc limit 1";
    let Some(row) = conn.query_opt(sql, &[]).await? else {
        return Ok(Newest { seq: EventSeq(0), link: START, is_sealed: false });
    };
    let seq = EventSeq(row.number(0, "event number")?);
    let link = row.maybe_bytes(1, "link")?.ok_or_else(|| chain::unlinked(seq))?;
    let is_sealed = row.number(2, "ring")? > 0;
    Ok(Newest { seq, link: chain::link(link)?, is_sealed })
}

/// Gives links to the events of a database that was made before there were any, in the open
/// transaction, which nobody commits beside. Whoever would write one without a link afterwards is
/// refused by the database.
pub async fn complete(conn: &Conn) -> Result<()> {
    if !schema::is_there(conn, UNLINKED).await? {
        return Ok(());
    }
    conn.batch("lock table events in share row exclusive mode").await?;
    let update = "update events e set link = n.link from unnest($1, $2) as n (seq, link) \
         where e.seq = n.seq";
    let (mut last, mut seq) = (START, 0);
    loop {
        let rows = page(conn, seq).await?;
        let (mut seqs, mut links) = (Vec::new(), Vec::new());
        for row in &rows {
            let (event, _) = Linked::read(row)?;
            last = event.follow(&last);
            seq = event.seq;
            seqs.push(seq);
            links.push(last.to_vec());
        }
        if rows.is_empty() {
            let done = "alter table events alter column link set not null; drop table unlinked";
            return conn.batch(done).await;
        }
        conn.execute(update, &[&seqs, &links]).await?;
    }
}

/// The link of an event.
pub async fn link(conn: &Conn, seq: EventSeq) -> Result<Option<Link>> {
    let row = conn.query_opt("select link from events where seq = $1", &[&seq.0]).await?;
    let Some(row) = row else { return Ok(None) };
    row.maybe_bytes(0, "link")?.map(chain::link).transpose()
}

/// Follows the chain from end to end.
pub async fn prove(conn: &Conn, findings: &mut Findings) -> Result<()> {
    let (mut proof, mut seq) = (Proof::default(), 0);
    loop {
        let rows = page(conn, seq).await?;
        for row in &rows {
            seq = row.number(0, "event number")?;
            proof.event(findings, row)?;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

async fn page(conn: &Conn, after: i64) -> Result<Vec<tokio_postgres::Row>> {
    let columns = chain::columns("subject");
    let sql = format!("select {columns} from events e where e.seq > $1 order by e.seq limit $2");
    conn.query(&sql, &[&after, &PAGE]).await
}
