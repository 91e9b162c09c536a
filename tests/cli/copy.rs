use std::path::Path;
use std::time::{Duration, Instant};

use crate::folder::Folder;

/// A store with some items and some accounts.
fn filled(items: &str) -> Folder {
    let folder = Folder::new();
    folder.ok(&["seed", "--count", items, "--users", "20", "--store", "sqlite:books.db"]);
    let open = ["accounts", "open", "--store", "sqlite:books.db", "--user", "ann"];
    folder.ok(&[&open[..], &["--id", "1", "--initial-balance", "5"]].concat());
    folder
}

fn copy(to: &str) -> [&str; 4] {
    ["copy", "sqlite:books.db", to, "--json"]
}

#[test]
fn a_copy_is_a_store_with_the_same_items() {
    let folder = filled("500");
    let said = folder.json(&copy("sqlite:copy.db"));
    assert_eq!(said["differences"], serde_json::json!([]));
    assert_eq!([&said["items"], &said["before"]], [500, 0]);
    let items = |store| folder.ok(&["export", "--store", store]);
    assert_eq!(items("sqlite:copy.db"), items("sqlite:books.db"));
    folder.ok(&["verify", "--store", "sqlite:copy.db"]);
    let sentence = "the books cannot be copied: 'sqlite:copy.db' is not empty";
    folder.run(&copy("sqlite:copy.db")).fails(1, sentence);
    let said = folder.ok(&["copy", "sqlite:books.db", "sqlite:more.db"]);
    assert!(said.ends_with(" 1 transfers): verified\n"), "{said}");
}

/// Waits until a file has grown.
fn wait_for(path: &Path, bytes: u64) {
    let begun = Instant::now();
    while std::fs::metadata(path).map_or(0, |found| found.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is copied");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_copy_that_is_killed_goes_on_and_nobody_opens_it_before() {
    let folder = filled("20000");
    let mut child = folder.command(&copy("sqlite:copy.db")).spawn().unwrap();
    // The first pages of items are in the log by then, and many are still to come.
    wait_for(&folder.path("copy.db-wal"), 16 << 20);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it ended before it was killed");
    let sentence = "'copy.db' cannot be opened: it is an unfinished copy; \
        run the same `daybook copy` again, or remove it";
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["verify"], &["backup", "b.db"]] {
        folder.run(&[words, &["--store", "sqlite:copy.db"]].concat()).fails(1, sentence);
    }
    let said = folder.json(&copy("sqlite:copy.db"));
    assert!(said["before"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(said["items"], 20_000);
    let items = |store| folder.ok(&["export", "--store", store]);
    assert_eq!(items("sqlite:copy.db"), items("sqlite:books.db"));
}

#[test]
fn what_cannot_be_copied_is_a_clear_sentence() {
    let folder = filled("10");
    let missing = "'no.db' cannot be opened: there is no such file";
    folder.run(&["copy", "sqlite:no.db", "sqlite:copy.db"]).fails(1, missing);
    assert!(!folder.has("no.db") && !folder.has("copy.db"));
    let itself = "the books cannot be copied: 'sqlite:./books.db' is the source itself";
    folder.run(&copy("sqlite:./books.db")).fails(1, itself);
    folder.run(&copy("copy.db")).fails(2, "'copy.db' is no store");
}
