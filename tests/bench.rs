//! The benchmark as a user starts it, kept short: it measures the real binary and nothing of what
//! it sends is refused.

#![cfg(test)]

use std::process::Command;

#[test]
fn a_quick_benchmark_measures_everything_and_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_daybook"));
    bench.args(["bench", "--quick", "--users", "200", "--json", "-"]);
    let output = bench.arg("--folder").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for row in rows {
        assert_eq!(row["refused"], 0, "{row}");
    }
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    let feed = ["SQLite itself", "batches", "livez", "create", "seed", "start", "deep cursor"];
    let ledger = ["transfer", "transfer, 2 accounts", "transfer batches", "statement page"];
    for name in [&feed[..], &ledger].concat() {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the benchmark leaves nothing behind");
}
