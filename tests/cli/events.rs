use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::folder::{Folder, bodies};

/// A store with five items of ann's.
fn books() -> Folder {
    let folder = Folder::new();
    folder.write("items.ndjson", bodies("ann", 1..6));
    folder.ok(&["import", "items.ndjson"]);
    folder
}

fn numbers(text: &str) -> Vec<i64> {
    let seq = |line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64().unwrap();
    text.lines().map(seq).collect()
}

#[test]
fn the_log_is_written_in_its_order() {
    let folder = books();
    let text = folder.ok(&["events"]);
    assert_eq!(numbers(&text), [1, 2, 3, 4, 5]);
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["event_type"], "transaction.created");
    assert_eq!((&first["user_id"], &first["version"]), (&json!("ann"), &json!(1)));
    assert_eq!(first["transaction"]["amount"], json!(1.25));
    assert_eq!(numbers(&folder.ok(&["events", "--after", "3"])), [4, 5]);
    assert_eq!(folder.ok(&["events", "--after", "5"]), "");
}

#[test]
fn a_place_is_remembered_by_its_name() {
    let folder = books();
    assert_eq!(folder.ok(&["events", "followers"]).lines().count(), 1);
    let audit = ["events", "--as", "audit", "--after", "2"];
    assert_eq!(numbers(&folder.ok(&audit)), [3, 4, 5]);
    assert_eq!(folder.ok(&audit), "");
    folder.write("more.ndjson", bodies("ann", 6..8));
    folder.ok(&["import", "more.ndjson"]);
    let listed = folder.json(&["events", "followers", "--json"]);
    assert_eq!(listed, json!({"name": "audit", "place": 5, "lag": 2, "owner": null}));
    assert_eq!(numbers(&folder.ok(&audit)), [6, 7]);
    assert_eq!(folder.ok(&["events", "forget", "audit"]), "forgot 'audit'\n");
    assert_eq!(numbers(&folder.ok(&audit)), [3, 4, 5, 6, 7]);
    folder.run(&["events", "forget", "other"]).fails(2, "nobody follows by the name 'other'");
}

#[test]
fn following_goes_on_until_it_is_told_to_end() {
    let folder = books();
    let mut command = folder.command(&["events", "--follow", "--as", "audit"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let first: Vec<String> = lines.by_ref().take(5).collect();
    assert_eq!(numbers(&first.join("\n")), [1, 2, 3, 4, 5]);
    // It is asked to end while nothing happens; what it has written it has also remembered.
    let kill = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lines.next(), None);
    let listed = folder.json(&["events", "followers", "--json"]);
    assert_eq!((&listed["place"], &listed["owner"]), (&json!(5), &Value::Null));
}

#[test]
fn wrong_names_and_places_are_refused() {
    let folder = books();
    for words in [
        &["--as", "a b"][..],
        &["--as", ""],
        &["--after", "-1"],
        &["--after", "x"],
        &["followers", "--follow"],
    ] {
        let ran = folder.run(&[&["events"], words].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {ran:?}");
    }
    let nowhere = Folder::new();
    nowhere.run(&["events"]).fails(2, "there is no store at 'daybook.db'");
    assert!(!nowhere.has("daybook.db"));
}
