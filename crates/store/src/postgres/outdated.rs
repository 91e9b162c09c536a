//! Indexes anew what an earlier version of Daybook indexed otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::Conn;
use super::locks::Lock;
use super::target::Target;
use super::{ring, schema};
use crate::codec::{self, Columns, ITEM, ITEM_COLUMNS};
use crate::outdated::{self, Anew, OUTDATED, PAGE};
use crate::seal::{Keys, Seal, Sealed};
use crate::{Error, Result, dictionary, postings};

/// How many words are read at once.
const WORDS: i64 = 4_000;

/// Begins a transaction beside which nobody commits.
fn begin() -> String {
    format!(
        "begin isolation level read committed; set local statement_timeout = 0; set local lock_timeout = 0; \
         set local idle_in_transaction_session_timeout = 0; {}",
        Lock::Commit.take()
    )
}

/// Indexes the noted items anew, a page in each commit, and forgets the words that only an earlier
/// version wrote. Processes take turns page by page. Without keys, sealed items stay noted.
///
/// # Errors
/// What the server says.
pub async fn complete(target: &Target, seal: Option<&Seal>) -> Result<()> {
    let conn = target.connect().await?.patient(Duration::MAX);
    if !schema::is_there(&conn, OUTDATED).await? {
        return Ok(());
    }
    let (mut last, mut items) = (Uuid::nil(), 0);
    loop {
        conn.batch(&begin()).await?;
        if !is_left(&conn).await? {
            conn.batch("rollback").await?;
            outdated::log(items, 0);
            return Ok(());
        }
        let rows = page(&conn, last).await?;
        let Some(row) = rows.last() else { break };
        last = row.uuid(ITEM_COLUMNS + 2, "id")?;
        items += index(&conn, seal, &rows).await?;
        conn.batch("commit").await?;
    }
    let stale = forget_stale(&conn).await?;
    conn.batch("delete from outdated where id not in (select id from transactions)").await?;
    if conn.query_opt("select 1 from outdated limit 1", &[]).await?.is_none() {
        conn.batch("drop table outdated").await?;
    }
    conn.batch("commit").await?;
    outdated::log(items, stale);
    Ok(())
}

/// Whether no other process has finished meanwhile. By the rows of the catalog: names may be looked up
/// in what the connection knew of it before it waited for its turn.
async fn is_left(conn: &Conn) -> Result<bool> {
    let sql = "select 1 from pg_class where relname = $1 and pg_table_is_visible(oid)";
    Ok(conn.query_opt(sql, &[&OUTDATED]).await?.is_some())
}

async fn page(conn: &Conn, after: Uuid) -> Result<Vec<Row>> {
    let sql = format!(
        "select {ITEM}, u.name, t.\"user\", t.id from outdated o join transactions t on t.id = o.id \
         join users u on u.\"user\" = t.\"user\" where o.id > $1 order by o.id limit $2"
    );
    conn.query(&sql, &[&after, &PAGE]).await
}

/// Indexes items anew and takes their notes; answers how many.
async fn index(conn: &Conn, seal: Option<&Seal>, rows: &[Row]) -> Result<u64> {
    let (mut done, mut ids, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut words: BTreeSet<(i64, String)> = BTreeSet::new();
    for row in rows {
        let (user, id) = (row.number(ITEM_COLUMNS + 1, "user")?, row.uuid(ITEM_COLUMNS + 2, "id")?);
        let item = codec::user(row, ITEM_COLUMNS).and_then(|user| codec::item(row, &user));
        let anew = match item {
            Ok(item) => {
                let mut numbers = BTreeSet::new();
                item.keys(&mut numbers);
                let keys = match seal {
                    Some(seal) if !numbers.is_empty() => ring::keys(conn, seal, &numbers).await?,
                    _ => Keys::default(),
                };
                Anew::of(&item, seal, &keys)
            }
            // Verifying names it.
            Err(Error::Corrupt { .. }) => Anew::Never,
            Err(error) => return Err(error),
        };
        match anew {
            Anew::Later => continue,
            Anew::Never => {}
            Anew::Document(document) => {
                ids.push(id);
                texts.push(postings::tsvector(user, &document));
                let entries = dictionary::entries(&document);
                words.extend(entries.map(|entry| (user, entry.into_owned())));
            }
        }
        done.push(id);
    }
    let count = ids.len() as u64;
    let update = "update transactions t set search = n.search::tsvector \
         from unnest($1, $2) as n (id, search) where t.id = n.id";
    conn.execute(update, &[&ids, &texts]).await?;
    let (users, words): (Vec<i64>, Vec<String>) = words.into_iter().unzip();
    let insert = "insert into words (\"user\", word) select * from unnest($1, $2) \
         on conflict do nothing";
    conn.execute(insert, &[&users, &words]).await?;
    conn.execute("delete from outdated where id = any($1)", &[&done]).await?;
    Ok(count)
}

/// Deletes the entries of dictionaries that no search looks for any more; answers how many.
async fn forget_stale(conn: &Conn) -> Result<u64> {
    let read = "select \"user\", word from words where (\"user\", word) > ($1, $2) \
         and octet_length(word) > length(word) order by \"user\", word limit $3";
    let delete = "delete from words w using unnest($1, $2) as s (owner, word) \
         where w.\"user\" = s.owner and w.word = s.word";
    let (mut user, mut word, mut count) = (i64::MIN, String::new(), 0);
    loop {
        let rows = conn.query(read, &[&user, &word.as_str(), &WORDS]).await?;
        if rows.is_empty() {
            return Ok(count);
        }
        let (mut users, mut words) = (Vec::new(), Vec::new());
        for row in &rows {
            user = row.number(0, "user")?;
            row.text(1, "word")?.clone_into(&mut word);
            if outdated::is_stale(&word) {
                users.push(user);
                words.push(word.clone());
            }
        }
        count += conn.execute(delete, &[&users, &words]).await?;
    }
}
