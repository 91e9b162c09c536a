//! Followers of the event log. This process is the only one, so leases are kept in memory.

use std::time::Instant;

use daybook_core::EventSeq;
use rusqlite::named_params;

use super::writer::Writing;
use crate::{Claim, Follower, Result};

/// Whose a follower is, and until when.
#[derive(Debug)]
pub struct Lease {
    owner: String,
    until: Instant,
}

impl Writing {
    pub fn follow(&mut self, claim: &Claim) -> Result<Option<EventSeq>> {
        let now = Instant::now();
        let taken = self.leases.get(&claim.follower);
        if taken.is_some_and(|lease| lease.owner != claim.owner && lease.until > now) {
            return Ok(None);
        }
        let place = match claim.done {
            None => self.place(&claim.follower)?,
            Some(_) => None,
        };
        let place = match place {
            Some(place) => place,
            None => self
                .opened
                .conn
                .prepare_cached(
                    "insert into followers (name, position) values (:name, max(:from, :done)) \
                 on conflict (name) do update set position = max(position, :done) \
                 returning position",
                )?
                .query_row(
                    named_params! {
                        ":name": claim.follower, ":from": claim.from.0,
                        ":done": claim.done.map_or(0, |done| done.0),
                    },
                    |row| row.get(0),
                )?,
        };
        let lease = Lease { owner: claim.owner.clone(), until: now + claim.lease };
        self.leases.insert(claim.follower.clone(), lease);
        Ok(Some(EventSeq(place)))
    }

    fn place(&self, follower: &str) -> Result<Option<i64>> {
        let mut select =
            self.opened.conn.prepare_cached("select position from followers where name = ?1")?;
        let mut rows = select.query([follower])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    pub fn followers(&self) -> Result<Vec<Follower>> {
        let mut select = self
            .opened
            .conn
            .prepare_cached("select name, position from followers order by name")?;
        let mut rows = select.query([])?;
        let mut followers = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let owner = self.owner(&name).map(str::to_owned);
            followers.push(Follower { name, place: EventSeq(row.get(1)?), owner });
        }
        Ok(followers)
    }

    pub fn unfollow(&mut self, name: &str) -> Result<bool> {
        if self.owner(name).is_some() {
            return Ok(false);
        }
        self.leases.remove(name);
        let gone = self.opened.conn.execute("delete from followers where name = ?1", [name])?;
        Ok(gone > 0)
    }

    fn owner(&self, follower: &str) -> Option<&str> {
        let lease = self.leases.get(follower)?;
        (lease.until > Instant::now()).then_some(lease.owner.as_str())
    }
}
