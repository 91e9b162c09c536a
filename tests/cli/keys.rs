//! Master keys: made, listed, rotated, and missing; on a store at rest and on a running server.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::Folder;
use crate::serve::Server;
use crate::stores::{On, every_store};

every_store! {
    requests_are_answered_while_keys_are_rotated_and_shredded,
    sighup_takes_new_master_keys_and_keeps_the_old_ones_when_they_are_foreign,
}

const CONFIGURED: &str = "[encryption]\nkey_file = \"master.keys\"\nfields = [\"tax_id\"]\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn folder() -> Folder {
    folder_on(On::Sqlite)
}

fn folder_on(on: On) -> Folder {
    let folder = Folder::on(on);
    folder.write("daybook.toml", CONFIGURED);
    folder.write("master.keys", folder.run_with(&["keys", "generate"], &[]).stdout);
    mode(&folder, 0o600);
    folder
}

fn mode(folder: &Folder, mode: u32) {
    let mode = PermissionsExt::from_mode(mode);
    std::fs::set_permissions(folder.path("master.keys"), mode).unwrap();
}

/// An item of a user, with a value to seal.
fn item(user: u32) -> String {
    format!(
        "{{\"user_id\":\"u{user}\",\"transaction_type\":\"other\",\"amount\":1,\
         \"metadata\":{{\"tax_id\":\"hush-{user}\"}}}}"
    )
}

/// Items of so many users.
fn items(users: u32) -> String {
    (0..users).map(|user| item(user) + "\n").collect()
}

fn feed(user: u32) -> String {
    format!("/api/v1/transactions?user_id=u{user}")
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
    assert!(server.get(&feed(1)).contains("\"tax_id\":null"));
    assert!(server.get(&feed(2)).contains("hush-2"));
    assert_eq!(server.terminate(), Some(0));
    let events = folder.ok(&["events"]);
    assert!(events.contains("keys.rewrapped") && events.contains("user.shredded"), "{events}");
}

fn requests_are_answered_while_keys_are_rotated_and_shredded(on: On) {
    const USERS: u32 = 40;
    let folder = folder_on(on);
    let configured = format!("secret = \"{SECRET}\"\n{CONFIGURED}");
    folder.write("daybook.toml", &configured);
    let server = Server::start(&folder, &[]);
    // The commands reach it there, with a token that they sign.
    folder.write("daybook.toml", format!("listen = \"{}\"\n{configured}", server.address));
    let token = folder.ok(&["token", "--service", "--scope", "admin"]);
    let ask = |line: &str, body: &str| {
        server.send(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        ))
    };
    let record = |user: u32| {
        let answer = ask("POST /api/v1/transactions", &item(user));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    };
    let read = |user: u32| {
        let answer = ask(&format!("GET {}", feed(user)), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    };
    (0..USERS).for_each(record);

    let is_over = AtomicBool::new(false);
    let keep_asking = |user: u32| {
        let mut asked = 0_u32;
        while !is_over.load(Ordering::Relaxed) {
            record(user);
            assert!(read(user).contains(&format!("hush-{user}")));
            read(1);
            asked += 3;
        }
        asked
    };
    let ([rotated, shredded], asked) = thread::scope(|scope| {
        let asking: Vec<_> = (2..6).map(|user| scope.spawn(move || keep_asking(user))).collect();
        let rotate = ["keys", "rotate", "--step", "1"];
        let ran = [&rotate[..], &["keys", "shred", "u1", "--yes"]].map(|words| folder.run(words));
        is_over.store(true, Ordering::Relaxed);
        (ran, asking.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>())
    });
    assert!(rotated.stdout.contains(&format!("{USERS} keys rewrapped")), "{rotated:?}");
    assert!(shredded.stdout.contains("1 keys of user u1 destroyed"), "{shredded:?}");
    assert!(asked > 20, "too little happened for this to mean anything");
    for user in (0..USERS).filter(|user| *user != 1) {
        assert!(read(user).contains(&format!("hush-{user}")));
    }
    let shredded = read(1);
    assert!(shredded.contains("\"tax_id\":null") && !shredded.contains("hush"), "{shredded}");
    assert_eq!(server.terminate(), Some(0));
    let verified = folder.ok(&["verify"]);
    assert!(verified.trim_end().ends_with("all agree"), "{verified}");
}

/// Waits until the log says so.
fn wait_for(folder: &Folder, words: &str) {
    let begun = Instant::now();
    while !folder.read("log").contains(words) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", folder.read("log"));
        thread::sleep(Duration::from_millis(10));
    }
}

fn sighup_takes_new_master_keys_and_keeps_the_old_ones_when_they_are_foreign(on: On) {
    let folder = folder_on(on);
    let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.stderr(File::create(folder.path("log")).unwrap());
    let server = Server::wait_logging(command);
    let record = |user: u32| {
        let answer = server.post("/api/v1/transactions", &item(user));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    };
    let status = || {
        let answer = server.get("/api/v1/keyring");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        current(&serde_json::from_str(body).unwrap())
    };
    (0..3).for_each(record);
    let old = status();

    folder.write("master.keys", folder.ok(&["keys", "generate"]) + &folder.read("master.keys"));
    server.signal("HUP");
    wait_for(&folder, "the master keys that were just read are in use");
    record(3);
    let new = status();
    assert_eq!((old.1, new.1, new.0 == old.0), (3, 1, false));

    folder.write("master.keys", folder.ok(&["keys", "generate"]));
    server.signal("HUP");
    wait_for(&folder, "the master keys in use stay");
    let said = "keys in the ring are wrapped by master keys that were not given";
    assert!(folder.read("log").contains(said), "{}", folder.read("log"));
    record(4);
    assert_eq!(status(), (new.0, 2));
    for user in 0..5 {
        assert!(server.get(&feed(user)).contains(&format!("hush-{user}")));
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn what_a_killed_rotation_left_is_in_nobodys_way() {
    let folder = folder();
    folder.write("items.ndjson", items(3));
    folder.ok(&["import", "items.ndjson"]);
    let old = folder.read("master.keys");
    folder.write("master.keys.new", "half a k");
    assert!(folder.ok(&["keys", "rotate"]).contains("3 keys rewrapped"));
    assert!(!folder.has("master.keys.new"));
    let keys = folder.read("master.keys");
    assert_eq!((keys.lines().count(), keys.ends_with(&old)), (2, true));
    let mode = std::fs::metadata(folder.path("master.keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(folder.ok(&["export", "--user", "u1"]).contains("hush-1"));
}

#[test]
fn a_command_that_gives_no_keys_is_one_clear_sentence() {
    let folder = Folder::new();
    let fails = |command: &str, sentence: &str| {
        folder.write("daybook.toml", format!("[encryption]\nkey_command = [{command}]\n"));
        folder.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, sentence);
    };
    let gave = |program: &str, reason: &str| {
        format!("the command '{program}' (`encryption.key_command`) gave no keys: {reason}")
    };
    fails("\"false\"", &gave("false", "exit status: 1"));
    fails("\"./nothing\"", &gave("./nothing", "No such file or directory"));
    fails("\"sleep\", \"600\"", &gave("sleep", "it took longer than 10 s"));
    fails("\"true\"", "there is no master key where `encryption` says");
    fails("\"echo\", \"no key\"", "line 1 of the master keys is not 32 bytes in base64");
    assert!(!folder.has("daybook.db"), "nothing was begun");
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
    command.stderr(File::create(folder.path("log")).unwrap());
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
