use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::folder::{Folder, bodies};
use crate::stores::{On, every_store};

every_store! {
    the_same_import_run_twice_changes_nothing,
    a_newer_record_updates_the_one_that_is_there,
    bad_rows_go_to_the_rejects_and_the_rest_goes_in,
    standard_input_is_read_and_its_rows_may_be_one_users,
    a_killed_import_goes_on_where_it_was_and_records_nothing_twice,
}

pub fn counts(summary: &Value) -> [u64; 5] {
    ["rows", "created", "updated", "unchanged", "rejected"]
        .map(|name| summary[name].as_u64().unwrap())
}

fn the_same_import_run_twice_changes_nothing(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 0..50));
    let import = ["import", "items.ndjson", "--json"];
    assert_eq!(counts(&folder.json(&import)), [50, 50, 0, 0, 0]);
    let before = folder.ok(&["export"]);
    assert_eq!(counts(&folder.json(&import)), [50, 0, 0, 50, 0]);
    assert_eq!(folder.ok(&["export"]), before);
    assert!(!folder.has("items.ndjson.rejects.ndjson"));
    assert!(!folder.has("items.ndjson.import-state.json"));
}

fn a_newer_record_updates_the_one_that_is_there(on: On) {
    let folder = Folder::on(on);
    let body = |status| {
        json!({"user_id": "ann", "transaction_type": "card", "amount": "5.00", "status": status,
               "source": "bank", "external_id": "1", "created_at": "2024-01-15T10:30:00Z"})
    };
    folder.write("items.ndjson", format!("{}\n{}\n", body("pending"), body("completed")));
    assert_eq!(counts(&folder.json(&["import", "items.ndjson", "--json"])), [2, 1, 1, 0, 0]);
    let item: Value = serde_json::from_str(&folder.ok(&["export"])).unwrap();
    assert_eq!((&item["status"], &item["version"]), (&json!("completed"), &json!(2)));
}

fn bad_rows_go_to_the_rejects_and_the_rest_goes_in(on: On) {
    let folder = Folder::on(on);
    let mut text = bodies("ann", 0..2).into_bytes();
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(300_000));
    for line in [
        b"{\"user_id\":\"ann\",\"transaction_type\":\"card\"}".as_slice(),
        b"not json",
        b"{\"user_id\":\"caf\xe9\"}",
        b"",
        long.as_bytes(),
        br#"{"transaction_type":"card","amount":"1.005","currency":"EUR","colour":"red"}"#,
        br#"{"user_id":"ann","user_id":"bob","transaction_type":"card","amount":1}"#,
        br#"{"user_id":"ann","transaction_type":"p2p","amount":1,"source":"bank","external_id":"1"}"#,
    ] {
        text.extend(line);
        text.push(b'\n');
    }
    text.extend(bodies("ann", 2..3).trim_end().as_bytes());
    folder.write("items.ndjson", text);
    let summary = folder.json(&["import", "items.ndjson", "--json"]);
    assert_eq!(counts(&summary), [10, 3, 0, 0, 7]);
    assert_eq!(summary["rejects"], "items.ndjson.rejects.ndjson");
    let rejects = folder.read("items.ndjson.rejects.ndjson");
    let mut found: Vec<(u64, String, String)> = Vec::new();
    for line in rejects.lines() {
        let reject: Value = serde_json::from_str(line).unwrap();
        assert!(!reject["raw"].as_str().unwrap().is_empty());
        let errors = reject["errors"].as_array().unwrap().iter();
        let pairs = errors.map(|e| format!("{}:{}", e["pointer"], e["code"]).replace('"', ""));
        let code = reject["code"].as_str().unwrap().to_owned();
        found.push((reject["line"].as_u64().unwrap(), code, pairs.collect::<Vec<_>>().join(" ")));
    }
    found.sort_unstable();
    let found: Vec<(u64, &str, &str)> =
        found.iter().map(|(line, code, errors)| (*line, code.as_str(), errors.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "VALIDATION_FAILED", "/amount:REQUIRED"),
            (4, "MALFORMED_JSON", ""),
            (5, "VALIDATION_FAILED", ":ENCODING"),
            (7, "VALIDATION_FAILED", ":LINE_TOO_LONG"),
            (8, "VALIDATION_FAILED", "/amount:AMOUNT /user_id:REQUIRED /colour:UNKNOWN_FIELD"),
            (9, "DUPLICATE_KEY", ""),
            (10, "RECORD_CONFLICT", ""),
        ]
    );
    // A later import without bad rows leaves no old rejects behind.
    folder.write("items.ndjson", bodies("ann", 0..3));
    assert_eq!(counts(&folder.json(&["import", "items.ndjson", "--json"])), [3, 0, 0, 3, 0]);
    assert!(!folder.has("items.ndjson.rejects.ndjson"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::new();
    folder.write("items.ndjson", format!("{}nonsense\n", bodies("ann", 0..3)));
    let ran = folder.run(&["import", "items.ndjson", "--dry-run"]);
    assert_eq!(ran.stdout, "4 rows: 3 good, 1 would be rejected\n");
    assert!(ran.stderr.starts_with("line 4: MALFORMED_JSON: "), "{ran:?}");
    let names = std::fs::read_dir(folder.path("")).unwrap().count();
    assert_eq!(names, 1, "only the input is there");
}

fn standard_input_is_read_and_its_rows_may_be_one_users(on: On) {
    let folder = Folder::on(on);
    let body = r#"{"transaction_type":"card","amount":1}"#;
    let ran = folder.run_on(&["import", "-", "--user", "ann"], &format!("{body}\n{body}"));
    assert_eq!(ran.stdout, "2 rows: 2 created, 0 updated, 0 unchanged, 0 rejected\n");
    assert!(ran.stderr.contains("2 rows have no source and external_id"), "{ran:?}");
    assert_eq!(folder.ok(&["export", "--user", "ann"]).lines().count(), 2);
}

fn a_killed_import_goes_on_where_it_was_and_records_nothing_twice(on: On) {
    let folder = Folder::on(on);
    // Without names: only the place and the batch keys tell what was recorded.
    let mut text = String::new();
    for number in 0..6_000 {
        let body = json!({"user_id": "ann", "transaction_type": "card", "amount": number});
        let bad = if number % 1_000 == 7 { "bad\n" } else { "" };
        text.push_str(&format!("{body}\n{bad}"));
    }
    folder.write("items.ndjson", text);
    let import = ["import", "items.ndjson", "--json", "--batch", "100"];
    let summary = killed_and_run_again(&folder, &import, "items.ndjson");
    assert!(summary["resumed_after_line"].as_u64().unwrap() > 0);
    assert_eq!(counts(&summary), [6_006, 6_000, 0, 0, 6]);
    assert_eq!(folder.read("items.ndjson.rejects.ndjson").lines().count(), 6);
    let items = folder.ok(&["export"]);
    let mut amounts: Vec<u64> = items
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|item| item["amount"].to_string().trim_end_matches(".0").parse().unwrap())
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (0..6_000).collect::<Vec<u64>>());
    folder.ok(&["verify"]);
}

/// Kills an import again and again, and runs it until it comes to its end.
pub fn killed_and_run_again(folder: &Folder, import: &[&str], file: &str) -> Value {
    let mut resumed = 0;
    let summary = loop {
        let mut child = folder.command(import).stdout(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        let before = place(folder, file);
        while place(folder, file) < before.max(1) + 20_000
            && begun.elapsed() < Duration::from_secs(20)
        {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().ok();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        resumed += 1;
        assert!(resumed < 100, "the import never ends");
    };
    assert!(resumed > 0, "the import was never interrupted");
    summary
}

/// How far the state file says that the import is; 0 when there is none.
fn place(folder: &Folder, file: &str) -> u64 {
    let text = std::fs::read_to_string(folder.path(&format!("{file}.import-state.json")));
    let state = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    state.and_then(|state| state["offset"].as_u64()).unwrap_or(0)
}

#[test]
fn a_state_of_another_file_begins_at_the_top() {
    let folder = Folder::new();
    folder.write("items.ndjson", bodies("ann", 0..5));
    folder.write("items.ndjson.import-state.json", "{}");
    let ran = folder.run(&["import", "items.ndjson"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.starts_with("beginning at the top: "), "{ran:?}");
    assert!(ran.stdout.starts_with("5 rows: 5 created"), "{ran:?}");
}

#[test]
fn what_cannot_be_read_is_one_clear_sentence() {
    let folder = Folder::new();
    folder.run(&["import", "no.ndjson"]).fails(2, "'no.ndjson' cannot be read: No such file");
    folder.write("items.ndjson", "");
    let user = ["import", "items.ndjson", "--user", "a\tb"];
    folder.run(&user).fails(2, "--user: the user id contains control characters");
    let mapping = ["import", "items.ndjson", "--mapping", "no.toml"];
    folder.run(&mapping).fails(2, "the mapping 'no.toml' cannot be read");
}
