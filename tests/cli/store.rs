use serde_json::json;

use crate::folder::{Folder, bodies};
use crate::stores::{On, every_store};

every_store! {
    seeding_many_users_shares_the_items_among_them,
    clean_asks_and_deletes_only_what_was_named,
    clean_leaves_what_shows_a_transfer,
    what_was_cleaned_can_be_imported_again,
}

#[test]
fn migrate_makes_a_store_and_says_its_schema() {
    let folder = Folder::new();
    let said = folder.json(&["migrate", "--store", "sqlite:books.db", "--json"]);
    assert_eq!(said["store"], "sqlite:books.db");
    assert!(said["schema"].as_u64().unwrap() > 0);
    assert!(folder.has("books.db"));
    assert_eq!(folder.json(&["migrate", "--store", "sqlite:books.db", "--json"]), said);
}

#[test]
fn seeding_again_with_the_same_number_gives_the_same_items() {
    let folder = Folder::new();
    let seed = |store: &str| {
        let words = ["seed", "--count", "200", "--seed", "7", "--store", store, "--json"];
        assert_eq!(folder.json(&words)["recorded"], 200);
        let items = folder.ok(&["export", "--user", "test_user_123", "--store", store]);
        let amounts = items.lines().map(|line| {
            let item: serde_json::Value = serde_json::from_str(line).unwrap();
            json!([item["transaction_type"], item["amount"], item["metadata"]]).to_string()
        });
        amounts.collect::<Vec<_>>()
    };
    let (one, other) = (seed("sqlite:one.db"), seed("sqlite:other.db"));
    assert_eq!(one.len(), 200);
    assert_eq!(one, other);
    folder.ok(&["verify", "--store", "sqlite:one.db"]);
}

fn seeding_many_users_shares_the_items_among_them(on: On) {
    let folder = Folder::on(on);
    let words = ["seed", "--count", "300", "--users", "30", "--json"];
    assert_eq!(folder.json(&words)["recorded"], 300);
    assert_eq!(folder.json(&["verify", "--json"])["items"], 300);
    assert_eq!(folder.ok(&["export"]).lines().count(), 300);
}

fn clean_asks_and_deletes_only_what_was_named(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 0..1_500) + &bodies("bob", 0..3));
    folder.ok(&["import", "items.ndjson"]);
    folder.run(&["clean", "--user", "ann"]).fails(2, "nobody is there to be asked; say --yes");
    let cleaned = folder.json(&["clean", "--user", "ann", "--yes", "--json"]);
    assert_eq!(cleaned, json!({ "deleted": 1_500, "kept": 0 }));
    assert_eq!(folder.ok(&["export"]).lines().count(), 3);
    assert_eq!(folder.ok(&["clean", "--all", "--yes"]), "3 items deleted\n");
    assert_eq!(folder.ok(&["export"]), "");
    folder.ok(&["verify"]);
    assert_eq!(folder.run(&["clean"]).code, Some(2));
}

fn clean_leaves_what_shows_a_transfer(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 0..2));
    folder.ok(&["import", "items.ndjson"]);
    folder.ok(&["accounts", "open", "--id", "1", "--user", "ann", "--initial-balance", "5"]);
    folder.ok(&["accounts", "open", "--id", "2", "--user", "bob"]);
    folder.ok(&["transfers", "send", "--from", "1", "--to", "2", "--amount", "3"]);
    let cleaned = folder.json(&["clean", "--user", "ann", "--yes", "--json"]);
    assert_eq!(cleaned, json!({ "deleted": 2, "kept": 1 }));
    let said = folder.ok(&["clean", "--all", "--yes"]);
    assert_eq!(said, "0 items deleted, 2 stay because they show transfers\n");
    let verified = folder.json(&["verify", "--json"]);
    let counts = ["items", "accounts", "transfers"].map(|name| verified[name].as_u64().unwrap());
    // The equity account and the movement of the opening balance are there too.
    assert_eq!(counts, [2, 3, 2]);
    let said = folder.ok(&["verify"]);
    assert!(said.ends_with(" 3 accounts, 2 transfers: all agree\n"), "{said}");
}

fn what_was_cleaned_can_be_imported_again(on: On) {
    let folder = Folder::on(on);
    folder.write("items.ndjson", bodies("ann", 0..10));
    folder.ok(&["import", "items.ndjson"]);
    folder.ok(&["export", "-o", "all.ndjson"]);
    folder.ok(&["clean", "--all", "--yes"]);
    assert_eq!(folder.json(&["import", "items.ndjson", "--json"])["created"], 10);
    folder.ok(&["clean", "--all", "--yes"]);
    assert_eq!(folder.json(&["import", "all.ndjson", "--json"])["created"], 10);
    folder.ok(&["verify"]);
}

#[test]
fn a_file_that_is_no_store_is_a_clear_sentence() {
    let folder = Folder::new();
    folder.write("daybook.db", "this is a letter to my aunt, and no database at all ".repeat(100));
    let ran = folder.run(&["verify"]);
    ran.fails(1, "'daybook.db' ");
    folder.run(&["verify", "--store", "sqlite:no.db"]).fails(2, "there is no store at 'no.db'");
    folder.run(&["verify", "--store", "no.db"]).fails(2, "`store` must be a store as sqlite:FILE");
}
