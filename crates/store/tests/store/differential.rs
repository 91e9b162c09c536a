//! The same random history on two stores: each says the same to every submission and answers the
//! same to every question.

pub mod questions;
pub mod submissions;

use std::fmt::Debug;

use crate::chance::Chance;
use crate::database;
use crate::ledger::history;
use crate::pooler;
use crate::support::{Books, Fallible, On};
use daybook_core::write_set::{Outcome, Recorded, Reply};
use daybook_core::{Subject, Submission, TransactionId, TransferId};
use daybook_store::{Error, Store};

/// Each has some submissions at once, and some questions after them.
const ROUNDS: usize = 120;
const QUESTIONS: usize = 12;

/// How submissions come to the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// One after the other.
    Alone,
    /// Some at a time, of which each store makes the commits that it likes.
    Together,
}

/// The two stores. The clock and the ids are the first one's.
pub struct Both {
    pub sqlite: Books,
    pub postgres: Books,
    pub sent: Sent,
}

/// What the history made, deleted items included.
#[derive(Default)]
pub struct Known {
    pub items: Vec<TransactionId>,
    pub transfers: Vec<TransferId>,
    /// Everything that was sent with a key, to be sent again.
    pub keyed: Vec<Submission>,
}

impl Both {
    pub async fn open(other: On, sent: Sent) -> Fallible<Self> {
        let (sqlite, postgres) = (Books::open(On::Sqlite).await?, Books::open(other).await?);
        Ok(Self { sqlite, postgres, sent })
    }

    /// Asks both the same.
    pub async fn ask<T: Debug>(
        &self,
        question: impl Debug,
        ask: impl AsyncFn(&dyn Store) -> Result<T, Error>,
    ) -> Fallible<T> {
        let said = ask(&*self.sqlite.store).await;
        let [sqlite, postgres] =
            [&said, &ask(&*self.postgres.store).await].map(|said| self.text(said));
        let same = sqlite == postgres;
        assert!(same, "{question:?}\nSQLite: {sqlite}\nPostgreSQL: {postgres}");
        Ok(said?)
    }

    /// An answer as text. Statistics of nothing are forgotten between commits, and with them when
    /// they last changed: that depends on which submissions shared a commit.
    fn text(&self, said: &impl Debug) -> String {
        let text = format!("{said:?}");
        match self.sent {
            Sent::Alone => text,
            Sent::Together => without(&text, "last_updated: Timestamp("),
        }
    }

    pub async fn send(&self, submissions: &[Submission], known: &mut Known) -> Fallible<()> {
        match self.sent {
            Sent::Together => self.commit(submissions, known).await,
            Sent::Alone => {
                for submission in submissions.chunks(1) {
                    self.commit(submission, known).await?;
                }
                Ok(())
            }
        }
    }

    /// Sends submissions to both at once.
    async fn commit(&self, submissions: &[Submission], known: &mut Known) -> Fallible<()> {
        let all = |books: &Books| {
            let store = books.store.clone();
            let sent = submissions.to_vec();
            async move {
                let sent = sent.into_iter().map(|submission| store.commit(submission));
                futures_util::future::join_all(sent).await
            }
        };
        let (sqlite, postgres) = tokio::join!(all(&self.sqlite), all(&self.postgres));
        for ((sqlite, postgres), submission) in sqlite.into_iter().zip(postgres).zip(submissions) {
            let (sqlite, postgres): (Reply, Reply) = (sqlite?, postgres?);
            assert_eq!(sqlite, postgres, "SQLite and PostgreSQL: {submission:?}");
            for outcome in sqlite.verdicts.into_iter().flatten() {
                let Outcome::Created(Recorded { subject, .. }) = outcome else { continue };
                match subject {
                    Subject::Item(id) => known.items.push(id),
                    Subject::Transfer(id) => known.transfers.push(id),
                    Subject::Account(_) | Subject::Key(_) | Subject::Audit => {}
                }
            }
        }
        Ok(())
    }
}

/// The text without the numbers behind a name.
fn without(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

async fn both_answer_alike(other: On, sent: Sent) -> Fallible<()> {
    let both = Both::open(other, sent).await?;
    let mut chance = Chance::seeded();
    let mut known = Known::default();
    let mut sampled = submissions::sampler(chance.below(u64::MAX))?;
    history::accounts(&both.sqlite).await?;
    history::accounts(&both.postgres).await?;
    for _ in 0..ROUNDS {
        both.sqlite.pass(chance.below(1_500_000) as i64);
        let sent = submissions::some(&both.sqlite, &mut chance, &mut sampled, &mut known)?;
        both.send(&sent, &mut known).await?;
        for _ in 0..QUESTIONS {
            questions::one(&both, &mut chance, &known).await?;
        }
    }
    let (items, transfers) = (known.items.len(), known.transfers.len());
    println!("{items} items, {transfers} transfers");
    assert!(items > ROUNDS / 2 && items + transfers > ROUNDS, "too little for this to mean much");
    both.sqlite.verified().await?;
    both.postgres.verified().await
}

/// Runs the history where there is a server for it.
async fn where_there_is(server: Option<String>, other: On, sent: Sent) -> Fallible<()> {
    match server {
        Some(_) => both_answer_alike(other, sent).await,
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_answer_alike_after_every_step_of_a_random_history() -> Fallible<()> {
    where_there_is(database::server(), On::Postgres, Sent::Alone).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_answer_alike_whatever_shares_a_commit() -> Fallible<()> {
    where_there_is(database::server(), On::Postgres, Sent::Together).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_between_changes_no_answer() -> Fallible<()> {
    where_there_is(pooler::url(), On::Pgbouncer, Sent::Together).await
}

#[test]
fn numbers_are_left_out() {
    assert_eq!(without("a: 1, at(23), b: at(4)", "at("), "a: 1, ), b: )");
}
