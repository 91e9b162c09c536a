//! A database of a test's own, on the PostgreSQL that tests may use.

#[path = "needs.rs"]
pub mod needs;

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_postgres::{Client, NoTls};

/// Names the server; `scripts/services up` starts one and prints this.
const VARIABLE: &str = "TEST_POSTGRES_URL";

static MADE: AtomicU64 = AtomicU64::new(0);

/// The server's URL.
pub fn server() -> Option<String> {
    needs::variable(VARIABLE)
}

/// Dropped on the server when it is dropped here.
pub struct Database {
    pub url: String,
    server: String,
    name: String,
}

impl Database {
    /// Makes an empty database.
    pub async fn make(server: &str) -> Result<Self, tokio_postgres::Error> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        connect(server).await?.batch_execute(&format!("create database {name}")).await?;
        Ok(Self::named(server, name))
    }

    fn named(server: &str, name: String) -> Self {
        Self { url: at(server, &name), server: server.to_owned(), name }
    }
}

/// The server's URL with another database.
pub fn at(server: &str, database: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let address = address.rsplit_once('/').map_or(address, |(address, _)| address);
    format!("{address}/{database}?{options}").trim_end_matches('?').to_owned()
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop_it = format!("drop database if exists {} with (force)", self.name);
        let server = self.server.clone();
        // A test's own runtime may be ending; and what fails here ends with the server.
        let dropping = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async move {
                connect(&server).await.ok()?.batch_execute(&drop_it).await.ok()
            })
        });
        drop(dropping.join());
    }
}

/// A connection past all rules.
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client, and a client tells what went wrong.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
