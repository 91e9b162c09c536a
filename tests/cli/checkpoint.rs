//! `daybook checkpoint`, and `daybook verify` with one.

use crate::folder::{Folder, bodies};
use crate::serve::Server;
use crate::stores::On;

const PRIVATE: &str = include_str!("../../crates/server/tests/data/ed-private.pem");
const PUBLIC: &str = include_str!("../../crates/server/tests/data/ed-public.pem");
const OTHERS: &str = include_str!("../../crates/server/tests/data/ec-public.pem");
const SECRET: (&str, &str) = ("DAYBOOK_SECRET", "0123456789abcdef0123456789abcdef");

/// A folder with a store, its checkpoint, and the keys.
fn signed() -> Folder {
    let folder = Folder::on(On::Sqlite);
    folder.write("key.pem", PRIVATE);
    folder.write("public.pem", PUBLIC);
    folder.write("other.pem", OTHERS);
    folder.write("items", bodies("ann", 0..5));
    folder.ok(&["import", "items"]);
    let signed = folder.ok(&["checkpoint", "--key", "key.pem"]);
    folder.write("checkpoint", signed);
    folder
}

#[test]
fn a_server_that_holds_the_store_is_asked_for_what_it_has() {
    for by_socket in [true, false] {
        asked_for_what_it_has(by_socket);
    }
}

fn asked_for_what_it_has(by_socket: bool) {
    let folder = Folder::on(On::Sqlite);
    folder.write("key.pem", PRIVATE);
    folder.write("public.pem", PUBLIC);
    folder.write("items", bodies("ann", 0..5));
    folder.ok(&["import", "items"]);
    let secret = format!("secret = \"{}\"\ncommand_socket = {by_socket}\n", SECRET.1);
    folder.write("daybook.toml", &secret);
    let server = Server::start(&folder, &[]);
    folder.write("daybook.toml", format!("listen = \"{}\"\n{secret}", server.address));
    folder.write("checkpoint", folder.ok(&["checkpoint", "--key", "key.pem"]));
    assert_eq!(server.terminate(), Some(0));
    folder.ok(VERIFY);
}

const VERIFY: &[&str] = &["verify", "--checkpoint", "checkpoint", "--public-key", "public.pem"];

#[test]
fn a_checkpoint_proves_what_was_recorded_before_it() {
    let folder = signed();
    folder.ok(VERIFY);
    folder.write("more", bodies("bob", 0..5));
    folder.ok(&["import", "more"]);
    folder.ok(VERIFY);

    // The end of the log is cut off, and all that follows from it: the chain itself is whole.
    let file = rusqlite::Connection::open(folder.path("daybook.db")).unwrap();
    file.execute_batch("delete from events where seq > 4").unwrap();
    let ran = folder.run(VERIFY);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let said = "chain: the log ends at event 4, before the checkpoint's 5";
    assert!(ran.stdout.contains(said), "{ran:?}");
    assert!(!ran.stdout.contains("the chain breaks"), "{ran:?}");
}

#[test]
fn a_log_that_was_written_anew_is_not_the_one_of_the_checkpoint() {
    let folder = signed();
    std::fs::remove_file(folder.path("daybook.db")).unwrap();
    folder.write("items", bodies("ann", 1..6));
    folder.ok(&["import", "items"]);
    folder.ok(&["verify"]);
    let ran = folder.run(VERIFY);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("chain: event 5, or one before it, is not"), "{ran:?}");
}

#[test]
fn a_checkpoint_needs_the_right_key() {
    let folder = signed();
    let with =
        |key: &str| folder.run(&["verify", "--checkpoint", "checkpoint", "--public-key", key]);
    with("other.pem").fails(1, "the checkpoint is damaged, or signed by another key");
    with("key.pem").fails(1, "'key.pem' is no public key in PEM");
    with("none.pem").fails(1, "the key 'none.pem' cannot be read");
    folder.run(&["verify", "--checkpoint", "checkpoint"]).fails(2, "name the key");
    folder.run(&["checkpoint"]).fails(2, "there is nothing to sign with");
    folder.run(&["checkpoint", "--key", "public.pem"]).fails(1, "'public.pem' is no private key");

    let ran = folder.run_with(&["checkpoint"], &[SECRET]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    folder.write("ours", ran.stdout);
    let ran = folder.run_with(&["verify", "--checkpoint", "ours"], &[SECRET]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
