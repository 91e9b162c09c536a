//! Questions that only the metadata of each item can answer: comparisons with what is there.

use std::time::Instant;

use daybook_core::Transaction;
use daybook_core::cursor::Position;
use daybook_core::query::{Query, Term};
use daybook_core::search::path_term;

use super::connect::Conn;
use super::read::Look;
use super::search::Search;
use super::statistics;
use crate::page::{self, cut, window};
use crate::{Error, Page, Result};

/// How many items are read at once to be looked at one by one.
pub const LOOKED_AT: i64 = 2_000;
/// How many places of items the index is asked for at once.
const PLACES_READ: i64 = 50_000;
/// The index is worth its while where it leaves no more than one item of so many.
const WORTH: u64 = 4;

/// One page of a user's items.
pub async fn page(conn: &Conn, query: &Query, user: i64) -> Result<Page> {
    let mut sift = Sift::new(conn, query);
    // What is to be compared must be there at all, and that the index knows.
    let there = |path: &String| vec![Term::Beginning(path_term(path))];
    let mut narrowed = query.clone();
    narrowed.any_of.extend(query.compare.iter().map(|compare| there(&compare.path)));
    if !query.needs_index() {
        let look = Look::new(conn, query, user);
        let mut is_rare = None;
        while is_rare != Some(true) {
            let items = look.feed(sift.start, 0, LOOKED_AT).await?;
            let ended = items.len() < LOOKED_AT as usize;
            if sift.take(items)? || ended {
                return Ok(sift.finish());
            }
            if is_rare.is_none() {
                let search = Search::new(Look::new(conn, &narrowed, user)).await?;
                let all = statistics::items(conn, user);
                let (found, all) = futures_util::try_join!(search.count(), all)?;
                is_rare = Some(found < all / WORTH);
            }
        }
    }
    let search = Search::new(Look::new(conn, &narrowed, user)).await?;
    sift.is_cut = search.is_cut();
    loop {
        let places = search.places(sift.start, PLACES_READ).await?;
        for some in places.chunks(LOOKED_AT as usize) {
            if sift.take(search.items(some).await?)? {
                return Ok(sift.finish());
            }
        }
        if places.len() < PLACES_READ as usize {
            return Ok(sift.finish());
        }
    }
}

struct Sift<'a> {
    conn: &'a Conn,
    query: &'a Query,
    started: Instant,
    /// The last item that was looked at.
    start: Option<Position>,
    skip: u64,
    limit: usize,
    found: Vec<(u8, Transaction)>,
    total: u64,
    is_cut: bool,
}

impl<'a> Sift<'a> {
    fn new(conn: &'a Conn, query: &'a Query) -> Self {
        let (skip, limit) = window(&query.paging);
        let start = page::after(&query.paging);
        let (found, started) = (Vec::new(), Instant::now());
        Self { conn, query, started, start, skip, limit, found, total: 0, is_cut: false }
    }

    /// Looks at the next items; true when no more are needed.
    fn take(&mut self, items: Vec<(u8, Transaction)>) -> Result<bool> {
        if let Some((tier, last)) = items.last() {
            self.start = Some(Position { tier: *tier, created_at: last.created_at, id: last.id });
        }
        for (tier, item) in items {
            if !self.query.compare.iter().all(|compare| compare.matches(&item.metadata)) {
                continue;
            }
            self.total += 1;
            if self.skip > 0 {
                self.skip -= 1;
            } else if self.found.len() <= self.limit {
                self.found.push((tier, item));
            }
        }
        if self.started.elapsed() > self.conn.limit() {
            return Err(Error::TooBroad { limit: self.conn.limit() });
        }
        Ok(!page::is_numbered(self.query) && self.found.len() > self.limit)
    }

    fn finish(self) -> Page {
        let total = page::is_numbered(self.query).then_some(self.total);
        Page { total, is_cut: self.is_cut, ..cut(self.found, self.limit) }
    }
}
