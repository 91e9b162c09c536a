//! Commands beside a server that holds the file: the same as on the file alone.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::folder::{Folder, Ran, bodies};
use crate::serve::Server;

const SOCKET: &str = "daybook.db-socket";

/// What differs from run to run stands for itself: ids that are made, times, and speeds.
fn without_chance(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut plain = String::new();
    for piece in text.split_inclusive(|c: char| !is_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_word(c));
        let is_id = word.len() == 36 && word.matches('-').count() == 4;
        let is_time = word.len() >= 24 && word.contains('T') && word.ends_with('Z');
        plain.push_str(if is_id {
            "ID"
        } else if is_time {
            "TIME"
        } else {
            word
        });
        plain.push_str(piece.strip_prefix(word).unwrap_or_default());
    }
    plain
}

/// A command's exit code and all that it printed.
fn told(ran: &Ran) -> (Option<i32>, String, String) {
    (ran.code, without_chance(&ran.stdout), without_chance(&ran.stderr))
}

/// Runs the same commands on a file alone and beside a server, and expects the same of each.
struct Twins {
    alone: Folder,
    served: Folder,
    server: Server,
}

impl Twins {
    fn new() -> Self {
        let (alone, served) = (Folder::new(), Folder::new());
        let server = Server::start(&served, &[]);
        Self { alone, served, server }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.alone.write(name, text.as_ref());
        self.served.write(name, text.as_ref());
    }

    fn same(&self, words: &[&str]) -> Ran {
        let (alone, beside) = (self.alone.run(words), self.served.run(words));
        assert_eq!(told(&beside), told(&alone), "{words:?}");
        beside
    }

    fn ends(&self, code: i32, words: &[&str]) -> Ran {
        let ran = self.same(words);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        ran
    }

    /// Runs a command that names a transfer, which has another id in each store.
    fn same_on(&self, code: i32, words: &[&str], reference: &str) {
        let run = |folder: &Folder| {
            let listed = folder.ok(&[
                "transfers",
                "list",
                "--reference",
                reference,
                "--limit",
                "1",
                "--json",
            ]);
            let transfer: Value = serde_json::from_str(&listed).unwrap();
            let id = transfer["id"].as_str().unwrap().to_owned();
            let words: Vec<&str> =
                words.iter().map(|w| if *w == "ID" { &id } else { *w }).collect();
            folder.run(&words)
        };
        let (alone, beside) = (run(&self.alone), run(&self.served));
        assert_eq!(told(&beside), told(&alone), "{words:?}");
        assert_eq!(beside.code, Some(code), "{words:?}: {beside:?}");
    }
}

#[test]
fn items_are_imported_exported_and_cleaned_alike() {
    let twins = Twins::new();
    twins.write("items.ndjson", format!("{}bad\n{}", bodies("ann", 1..40), bodies("bob", 1..9)));
    twins.write("none.ndjson", "bad\nworse\n");
    twins.ends(0, &["import", "items.ndjson", "--dry-run"]);
    let first = twins.ends(0, &["import", "items.ndjson", "--batch", "7"]);
    assert!(first.stdout.starts_with("48 rows: 47 created"), "{first:?}");
    assert_eq!(
        twins.served.read("items.ndjson.rejects.ndjson"),
        twins.alone.read("items.ndjson.rejects.ndjson")
    );
    let again = twins.ends(0, &["import", "items.ndjson"]);
    assert!(again.stdout.starts_with("48 rows: 0 created, 0 updated, 47 unchanged"), "{again:?}");
    twins.same(&["import", "none.ndjson"]);
    twins.ends(2, &["import", "missing.ndjson"]);
    for words in [
        &["export"][..],
        &["export", "--user", "bob", "--format", "csv"],
        &["export", "--filter", "search_query=shop 1*", "--filter", "min_amount=3"],
        &["export", "--filter", "metadata.merchant_name=Shop 7"],
        &["export", "-o", "out.ndjson"],
    ] {
        twins.ends(0, words);
    }
    twins.ends(2, &["export", "--filter", "colour=red"]);
    // What was exported is here already, by its id and by its name.
    twins.ends(0, &["import", "out.ndjson"]);
    twins.ends(2, &["clean", "--user", "bob"]);
    let cleaned = twins.ends(0, &["clean", "--user", "bob", "--yes"]);
    assert_eq!(cleaned.stdout, "8 items deleted\n");
    twins.ends(0, &["clean", "--all", "--yes", "--json"]);
    assert_eq!(twins.ends(0, &["export"]).stdout, "");
    twins.ends(0, &["verify"]);
}

#[test]
fn sample_items_are_recorded_alike() {
    let twins = Twins::new();
    let words = ["seed", "--count", "300", "--users", "20", "--seed", "9", "--json"];
    let seeded =
        [&twins.alone, &twins.served].map(|folder| folder.json(&words)["recorded"].clone());
    assert_eq!(seeded, [json!(300), json!(300)]);
    let verified = twins.ends(0, &["verify", "--json"]);
    assert!(verified.stdout.contains("\"items\":300"), "{verified:?}");
    twins.ends(2, &["seed", "--user", ""]);
}

#[test]
fn accounts_and_transfers_are_kept_alike() {
    let twins = Twins::new();
    for words in [
        &["accounts", "open", "--id", "1", "--user", "ann", "--initial-balance", "100.00"][..],
        &[
            "accounts",
            "open",
            "--id",
            "2",
            "--user",
            "bob",
            "--metadata",
            "{\"n\": 1.50}",
            "--json",
        ],
        &["accounts", "open", "--name", "Fees", "--overdraft-limit", "unlimited"],
        &["accounts", "list"],
        &["accounts", "list", "--user", "ann", "--status", "open", "--json"],
        &["accounts", "show", "1"],
        &["transfers", "send", "--from", "1", "--to", "2", "--amount", "12.50", "--reference", "a"],
        &["transfers", "send", "--from", "1", "--to", "2", "--amount", "12.50", "--reference", "a"],
        &[
            "transfers",
            "send",
            "--from",
            "1",
            "--to",
            "2",
            "--amount",
            "80",
            "--hold",
            "--expires-in",
            "3600",
            "--reference",
            "b",
            "--json",
        ],
        &[
            "transfers",
            "send",
            "--from",
            "1",
            "--to",
            "2",
            "--amount",
            "5",
            "--hold",
            "--reference",
            "c",
        ],
        &["accounts", "statement", "1"],
        &["accounts", "statement", "2", "--json", "--limit", "1"],
        &["transfers", "list", "--account", "1"],
        &["transfers", "list", "--user", "bob", "--status", "pending"],
    ] {
        twins.ends(0, words);
    }
    for words in [
        &["accounts", "open", "--id", "1"][..],
        &["accounts", "show", "99"],
        &["accounts", "statement", "99"],
        &["transfers", "list", "--account", "99"],
        &["transfers", "send", "--from", "1", "--to", "2", "--amount", "1000"],
        &["transfers", "send", "--from", "1", "--to", "2", "--amount", "1", "--currency", "EUR"],
        &["transfers", "show", "01932f5e-0000-7000-8000-000000000000"],
        &["accounts", "show", "1", "--at", "soon"],
    ] {
        assert_ne!(twins.same(words).code, Some(0), "{words:?}");
    }
    twins.same_on(0, &["transfers", "post", "ID", "--amount", "64.20"], "b");
    twins.same_on(0, &["transfers", "void", "ID"], "c");
    twins.same_on(1, &["transfers", "void", "ID"], "b");
    twins.same_on(0, &["transfers", "rollback", "ID"], "a");
    twins.same_on(0, &["transfers", "show", "ID", "--json"], "a");
    let at = ["accounts", "show", "1", "--at", "2020-01-01", "--json"];
    twins.same(&at);
    twins.ends(0, &["clean", "--user", "ann", "--yes"]);
    twins.ends(0, &["export"]);
    twins.ends(0, &["verify"]);
}

#[test]
fn the_log_is_read_and_followed_alike() {
    let twins = Twins::new();
    twins.write("items.ndjson", bodies("ann", 1..6));
    for words in [
        &["import", "items.ndjson"][..],
        &["events"],
        &["events", "--after", "3"],
        &["events", "followers"],
        &["events", "--as", "audit", "--after", "2"],
        &["events", "--as", "audit"],
        &["events", "followers", "--json"],
        &["events", "forget", "audit"],
    ] {
        twins.ends(0, words);
    }
    twins.ends(2, &["events", "forget", "audit"]);

    // What clients of the server record is followed while it happens.
    let mut command = twins.served.command(&["events", "--follow", "--as", "audit"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.by_ref().take(5).count(), 5);
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1.25}"#;
    assert!(twins.server.post("/api/v1/transactions", body).starts_with("HTTP/1.1 201"));
    let event: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!((&event["seq"], &event["event_type"]), (&json!(6), &json!("transaction.created")));
    let busy = twins.served.run(&["events", "--as", "audit"]);
    busy.fails(1, "somebody else follows by this name now");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let listed = twins.served.json(&["events", "followers", "--json"]);
    assert_eq!(listed, json!({"name": "audit", "place": 6, "lag": 0, "owner": null}));
}

#[test]
fn differences_are_named_alike() {
    let folder = Folder::new();
    folder.write("items.ndjson", bodies("ann", 1..9));
    folder.ok(&["import", "items.ndjson"]);
    let file = rusqlite::Connection::open(folder.path("daybook.db")).unwrap();
    file.execute_batch("update transactions set amount = (select max(amount) from transactions)")
        .unwrap();
    drop(file);
    // Words are looked at in no particular order.
    let verified = || {
        let (code, said, noted) = told(&folder.run(&["verify"]));
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (code, lines, noted)
    };
    let alone = verified();
    let _server = Server::start(&folder, &[]);
    let beside = verified();
    assert_eq!(beside, alone);
    assert!(beside.0 == Some(1) && beside.1.len() > 8, "{beside:?}");
}

#[test]
fn what_the_api_records_and_what_commands_record_are_one_store() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    folder.write("items.ndjson", bodies("ann", 1..6));
    folder.ok(&["import", "items.ndjson"]);
    let feed = server.get("/api/v1/transactions?user_id=ann");
    assert!(feed.contains("\"total\":5"), "{feed}");
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1.25}"#;
    assert!(server.post("/api/v1/transactions", body).starts_with("HTTP/1.1 201"));
    assert_eq!(folder.ok(&["export"]).lines().count(), 6);
    assert_eq!(server.terminate(), Some(0));
    assert!(!folder.has(SOCKET), "the socket outlives the server");
    assert_eq!(folder.ok(&["export"]).lines().count(), 6);
    folder.ok(&["verify"]);
}

#[test]
fn a_demo_takes_commands_too() {
    let folder = Folder::new();
    let words = ["demo", "--listen", "127.0.0.1:0", "--dir", "demo"];
    let demo = Server::wait(folder.command(&words));
    let store = ["--store", "sqlite:demo/daybook.db"];
    folder.ok(&[&store[..], &["seed", "--count", "10", "--user", "erin"]].concat());
    let feed = demo.get("/api/v1/transactions?user_id=erin");
    assert!(feed.contains("\"total\":10"), "{feed}");
}

#[test]
fn commands_need_no_keys_of_a_server_that_has_them() {
    let folder = Folder::new();
    folder.write("master.keys", folder.ok(&["keys", "generate"]));
    let body = r#"{"user_id":"ann","transaction_type":"card","amount":1,
        "metadata":{"tax_id":"zq-secret"}}"#;
    folder.write("items.ndjson", body.replace('\n', ""));
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let mut command = folder.command(&serve);
    command.env("DAYBOOK_ENCRYPTION_KEY_FILE", "master.keys");
    command.env("DAYBOOK_ENCRYPTION_FIELDS", "tax_id");
    let server = Server::wait(command);
    folder.ok(&["import", "items.ndjson"]);
    assert!(folder.ok(&["export"]).contains("zq-secret"));
    folder.ok(&["verify"]);
    let nowhere = [("DAYBOOK_ENCRYPTION_KEY_FILE", "missing.keys")];
    let ran = folder.run_with(&["export"], &nowhere);
    assert!(ran.code == Some(0) && ran.stdout.contains("zq-secret"), "{ran:?}");
    assert_eq!(server.terminate(), Some(0));
    folder.run(&["export"]).fails(1, "'daybook.db' has sealed values");
}

#[test]
fn a_file_that_is_held_is_neither_served_again_nor_migrated_nor_copied() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let sentence = "'daybook.db' is already open in another Daybook process";
    folder.run(&["migrate"]).fails(1, sentence);
    folder.run(&["serve", "--listen", "127.0.0.1:0"]).fails(1, sentence);
    folder.run(&["copy", "sqlite:daybook.db", "sqlite:other.db"]).fails(1, sentence);
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    folder.ok(&["verify"]);
}

#[test]
fn a_server_can_be_told_to_take_no_commands() {
    let folder = Folder::new();
    let sentence = "'daybook.db' is already open in another Daybook process";
    let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DAYBOOK_COMMAND_SOCKET", "false");
    let _server = Server::wait(command);
    assert!(!folder.has(SOCKET));
    folder.write("items.ndjson", "");
    for words in [
        &["verify"][..],
        &["export"],
        &["clean", "--all", "--yes"],
        &["import", "items.ndjson"],
        &["seed"],
        &["accounts", "list"],
        &["transfers", "list"],
        &["events"],
    ] {
        folder.run(words).fails(1, sentence);
    }
}
