//! The benchmark as a user starts it, kept short: it measures the real binary and nothing of what
//! it sends is refused.

#![cfg(test)]

#[path = "../crates/store/tests/store/needs.rs"]
mod needs;

use std::process::Command;

use serde_json::Value;

/// The rows of a short run, in a folder where nothing may be left behind.
fn rows(words: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_daybook"));
    bench.args(["bench", "--quick", "--users", "200", "--json", "-"]).args(words);
    let output = bench.arg("--folder").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap().clone();
    for row in &rows {
        assert_eq!(row["refused"], 0, "{row}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the benchmark leaves nothing behind");
    rows
}

fn has(rows: &[Value], names: &[&str]) {
    let measured: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    for name in names {
        assert!(measured.contains(name), "{name} is not among {measured:?}");
    }
}

#[test]
fn a_quick_benchmark_measures_everything_and_nothing_is_refused() {
    let rows = rows(&[]);
    let feed = ["SQLite itself", "batches", "livez", "create", "seed", "start", "deep cursor"];
    let ledger = ["transfer", "transfer, 2 accounts", "transfer, Zipf 2.0", "transfer batches"];
    has(&rows, &feed);
    has(&rows, &ledger);
    has(&rows, &["statement page"]);
    has(&rows, &["create, all on", "feed page, all on"]);
}

#[test]
fn a_benchmark_of_a_server_compares_with_pgbench() {
    let Some(server) = needs::variable("TEST_POSTGRES_URL") else { return };
    let rows = |part| rows(&["--store", &server, "--only", part]);
    let of = |row: &Value| row["checks"].to_string();
    let writes = rows("writes");
    has(&writes, &["batches", "pgbench, one item a transaction", "create with key"]);
    let create = writes.iter().find(|row| row["name"] == "create").unwrap();
    assert!(of(create).contains("pgbench"), "{create}");
    let ledger = rows("ledger");
    has(&ledger, &["pgbench, TPC-B-like", "transfer, 2 accounts", "transfer, Zipf 2.0"]);
    let transfer = ledger.iter().find(|row| row["name"] == "transfer").unwrap();
    assert!(of(transfer).contains("pgbench"), "{transfer}");
    has(&rows("processes"), &["transfer, 2 processes", "verified, 2 processes"]);
}
