//! A store in a temporary place, and short ways to use it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::query::Query;
use daybook_core::stats::{Span, Statistics};
use daybook_core::transaction::Vocabulary;
use daybook_core::write_set::{Outcome, Reply};
use daybook_core::{
    NewTransaction, Patch, Rejection, Submission, Timestamp, TransactionId, UserId,
};
use daybook_store::{Options, Store};

pub type Fallible<T> = Result<T, Box<dyn Error>>;

pub struct Books {
    pub store: Arc<dyn Store>,
    pub url: String,
    clock: AtomicI64,
    ids: AtomicU64,
    _folder: tempfile::TempDir,
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

pub fn pairs(filters: &[(&str, &str)]) -> Vec<(String, String)> {
    filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Books {
    pub async fn open() -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("daybook.db").display());
        let store = daybook_store::open(&url, Options::default()).await?;
        Ok(Self {
            store,
            url,
            clock: AtomicI64::new(1_720_000_000_000_000),
            ids: AtomicU64::new(1),
            _folder: folder,
        })
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.fetch_add(1_000, Ordering::Relaxed))
    }

    pub fn parse(&self, body: &str) -> Fallible<NewTransaction> {
        let place = self.ids.fetch_add(1, Ordering::Relaxed);
        let id = TransactionId(uuid::Uuid::from_u128(u128::from(place)));
        Ok(NewTransaction::parse(body, id, None, &Vocabulary::default())?)
    }

    pub async fn send(&self, body: &str) -> Fallible<Outcome> {
        let action = Action::Record(self.parse(body)?);
        let mut reply = self.store.commit(Submission::one(self.now(), action)).await?;
        Ok(reply.verdicts.remove(0)?)
    }

    pub async fn record(&self, body: &str) -> Fallible<TransactionId> {
        match self.send(body).await? {
            Outcome::Created(recorded) => Ok(recorded.id),
            other => Err(format!("not created: {other:?}").into()),
        }
    }

    pub async fn with_key(&self, body: &str, key: u128) -> Fallible<Reply> {
        let fingerprint = daybook_core::id::fnv128(&[body.as_bytes()]);
        let submission = Submission {
            key: Some(IdempotencyKey { scope: key, fingerprint }),
            ..Submission::one(self.now(), Action::Record(self.parse(body)?))
        };
        Ok(self.store.commit(submission).await?)
    }

    /// Sends bodies and, when asked, one refused action behind them.
    pub async fn batch(&self, bodies: &[&str], atomic: bool, refuse: bool) -> Fallible<Reply> {
        let mut actions = Vec::new();
        for body in bodies {
            actions.push(Action::Record(self.parse(body)?));
        }
        if refuse {
            actions.push(Action::Refused(Rejection::field("/amount", "AMOUNT", "bad")));
        }
        let submission = Submission { at: self.now(), key: None, atomic, actions };
        Ok(self.store.commit(submission).await?)
    }

    pub async fn patch(&self, id: TransactionId, body: &str) -> Result<Outcome, Rejection> {
        let patch = Patch::parse(body)?;
        self.act(Action::Amend { id, owner: None, version: None, patch }).await
    }

    pub async fn erase(&self, id: TransactionId) -> Result<Outcome, Rejection> {
        self.act(Action::Erase { id, owner: None, version: None }).await
    }

    async fn act(&self, action: Action) -> Result<Outcome, Rejection> {
        let reply = self.store.commit(Submission::one(self.now(), action)).await;
        reply.expect("the store answers").verdicts.remove(0)
    }

    pub fn query(&self, name: &str, filters: &[(&str, &str)]) -> Fallible<Query> {
        Ok(Query::parse(&pairs(filters), Some(&user(name)))?)
    }

    /// The ids of the first page.
    pub async fn ids(&self, name: &str, filters: &[(&str, &str)]) -> Fallible<Vec<TransactionId>> {
        let page = self.store.transactions(self.query(name, filters)?).await?;
        Ok(page.items.iter().map(|item| item.id).collect())
    }

    /// The ids of all pages, walked with cursors.
    pub async fn walk(
        &self,
        name: &str,
        filters: &[(&str, &str)],
        limit: &str,
    ) -> Fallible<Vec<TransactionId>> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut asked = filters.to_vec();
            asked.extend([("limit", limit), ("cursor", &cursor)]);
            let query = self.query(name, &asked)?;
            let digest = query.digest;
            let page = self.store.transactions(query).await?;
            ids.extend(page.items.iter().map(|item| item.id));
            match page.next {
                Some(next) => cursor = next.encode(digest),
                None => return Ok(ids),
            }
        }
    }

    /// The ids of all pages, by number.
    pub async fn leaf(
        &self,
        name: &str,
        filters: &[(&str, &str)],
        size: &str,
    ) -> Fallible<Vec<TransactionId>> {
        let mut ids = Vec::new();
        for number in 1.. {
            let number = i32::to_string(&number);
            let mut asked = filters.to_vec();
            asked.extend([("page", number.as_str()), ("page_size", size)]);
            let page = self.store.transactions(self.query(name, &asked)?).await?;
            if page.items.is_empty() {
                break;
            }
            ids.extend(page.items.iter().map(|item| item.id));
        }
        Ok(ids)
    }

    pub async fn statistics(&self, name: &str, span: Span) -> Fallible<Vec<Statistics>> {
        Ok(self.store.statistics(user(name), span, Vec::new()).await?)
    }

    pub fn verified(&self) -> Fallible<()> {
        // `verify` blocks; on a single-threaded test runtime it needs a runtime of its own.
        let store = Arc::clone(&self.store);
        let checked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(async move { store.verify(&|_, _| ()).await }))
        });
        let found = checked.join().map_err(|_| "verify panicked")???;
        assert_eq!(found.differences, []);
        Ok(())
    }
}
