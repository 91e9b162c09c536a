//! Indexes anew what an earlier version of Daybook indexed otherwise.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::ring::Ring;
use super::{schema, write};
use crate::codec::{self, ITEM, ITEM_COLUMNS};
use crate::outdated::{self, Anew, OUTDATED, PAGE};
use crate::seal::{Keys, Sealed};
use crate::{Error, Result, dictionary, postings};

/// Indexes the noted items anew, a page in each commit, and forgets the words that only an earlier
/// version wrote. Without keys, sealed items stay noted.
pub fn complete(conn: &mut Connection, ring: Option<&Ring>) -> Result<()> {
    if !schema::is_there(conn, OUTDATED)? {
        return Ok(());
    }
    let (mut last, mut items) = (i64::MIN, 0);
    while let Some(page) = page(conn, ring, last)? {
        last = page.last;
        items += page.items;
    }
    let transaction = conn.transaction()?;
    let stale = forget_stale(&transaction)?;
    transaction
        .execute("delete from outdated where pos not in (select pos from transactions)", [])?;
    let sql = "select not exists (select 1 from outdated)";
    if transaction.query_row(sql, [], |row| row.get(0))? {
        transaction.execute_batch("drop table outdated")?;
    }
    transaction.commit()?;
    outdated::log(items, stale);
    Ok(())
}

struct Page {
    last: i64,
    /// How many items were indexed anew.
    items: u64,
}

/// Takes the next items behind a row number; `None` where there are no more.
fn page(conn: &mut Connection, ring: Option<&Ring>, after: i64) -> Result<Option<Page>> {
    let transaction = conn.transaction()?;
    let sql = format!(
        "select {ITEM}, u.name, t.user, t.pos from outdated o join transactions t on t.pos = o.pos \
         join users u on u.user = t.user where o.pos > ?1 order by o.pos limit ?2"
    );
    let mut found: Option<Page> = None;
    {
        let mut select = transaction.prepare(&sql)?;
        let mut rows = select.query([after, PAGE])?;
        let mut clear = transaction.prepare("delete from search where rowid = ?1")?;
        let mut post = transaction.prepare(write::POST_ITEM)?;
        let mut word =
            transaction.prepare("insert or ignore into words (user, word) values (?1, ?2)")?;
        let mut done = transaction.prepare("delete from outdated where pos = ?1")?;
        while let Some(row) = rows.next()? {
            let (user, pos) = (row.get(ITEM_COLUMNS + 1)?, row.get(ITEM_COLUMNS + 2)?);
            let page = found.get_or_insert(Page { last: pos, items: 0 });
            page.last = pos;
            let item = codec::user(row, ITEM_COLUMNS).and_then(|user| codec::item(row, &user));
            let anew = match item {
                Ok(item) => {
                    let mut numbers = BTreeSet::new();
                    item.keys(&mut numbers);
                    let keys = ring.map_or_else(|| Ok(Keys::default()), |r| r.keys(&numbers))?;
                    let seal = ring.map(Ring::shared);
                    Anew::of(&item, seal.as_deref(), &keys)
                }
                // Verifying names it.
                Err(Error::Corrupt { .. }) => Anew::Never,
                Err(error) => return Err(error),
            };
            match anew {
                Anew::Later => continue,
                Anew::Never => {}
                Anew::Document(document) => {
                    clear.execute([pos])?;
                    post.execute((pos, postings::fts(user, &document)))?;
                    for entry in dictionary::entries(&document) {
                        word.execute((user, entry))?;
                    }
                    page.items += 1;
                }
            }
            done.execute([pos])?;
        }
    }
    transaction.commit()?;
    Ok(found)
}

/// Deletes the entries of dictionaries that no search looks for any more; answers how many.
fn forget_stale(conn: &Connection) -> Result<u64> {
    let sql = "select user, word from words where length(cast(word as blob)) > length(word)";
    let mut stale: Vec<(i64, String)> = Vec::new();
    let mut select = conn.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let word: String = row.get(1)?;
        if outdated::is_stale(&word) {
            stale.push((row.get(0)?, word));
        }
    }
    let mut delete = conn.prepare("delete from words where user = ?1 and word = ?2")?;
    for entry in &stale {
        delete.execute((entry.0, &entry.1))?;
    }
    Ok(stale.len() as u64)
}
