//! Connections: a pool for questions, and statements that work behind a pooler too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Object, RecyclingMethod, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::away;
use super::param::Param;
use super::target::{CONNECT_MAX, GRACE, Statements, Target};
use crate::{Error, Result};

/// Connections for questions.
pub struct Pool {
    pool: deadpool_postgres::Pool,
    target: Target,
    /// Who answers when this server cannot be reached.
    fallback: Option<Arc<Pool>>,
}

impl Pool {
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Makes a pool; connections come when they are needed.
    ///
    /// # Errors
    /// When the pool cannot be set up.
    pub fn new(target: &Target) -> Result<Self> {
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(target.config.clone(), target.tls.clone(), fast);
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(target.pool_max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(target.limit.min(CONNECT_MAX)))
            .create_timeout(Some(CONNECT_MAX + GRACE))
            .recycle_timeout(Some(CONNECT_MAX))
            .build()
            .map_err(|error| Error::Driver(Box::new(error)))?;
        Ok(Self { pool, target: target.clone(), fallback: None })
    }

    /// The same connections, and those of another pool while this one's server is away.
    pub fn or(&self, fallback: Arc<Pool>) -> Self {
        Self { pool: self.pool.clone(), target: self.target.clone(), fallback: Some(fallback) }
    }

    /// A connection for a question of one statement.
    ///
    /// # Errors
    /// When no connection is free for long, or the server cannot be reached.
    pub async fn ask(&self) -> Result<Conn> {
        let (held, target) = self.take().await?;
        // Behind a pooler only a transaction can bring its own settings.
        let begin = match target.statements {
            Statements::Named => None,
            Statements::Unnamed => Some(target.limit),
        };
        Ok(Conn::new(held, target, begin))
    }

    /// A connection whose statements all see one state of the books.
    ///
    /// # Errors
    /// As [`Pool::ask`].
    pub async fn snapshot(&self) -> Result<Conn> {
        let (held, target) = self.take().await?;
        Ok(Conn::new(held, target, Some(target.limit)))
    }

    /// As [`Pool::snapshot`], for a look that takes as long as it takes.
    ///
    /// # Errors
    /// As [`Pool::ask`].
    pub async fn look(&self) -> Result<Conn> {
        let (held, target) = self.take().await?;
        let mut conn = Conn::new(held, target, Some(Duration::ZERO));
        conn.limit = Duration::MAX;
        Ok(conn)
    }

    /// A connection for one statement that writes beside the books, a transaction by itself.
    ///
    /// # Errors
    /// As [`Pool::ask`].
    pub async fn write(&self) -> Result<Conn> {
        let (held, target) = self.take().await?;
        Ok(Conn::new(held, target, None))
    }

    async fn take(&self) -> Result<(Held, &Target)> {
        match (self.get().await, &self.fallback) {
            (Err(Error::Away { .. }), Some(other)) => Ok((other.get().await?, &other.target)),
            (held, _) => Ok((held?, &self.target)),
        }
    }

    async fn get(&self) -> Result<Held> {
        use deadpool_postgres::{PoolError, TimeoutType};
        match self.pool.get().await {
            Ok(object) => Ok(Held::Pooled(object)),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Error::Busy),
            Err(PoolError::Timeout(_)) => Err(away("connecting took too long")),
            Err(PoolError::Closed) => Err(Error::Closed),
            Err(error) => Err(Error::Driver(Box::new(error))),
        }
    }

    /// Refuses new questions.
    pub fn close(&self) {
        self.pool.close();
    }
}

enum Held {
    Pooled(Object),
    Own(ClientWrapper),
}

/// A connection in use. All calls take `&self`, so that several futures joined together go to the
/// server as one message; statements run in the order in which their futures were first polled.
pub struct Conn {
    /// `None` only while it is dropped.
    held: Option<Held>,
    statements: Statements,
    limit: Duration,
    /// How the transaction begins in which the statements run; sent with the first of them.
    begin: Option<String>,
    begun: AtomicBool,
    broken: AtomicBool,
}

impl Conn {
    /// A connection outside of the pool.
    pub fn own(client: ClientWrapper, target: &Target) -> Self {
        Self::new(Held::Own(client), target, None)
    }

    fn new(held: Held, target: &Target, limit: Option<Duration>) -> Self {
        let begin = limit.map(|limit| {
            format!(
                "begin isolation level repeatable read read only; \
                 set local statement_timeout = {}; set local jit = off",
                limit.as_millis()
            )
        });
        Self {
            held: Some(held),
            statements: target.statements,
            limit: target.limit,
            begin,
            begun: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    fn client(&self) -> Result<&ClientWrapper> {
        match &self.held {
            Some(Held::Pooled(object)) => Ok(object),
            Some(Held::Own(client)) => Ok(client),
            None => Err(Error::Closed),
        }
    }

    /// The connection with statements that may take longer than a question.
    pub fn patient(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How long one statement may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether the connection is of no more use.
    pub fn is_broken(&self) -> bool {
        let closed = |client: &ClientWrapper| client.is_closed();
        self.broken.load(Ordering::Relaxed) || self.client().map_or(true, closed)
    }

    /// Asks for rows. The text must be one of few, because statements stay prepared.
    ///
    /// # Errors
    /// What the server says, or that it is away.
    pub async fn query(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>> {
        self.in_time(Box::pin(async {
            let client = self.client()?;
            let rows = async {
                match self.statements {
                    Statements::Named => {
                        let types: Vec<_> = params.iter().map(|param| param.kind()).collect();
                        let statement = client.prepare_typed_cached(sql, &types).await?;
                        let values: Vec<&(dyn ToSql + Sync)> =
                            params.iter().map(|param| param.value()).collect();
                        client.query(&statement, &values).await
                    }
                    Statements::Unnamed => {
                        let values: Vec<_> =
                            params.iter().map(|param| (param.value(), param.kind())).collect();
                        client.query_typed(sql, &values).await
                    }
                }
            };
            let begun = self.begun.swap(true, Ordering::Relaxed);
            match &self.begin {
                Some(begin) if !begun => {
                    let (begun, rows) =
                        futures_util::future::join(client.batch_execute(begin), rows).await;
                    begun?;
                    Ok(rows?)
                }
                _ => Ok(rows.await?),
            }
        }))
        .await
    }

    /// Asks for the one row that there may be.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn query_opt(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement; answers how many rows it changed.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64> {
        self.in_time(Box::pin(async {
            let client = self.client()?;
            Ok(match self.statements {
                Statements::Named => {
                    let types: Vec<_> = params.iter().map(|param| param.kind()).collect();
                    let statement = client.prepare_typed_cached(sql, &types).await?;
                    let values: Vec<&(dyn ToSql + Sync)> =
                        params.iter().map(|param| param.value()).collect();
                    client.execute(&statement, &values).await?
                }
                Statements::Unnamed => {
                    let values: Vec<_> =
                        params.iter().map(|param| (param.value(), param.kind())).collect();
                    client.execute_typed(sql, &values).await?
                }
            })
        }))
        .await
    }

    /// Prepares a statement, so that it can stand in a pipeline whose order matters: one that is
    /// still to be prepared would be run after those that are not.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn prepare(&self, sql: &str, params: &[&dyn Param]) -> Result<()> {
        if self.statements == Statements::Named {
            let types: Vec<_> = params.iter().map(|param| param.kind()).collect();
            self.in_time(async { Ok(self.client()?.prepare_typed_cached(sql, &types).await?) })
                .await?;
        }
        Ok(())
    }

    /// Runs statements that take no parameters and answer nothing.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.in_time(async { Ok(self.client()?.batch_execute(sql).await?) }).await
    }

    /// Waits a little longer than the server may take, and notes what an error means.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let result = match self.limit.checked_add(GRACE) {
            Some(patience) if self.limit != Duration::MAX => {
                let answered = tokio::time::timeout(patience, asked).await;
                answered.unwrap_or_else(|_| Err(away("the database does not answer")))
            }
            _ => asked.await,
        };
        result.map_err(|error| match error {
            Error::TooBroad { .. } => Error::TooBroad { limit: self.limit },
            Error::Away { .. } => {
                self.broken.store(true, Ordering::Relaxed);
                error
            }
            other => other,
        })
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(Held::Pooled(object)) = self.held.take() else { return };
        if self.broken.load(Ordering::Relaxed) {
            drop(Object::take(object));
            return;
        }
        if self.begin.is_none() || !self.begun.load(Ordering::Relaxed) {
            return;
        }
        // Nobody waits for the end of a transaction that only read. Who stopped waiting for an
        // answer leaves one that is still running, and the connection is free when it is over.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if object.batch_execute("rollback").await.is_err() {
                        drop(Object::take(object));
                    }
                });
            }
            Err(_) => drop(Object::take(object)),
        }
    }
}
