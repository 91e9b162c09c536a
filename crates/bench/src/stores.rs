//! Where the stores of a run are: files in its folder, or databases on a server, made for one
//! measurement each and dropped after it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// How long a server may take to answer before the benchmark gives up.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// What keeps the stores.
#[derive(Clone, Debug)]
pub enum Stores {
    /// SQLite files in this folder.
    Files(PathBuf),
    /// Databases on a PostgreSQL server.
    Server(Address),
}

/// A PostgreSQL server, as the URL of one of its databases names it.
#[derive(Clone, Debug)]
pub struct Address {
    url: String,
}

/// A store that nobody has used; what it is on a server goes when it is dropped.
#[derive(Debug)]
pub struct Store {
    pub url: String,
    database: Option<Database>,
}

#[derive(Debug)]
struct Database {
    server: Address,
    name: String,
}

impl Stores {
    /// Makes a store, empty and without a schema; no two have the same name.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn make(&self, name: &str) -> Result<Store> {
        match self {
            Self::Files(folder) => {
                let file = folder.join(format!("{name}.db"));
                Ok(Store { url: format!("sqlite:{}", file.display()), database: None })
            }
            Self::Server(server) => {
                let name = format!("daybook_bench_{}_{}", std::process::id(), plain(name));
                server.run(&format!("create database {name}"))?;
                let url = server.url_of(&name);
                Ok(Store { url, database: Some(Database { server: server.clone(), name }) })
            }
        }
    }

    pub fn are_on_a_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }
}

impl Store {
    /// The URL as PostgreSQL's own programs take it.
    ///
    /// # Errors
    /// When the store is a file.
    pub fn database(&self) -> Result<Address> {
        self.database.as_ref().context("a file is no database")?;
        Ok(Address { url: self.url.clone() })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = self.server.run(&format!("drop database {} with (force)", self.name));
        if let Err(error) = dropped {
            eprintln!("the database {} stays: {error:#}", self.name);
        }
    }
}

impl Address {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// The URL without what only Daybook understands.
    pub fn plain(&self) -> String {
        let (place, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let own = |part: &&str| {
            !["pool=", "statements="].iter().any(|own| part.starts_with(own)) && !part.is_empty()
        };
        let rest: Vec<&str> = query.split('&').filter(own).collect();
        if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) }
    }

    /// The same server and options, another database.
    fn url_of(&self, name: &str) -> String {
        let (place, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{scheme}://{host}/{name}{query}")
    }

    /// Runs statements, each by itself, and returns the first value that the last one answers.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses one.
    pub fn run(&self, statements: &str) -> Result<Option<String>> {
        let mut config = Config::from_str(&self.plain()).context("reading the store's URL")?;
        config.connect_timeout(CONNECT_MAX);
        let running = async {
            let (client, connection) = config.connect(NoTls).await.context("connecting")?;
            // A client tells what went wrong.
            let connection = tokio::spawn(async move { drop(connection.await) });
            let mut value = None;
            for statement in statements.split(";\n").filter(|text| !text.trim().is_empty()) {
                let rows = client.simple_query(statement).await;
                let rows = rows.map_err(|error| refused(&error, statement))?;
                value = rows.iter().find_map(|row| match row {
                    SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                });
            }
            drop(client);
            connection.await?;
            Ok(value)
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(running)
    }
}

/// What the server says, which the driver keeps behind a short sentence.
fn refused(error: &tokio_postgres::Error, statement: &str) -> anyhow::Error {
    let said = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
    let start: String = statement.chars().take(60).collect();
    anyhow!("{said} ({start})")
}

/// A name that needs no quotes on a server.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_the_same_server_keeps_its_options() {
        for (url, other, plain) in [
            ("postgres://u@h:1/d", "postgres://u@h:1/x", "postgres://u@h:1/d"),
            ("postgres://h", "postgres://h/x", "postgres://h"),
            (
                "postgresql://h/d?pool=3&sslmode=disable",
                "postgresql://h/x?pool=3&sslmode=disable",
                "postgresql://h/d?sslmode=disable",
            ),
        ] {
            let server = Address::new(url);
            assert_eq!((server.url_of("x").as_str(), server.plain().as_str()), (other, plain));
        }
    }
}
