//! Master keys: made, listed, rotated, and missing; on a store at rest and on a running server.

use std::process::Command;

use serde_json::Value;

use crate::folder::Folder;
use crate::serve::Server;

const CONFIGURED: &str = "[encryption]\nkey_file = \"master.keys\"\nfields = [\"tax_id\"]\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("daybook.toml", CONFIGURED);
    folder.write("master.keys", folder.run_with(&["keys", "generate"], &[]).stdout);
    mode(&folder, 0o600);
    folder
}

fn mode(folder: &Folder, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(folder.path("master.keys"), mode).unwrap();
}

/// Items of so many users, each with a value to seal.
fn items(users: u32) -> String {
    let item = |user: u32| {
        format!(
            "{{\"user_id\":\"u{user}\",\"transaction_type\":\"other\",\"amount\":1,\
             \"metadata\":{{\"tax_id\":\"hush-{user}\"}}}}\n"
        )
    };
    (0..users).map(item).collect()
}

fn serve(folder: &Folder) -> (Server, String) {
    let server = Server::start(folder, &[]);
    let url = format!("http://{}", server.address);
    (server, url)
}

fn current(status: &Value) -> (String, u64) {
    let masters = status["masters"].as_array().unwrap();
    let master = masters.iter().find(|master| master["is_current"] == true).unwrap();
    (master["id"].as_str().unwrap().to_owned(), master["keys"].as_u64().unwrap())
}

#[test]
fn a_master_key_is_32_bytes_and_never_the_same() {
    let folder = Folder::new();
    let (one, two) = (folder.ok(&["keys", "generate"]), folder.ok(&["keys", "generate"]));
    assert_eq!((one.trim().len(), one == two), (44, false));
}

#[test]
fn a_store_at_rest_is_rotated_and_shredded() {
    let folder = folder();
    folder.write("items.ndjson", items(5));
    folder.ok(&["import", "items.ndjson"]);
    let before = current(&folder.json(&["keys", "list", "--json"]));
    assert_eq!(before.1, 5);
    assert!(folder.ok(&["keys", "rotate"]).contains("5 keys rewrapped"));
    let after = current(&folder.json(&["keys", "list", "--json"]));
    assert_eq!(after.1, 5);
    assert_ne!(after.0, before.0);
    assert_eq!(folder.read("master.keys").lines().count(), 2);
    assert!(folder.ok(&["export", "--user", "u1"]).contains("hush-1"));

    folder.ok(&["backup", "backup.db"]);
    folder.run(&["keys", "shred", "u1"]).fails(2, "what is sealed of user u1");
    assert!(folder.ok(&["keys", "shred", "u1", "--yes"]).contains("1 keys of user u1 destroyed"));
    assert!(folder.ok(&["export", "--user", "u1"]).contains("\"tax_id\":null"));
    assert!(folder.ok(&["export", "--user", "u2"]).contains("hush-2"));
    assert!(folder.ok(&["events"]).contains("user.shredded"));

    // A backup from before the keys were destroyed, with the ring as it is now.
    for ending in ["-wal", "-shm"] {
        std::fs::remove_file(folder.path(&format!("daybook.db{ending}"))).ok();
    }
    std::fs::rename(folder.path("backup.db"), folder.path("daybook.db")).unwrap();
    assert!(folder.ok(&["export", "--user", "u1"]).contains("\"tax_id\":null"));
    assert!(folder.ok(&["export", "--user", "u2"]).contains("hush-2"));
}

#[test]
fn a_running_server_is_rotated_and_shredded() {
    let folder = folder();
    let (server, url) = serve(&folder);
    for item in items(3).lines() {
        assert!(server.post("/api/v1/transactions", item).starts_with("HTTP/1.1 201"));
    }
    let asked = |words: &[&str]| folder.ok(&[words, &["--server", &url]].concat());
    let status = || serde_json::from_str::<Value>(&asked(&["keys", "list", "--json"])).unwrap();
    let before = current(&status());
    assert!(asked(&["keys", "rotate", "--step", "1"]).contains("3 keys rewrapped"));
    let after = current(&status());
    assert_eq!((before.1, after.1, before.0 == after.0), (3, 3, false));
    assert!(asked(&["keys", "shred", "u1", "--yes"]).contains("1 keys"));
    let feed = |user: &str| server.get(&format!("/api/v1/transactions?user_id={user}"));
    assert!(feed("u1").contains("\"tax_id\":null"));
    assert!(feed("u2").contains("hush-2"));
    assert_eq!(server.terminate(), Some(0));
    let events = folder.ok(&["events"]);
    assert!(events.contains("keys.rewrapped") && events.contains("user.shredded"), "{events}");
}

#[test]
fn a_store_is_not_served_without_its_master_keys() {
    let folder = folder();
    folder.write("items.ndjson", items(1));
    folder.ok(&["import", "items.ndjson"]);
    let id = current(&folder.json(&["keys", "list", "--json"])).0;
    let own = folder.read("master.keys");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    folder.write("master.keys", folder.ok(&["keys", "generate"]));
    let refused = format!("keys in the ring are wrapped by master keys that were not given: {id}");
    folder.run(&serve).fails(1, &refused);
    folder.write("master.keys", "no key\n");
    folder.run(&serve).fails(2, "line 1 of the master keys is not 32 bytes in base64");
    folder.write("master.keys", own);
    folder.write("daybook.toml", "");
    folder.run(&serve).fails(1, "'daybook.db' has sealed values");
}

#[test]
fn keys_that_others_can_read_are_warned_of() {
    let folder = folder();
    mode(&folder, 0o644);
    let mut command: Command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.stderr(std::fs::File::create(folder.path("log")).unwrap());
    drop(Server::wait_logging(command));
    assert!(folder.read("log").contains("warning: others can read the master keys"));
}

#[test]
fn tokens_of_another_system_are_opened_before_they_are_recorded() {
    let folder = Folder::new();
    let token = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD_xeX7ux-BWgZQjMw3mkhN-WiYf5yiVyOQHr4lX9X3OD9jTs3v5PWe_EEy2JGbu5vg==";
    folder.write("fernet.keys", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
    let item = |email: &str| {
        format!(
            "{{\"user_id\":\"ann\",\"transaction_type\":\"other\",\"amount\":1,\
             \"metadata\":{{\"peer_email\":\"{email}\"}}}}\n"
        )
    };
    folder.write("items.ndjson", item(token) + &item("plain"));
    let words = ["import", "--fernet-key-file", "fernet.keys", "--fernet-field", "peer_email"];
    let said = folder.ok(&[&words[..], &["items.ndjson"]].concat());
    assert!(said.contains("1 created") && said.contains("1 rejected"), "{said}");
    assert!(folder.ok(&["export", "--user", "ann"]).contains("ann@example.org"));
    assert!(folder.read("items.ndjson.rejects.ndjson").contains("FERNET"));
}
