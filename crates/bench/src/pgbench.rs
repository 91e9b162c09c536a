//! The baseline on PostgreSQL: `pgbench`, which comes with it, on a database of the same server
//! with the same durability, its statements prepared. It does nothing else than write.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::client::Client;
use crate::report::Row;
use crate::server::Program;
use crate::stores::Store;
use crate::{load, writes};

/// How many connections `pgbench` has, and how many threads of its own serve them.
const CLIENTS: usize = 16;
const THREADS: usize = 2;
/// How many times 100 000 accounts its own transfers are among.
const SCALE: &str = "10";

/// Prepares the rows that are inserted, out of what Daybook recorded.
const STAGE: &str = include_str!("pgbench/stage.sql");
const INSERT: &str = include_str!("pgbench/insert.sql");
const INSERTED: &str = include_str!("pgbench/inserted.sql");

/// How many items PostgreSQL itself inserts a second, one a transaction, into Daybook's own table
/// of items with all of its indexes.
///
/// # Errors
/// When the rows cannot be prepared or `pgbench` fails.
pub fn inserts(program: &Program, bodies: &[String], time: Duration) -> Result<Row> {
    let store = program.store("pgbench")?;
    let server = program.serve(&store)?;
    let client = Client { address: server.address, also: None, connections: 2 };
    let arrays = load::arrays(bodies, 10_000);
    writes::accepts(&client, "/api/v1/transactions/batch", &arrays)?;
    writes::send(&client, "/api/v1/transactions/batch", &arrays)?;
    drop(server);
    let database = store.database()?;
    database.run(STAGE)?;
    let script = program.file("insert.sql");
    std::fs::write(&script, INSERT).context("writing the script of pgbench")?;
    let clients = format!("clients={CLIENTS}");
    let script = script.to_string_lossy();
    let said = run(&store, time, &["-f", &script, "-D", "n=0", "-D", &clients])?;
    let inserted = database.run(INSERTED)?.and_then(|text| text.parse::<u64>().ok());
    if inserted.is_none_or(|inserted| inserted < said.transactions) {
        bail!("pgbench inserted {inserted:?} rows in {} transactions", said.transactions);
    }
    Ok(said.row("pgbench, one item a transaction"))
}

/// How many of its own transfers (TPC-B-like: three balances and a history) `pgbench` makes a
/// second.
///
/// # Errors
/// When its tables cannot be made or it fails.
pub fn transfers(program: &Program, time: Duration) -> Result<Row> {
    let store = program.store("tpcb")?;
    pgbench(&store, &["-i", "-q", "-s", SCALE])?;
    Ok(run(&store, time, &["-b", "tpcb-like"])?.row("pgbench, TPC-B-like"))
}

/// What `pgbench` reports.
#[derive(Debug, PartialEq)]
struct Said {
    transactions: u64,
    per_second: f64,
}

impl Said {
    fn read(text: &str) -> Result<Self> {
        let field = |start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start))?;
            line.split_whitespace().next()
        };
        let transactions = field("number of transactions actually processed: ");
        let per_second = field("tps = ");
        let (transactions, per_second) = transactions
            .zip(per_second)
            .with_context(|| format!("reading what pgbench says: {}", text.trim_end()))?;
        Ok(Self { transactions: transactions.parse()?, per_second: per_second.parse()? })
    }

    fn row(&self, name: &str) -> Row {
        Row { per_second: Some(self.per_second), ..Row::fact(name) }.connections(CLIENTS)
    }
}

fn run(store: &Store, time: Duration, script: &[&str]) -> Result<Said> {
    let seconds = time.as_secs().max(1).to_string();
    let (clients, threads) = (CLIENTS.to_string(), THREADS.to_string());
    let how = ["-n", "-M", "prepared", "-c", &clients, "-j", &threads, "-T", &seconds];
    Said::read(&pgbench(store, &[&how, script].concat())?)
}

fn pgbench(store: &Store, words: &[&str]) -> Result<String> {
    let program = find().ok_or_else(|| {
        anyhow!("there is no pgbench, which comes with PostgreSQL, in the search path")
    })?;
    let mut command = Command::new(program);
    command.args(words).arg(store.database()?.plain());
    let output = command.output().context("running pgbench")?;
    if !output.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program, also where Debian keeps it.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.iter().map(|folder| folder.join("pgbench")).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_says_is_read() {
        let text = "scaling factor: 10\nnumber of transactions actually processed: 123\n\
                    latency average = 1.2 ms\ntps = 4567.89 (without initial connection time)\n";
        let said = Said { transactions: 123, per_second: 4567.89 };
        assert_eq!(Said::read(text).unwrap(), said);
        assert!(Said::read("pgbench (PostgreSQL) 15").is_err());
    }
}
