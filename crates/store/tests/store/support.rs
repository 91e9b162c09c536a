//! A store in a temporary place, and short ways to use it.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use daybook_core::command::{Action, IdempotencyKey};
use daybook_core::query::Query;
use daybook_core::stats::{Span, Statistics};
use daybook_core::transaction::Vocabulary;
use daybook_core::write_set::{Outcome, Recorded, Reply};
use daybook_core::{
    AccountId, AccountPatch, Holding, NewAccount, NewTransaction, NewTransfer, Patch, Rejection,
    Subject, Submission, Timestamp, TransactionId, Transfer, TransferId, UserId,
};
use daybook_store::{Difference, Options, Store};
use uuid::Uuid;

use crate::database::{self, Database};
use crate::pooler;

/// The number of the newest migration.
pub const SCHEMA: i64 = 9;

pub type Fallible<T> = Result<T, Box<dyn Error>>;

/// The store that a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer, which gives every transaction another connection.
    Pgbouncer,
}

/// Makes each rule a test of every store. A rule that stands in no list is dead code, which the
/// compiler names.
macro_rules! every_store {
    ($($rule:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() -> crate::support::Fallible<()> {
                super::$rule(crate::support::On::Sqlite).await
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() -> crate::support::Fallible<()> {
                match crate::database::server() {
                    Some(_) => super::$rule(crate::support::On::Postgres).await,
                    None => Ok(()),
                }
            })*
        }

        mod pgbouncer {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() -> crate::support::Fallible<()> {
                match crate::pooler::url() {
                    Some(_) => super::$rule(crate::support::On::Pgbouncer).await,
                    None => Ok(()),
                }
            })*
        }
    };
}
pub(crate) use every_store;

pub struct Books {
    pub store: Arc<dyn Store>,
    pub url: String,
    pub on: On,
    clock: AtomicI64,
    ids: AtomicU64,
    // Last, so that they are there as long as the store is.
    _folder: Option<tempfile::TempDir>,
    database: Option<Database>,
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

pub fn pairs(filters: &[(&str, &str)]) -> Vec<(String, String)> {
    filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The body of a transfer.
pub fn payment(source: i64, destination: i64, amount: &str, more: &str) -> String {
    let accounts =
        format!(r#""source_account_id":{source},"destination_account_id":{destination}"#);
    format!(r#"{{{accounts},"amount":"{amount}"{more}}}"#)
}

impl Books {
    /// Opens a store that nobody has used before.
    pub async fn open(on: On) -> Fallible<Self> {
        match on {
            On::Sqlite => {
                let folder = tempfile::tempdir()?;
                let books = Self::open_in(folder.path()).await?;
                Ok(Self { _folder: Some(folder), ..books })
            }
            On::Postgres | On::Pgbouncer => {
                let server = database::server().ok_or("there is no server")?;
                let database = Database::make(&server).await?;
                let url = match on {
                    On::Pgbouncer => pooler::to(&database).ok_or("there is no PgBouncer")?,
                    On::Sqlite | On::Postgres => database.url.clone(),
                };
                let books = Self::at(url, on).await?;
                Ok(Self { database: Some(database), ..books })
            }
        }
    }

    /// Opens a store in a folder that is there already.
    pub async fn open_in(folder: &Path) -> Fallible<Self> {
        let url = format!("sqlite:{}", folder.join("daybook.db").display());
        Self::at(url, On::Sqlite).await
    }

    /// Opens what is at a URL.
    pub async fn at(url: String, on: On) -> Fallible<Self> {
        Self::with(url, on, Options::default()).await
    }

    pub async fn with(url: String, on: On, options: Options) -> Fallible<Self> {
        let store = daybook_store::open(&url, options).await?;
        Ok(Self {
            store,
            url,
            on,
            clock: AtomicI64::new(1_720_000_000_000_000),
            ids: AtomicU64::new(1),
            _folder: None,
            database: None,
        })
    }

    /// Goes on with the clock and the ids of others.
    pub fn follow(&self, others: &Self) {
        self.clock.store(others.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        self.ids.store(others.ids.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.fetch_add(1_000, Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn pass(&self, us: i64) {
        self.clock.fetch_add(us, Ordering::Relaxed);
    }

    pub fn parse(&self, body: &str) -> Fallible<NewTransaction> {
        let place = self.ids.fetch_add(1, Ordering::Relaxed);
        let id = TransactionId(Uuid::from_u128(u128::from(place)));
        Ok(NewTransaction::parse(body, id, None, &Vocabulary::default())?)
    }

    pub async fn send(&self, body: &str) -> Fallible<Outcome> {
        let action = Action::Record(self.parse(body)?);
        let mut reply = self.store.commit(Submission::one(self.now(), action)).await?;
        Ok(reply.verdicts.remove(0)?)
    }

    pub async fn record(&self, body: &str) -> Fallible<TransactionId> {
        match self.send(body).await? {
            Outcome::Created(Recorded { subject: Subject::Item(id), .. }) => Ok(id),
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

    /// Opens an account.
    pub async fn account(&self, body: &str) -> Result<AccountId, Rejection> {
        let new = NewAccount::parse(body, None, &Vocabulary::default())?;
        match self.act(Action::Open(new)).await? {
            Outcome::Created(Recorded { subject: Subject::Account(id), .. }) => Ok(id),
            other => panic!("not opened: {other:?}"),
        }
    }

    pub async fn reform(&self, id: i64, body: &str) -> Result<Outcome, Rejection> {
        let (id, patch) = (AccountId(id), AccountPatch::parse(body)?);
        self.act(Action::Reform { id, owner: None, version: None, patch }).await
    }

    pub fn transfer_id(&self) -> TransferId {
        let place = self.ids.fetch_add(1, Ordering::Relaxed);
        TransferId(Uuid::from_u128((1 << 64) | u128::from(place) << 8))
    }

    pub fn new_transfer(&self, body: &str) -> Result<NewTransfer, Rejection> {
        NewTransfer::parse(body, self.transfer_id(), &Vocabulary::default())
    }

    /// Submits a transfer.
    pub async fn transfer(&self, body: &str) -> Result<TransferId, Rejection> {
        let new = self.new_transfer(body)?;
        let id = new.id;
        self.act(Action::Transfer(new)).await.map(|_| id)
    }

    /// Submits a transfer of an amount; `more` are further fields, each after a comma.
    pub async fn pay(
        &self,
        source: i64,
        destination: i64,
        amount: &str,
        more: &str,
    ) -> Result<TransferId, Rejection> {
        self.transfer(&payment(source, destination, amount, more)).await
    }

    pub async fn holding(&self, id: i64) -> Fallible<Holding> {
        let found = self.store.account(AccountId(id)).await?;
        found.ok_or_else(|| format!("there is no account {id}").into())
    }

    pub async fn moved(&self, id: TransferId) -> Fallible<Transfer> {
        self.store.transfer(id).await?.ok_or_else(|| format!("there is no transfer {id}").into())
    }

    /// Posted, pending in, pending out, available.
    pub async fn funds(&self, id: i64) -> Fallible<[String; 4]> {
        let Holding { account, funds } = self.holding(id).await?;
        let currency = account.currency;
        Ok([
            funds.balance.to_text(currency),
            funds.pending_in.to_text(currency),
            funds.pending_out.to_text(currency),
            funds.available().to_text(currency),
        ])
    }

    /// Another connection to the file, past all rules.
    pub fn file(&self) -> Fallible<rusqlite::Connection> {
        Ok(rusqlite::Connection::open(self.url.trim_start_matches("sqlite:"))?)
    }

    /// The database without what may stand between it and the store.
    pub async fn past(&self) -> Fallible<tokio_postgres::Client> {
        let url = self.database.as_ref().map_or(&self.url, |database| &database.url);
        Ok(database::connect(url).await?)
    }

    /// The ids that a statement selects as bytes, past all rules.
    pub async fn select_ids(&self, sqlite: &str, postgres: &str) -> Fallible<Vec<TransferId>> {
        let rows: Vec<Vec<u8>> = match self.on {
            On::Sqlite => {
                let file = self.file()?;
                let mut select = file.prepare(sqlite)?;
                let rows = select.query_map([], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()?
            }
            On::Postgres | On::Pgbouncer => {
                let rows = self.past().await?.query(postgres, &[]).await?;
                rows.iter().map(|row| row.get(0)).collect()
            }
        };
        rows.iter().map(|id| Ok(TransferId(Uuid::from_slice(id)?))).collect()
    }

    /// Closes the store and opens it again.
    pub async fn reopen(&mut self) -> Fallible<()> {
        self.store.close().await;
        self.store = daybook_store::open(&self.url, Options::default()).await?;
        Ok(())
    }

    pub async fn act(&self, action: Action) -> Result<Outcome, Rejection> {
        let reply = self.store.commit(Submission::one(self.now(), action)).await;
        reply.expect("the store answers").verdicts.remove(0)
    }

    pub fn query(&self, name: &str, filters: &[(&str, &str)]) -> Fallible<Query> {
        Ok(Query::parse(&pairs(filters), Some(&user(name)), &Vocabulary::default())?)
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
        let mut cursor: Option<String> = None;
        loop {
            let mut asked = filters.to_vec();
            asked.push(("limit", limit));
            asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let query = self.query(name, &asked)?;
            let digest = query.digest;
            let page = self.store.transactions(query).await?;
            ids.extend(page.items.iter().map(|item| item.id));
            match page.next {
                Some(next) => cursor = Some(next.encode(digest)),
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

    /// What `verify` finds.
    pub async fn differences(&self) -> Fallible<Vec<Difference>> {
        Ok(self.store.verify(&|_, _| ()).await?.differences)
    }

    pub async fn verified(&self) -> Fallible<()> {
        assert_eq!(self.differences().await?, []);
        Ok(())
    }
}

/// What the first column of an answer says. Statements are not prepared, because a pooler may give the
/// next one another connection.
pub async fn texts(client: &tokio_postgres::Client, sql: &str) -> Fallible<Vec<String>> {
    let mut texts = Vec::new();
    for message in client.simple_query(sql).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            texts.extend(row.get(0).map(str::to_owned));
        }
    }
    Ok(texts)
}

/// The one text that the books answer, past all rules.
pub async fn read(books: &Books, sql: &str) -> Fallible<String> {
    if books.on == On::Sqlite {
        return Ok(books.file()?.query_row(sql, [], |row| row.get(0))?);
    }
    let client = database::connect(books.url.split('?').next().unwrap_or_default()).await?;
    texts(&client, sql).await?.pop().ok_or_else(|| format!("no row: {sql}").into())
}

/// Changes rows past all rules, and says how many.
pub async fn change(url: &str, sql: &str) -> Fallible<u64> {
    for message in database::connect(url).await?.simple_query(sql).await? {
        if let tokio_postgres::SimpleQueryMessage::CommandComplete(rows) = message {
            return Ok(rows);
        }
    }
    Ok(0)
}

/// Changes one row behind the store's back.
pub async fn damage(books: &Books, sql: &str) -> Fallible<()> {
    let changed = match books.on {
        On::Sqlite => books.file()?.execute(sql, [])? as u64,
        On::Postgres | On::Pgbouncer => {
            let url = books.url.split('?').next().unwrap_or_default();
            change(url, sql).await?
        }
    };
    assert_eq!(changed, 1, "{sql}");
    Ok(())
}
