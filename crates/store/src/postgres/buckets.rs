//! The rows of statistics that a commit changes.

use std::collections::{HashMap, HashSet};

use daybook_core::stats::BucketKey;
use daybook_core::{Action, Submission, UserId};
use futures_util::future::try_join;
use tokio_postgres::Row;

use super::connect::Conn;
use super::param::Param;
use crate::Result;
use crate::codec::{Columns, Place, corrupt};
use crate::fold::{Found, Kept, Part};

type Key = (UserId, Place);

/// The number of a user, where the writer remembers it.
pub type Numbers<'a> = &'a (dyn Fn(&UserId) -> Option<i64> + Sync);

/// The rows of keys; $1 are the numbers of their users.
const OF_NUMBERS: &str = "select k.place, s.updated_at, s.sums, s.counts, s.slots \
    from unnest($1, $2, $3, $4, $5) with ordinality \
        k (owner, currency, digits, month, day, place) \
    join statistics s on s.user = k.owner and s.currency = k.currency \
        and s.digits = k.digits and s.month = k.month and s.day = k.day";
/// The same where $1 are their names. The users come first, so that the whole key of the other
/// table is known when a row of it is looked up.
const OF_NAMES: &str = "with k as materialized (select k.*, u.user as owner \
    from unnest($1, $2, $3, $4, $5) with ordinality \
        k (name, currency, digits, month, day, place) \
    join users u on u.name = k.name) \
    select k.place, s.updated_at, s.sums, s.counts, s.slots \
    from k join statistics s on s.user = k.owner and s.currency = k.currency \
        and s.digits = k.digits and s.month = k.month and s.day = k.day";

/// A row of statistics as it is to be.
pub struct Folded {
    pub kept: Kept,
    /// Whether there was one.
    pub is_there: bool,
}

/// Rows that were asked for, and those of them that there are.
#[derive(Default)]
pub struct Buckets {
    asked: HashSet<Key>,
    found: HashMap<Key, Row>,
}

impl Buckets {
    /// The rows that new items will most likely change, so that they come with the first round
    /// trip of a commit.
    pub async fn foresee(
        conn: &Conn,
        submissions: &[Submission],
        numbers: Numbers<'_>,
    ) -> Result<Self> {
        let mut asked = HashSet::new();
        for submission in submissions {
            for action in &submission.actions {
                let Action::Record(new) = action else { continue };
                let day = new.created_at.unwrap_or(submission.at).day();
                let key = BucketKey { user_id: new.user_id.clone(), currency: new.currency, day };
                asked.insert((new.user_id.clone(), Place::of_day(&key)));
                let month = Place::of_month(new.currency, day.month());
                asked.insert((new.user_id.clone(), month));
            }
        }
        Self::find(conn, asked, numbers).await
    }

    async fn find(conn: &Conn, asked: HashSet<Key>, numbers: Numbers<'_>) -> Result<Self> {
        let mut known: Vec<(&Key, i64)> = Vec::new();
        let mut unknown: Vec<&Key> = Vec::new();
        for key in &asked {
            match numbers(&key.0) {
                Some(number) => known.push((key, number)),
                None => unknown.push(key),
            }
        }
        // In the order of the index.
        known.sort_unstable_by_key(|(_, number)| *number);
        let (numbers, known): (Vec<i64>, Vec<&Key>) =
            known.into_iter().map(|(key, number)| (number, key)).unzip();
        let names: Vec<&str> = unknown.iter().map(|(user, _)| user.as_str()).collect();
        let (mut found, more) = try_join(
            Self::rows(conn, OF_NUMBERS, &numbers, &known),
            Self::rows(conn, OF_NAMES, &names, &unknown),
        )
        .await?;
        found.extend(more);
        Ok(Self { asked, found })
    }

    async fn rows(
        conn: &Conn,
        sql: &str,
        users: &impl Param,
        keys: &[&Key],
    ) -> Result<HashMap<Key, Row>> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let codes: Vec<&str> = keys.iter().map(|(_, place)| place.code.as_str()).collect();
        let digits: Vec<i16> = keys.iter().map(|(_, place)| place.digits.into()).collect();
        let months: Vec<i32> = keys.iter().map(|(_, place)| place.month).collect();
        let days: Vec<i16> = keys.iter().map(|(_, place)| place.day as i16).collect();
        let rows = conn.query(sql, &[users, &codes, &digits, &months, &days]).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            // Places are counted from one.
            let place = row.small::<usize>(0, "place")?.checked_sub(1);
            let key = place.and_then(|place| keys.get(place)).ok_or_else(|| corrupt("place"))?;
            found.insert(Key::clone(key), row);
        }
        Ok(found)
    }

    /// Brings changes into the rows that they touch; in the order of the parts.
    pub async fn fold(mut self, conn: &Conn, parts: &[Part<'_>]) -> Result<Vec<Folded>> {
        let key = |part: &Part<'_>| (part.user().clone(), part.place.clone());
        let missing = parts.iter().map(key).filter(|key| !self.asked.contains(key));
        let more = Self::find(conn, missing.collect(), &|_| None).await?;
        self.found.extend(more.found);
        let fold = |part: &Part<'_>| {
            let row = self.found.get(&key(part));
            let found = match row {
                Some(row) => Some(Found {
                    updated_at: row.time(1, "time")?,
                    sums: row.bytes(2, "sums")?,
                    counts: row.bytes(3, "counts")?,
                    slots: row.maybe_bytes(4, "slots")?,
                }),
                None => None,
            };
            Ok(Folded { kept: part.fold(found)?, is_there: row.is_some() })
        };
        parts.iter().map(fold).collect()
    }
}
