//! `daybook api-keys`.

use serde_json::Value;

use crate::folder::{Folder, Ran};
use crate::serve::Server;
use crate::stores::{On, every_store};

every_store! {
    a_key_is_made_listed_rotated_and_revoked,
}

const SECRET: (&str, &str) = ("DAYBOOK_AUTH_KEY_SECRET", "0123456789abcdef0123456789abcdef");

fn keys(folder: &Folder, words: &[&str]) -> Ran {
    folder.run_with(&[&["api-keys"], words].concat(), &[SECRET])
}

/// Runs and expects success; the answer is the JSON that was printed, a value a line.
fn told(folder: &Folder, words: &[&str]) -> Vec<Value> {
    let ran = keys(folder, &[words, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn a_key_is_made_listed_rotated_and_revoked(on: On) {
    let folder = Folder::on(on);
    let create = ["create", "--name", "billing", "--scope", "feed:read", "--user", "ann"];
    let made = told(&folder, &[&create[..], &["--account", "7", "--expires-in", "90d"]].concat());
    let (id, first) = (made[0]["key_id"].as_str().unwrap(), made[0]["secret"].as_str().unwrap());
    assert!(first.starts_with(&format!("dbk_{id}_")), "{first}");
    assert_eq!((&made[0]["users"][0], &made[0]["accounts"][0]), (&"ann".into(), &7.into()));
    assert!(made[0]["expires_at"].is_string());
    let rotated = told(&folder, &["rotate", id, "--grace", "24h"]);
    assert_ne!(rotated[0]["secret"].as_str(), Some(first));
    let listed = told(&folder, &["list"]);
    assert_eq!((listed.len(), &listed[0]["version"]), (1, &2.into()));
    assert_eq!(listed[0].get("secret"), None);
    assert!(told(&folder, &["revoke", &format!("dbk_{id}")])[0]["revoked_at"].is_string());
    keys(&folder, &["rotate", id]).fails(1, &format!("the API key {id} has expired or was"));
    let table = keys(&folder, &["list"]);
    assert!(table.stdout.contains("billing") && table.stdout.contains("feed:read"), "{table:?}");
    folder.ok(&["verify"]);
    if on == On::Sqlite {
        // Neither secret is anywhere in the file.
        let file = std::fs::read(folder.path("daybook.db")).unwrap();
        for secret in [first, rotated[0]["secret"].as_str().unwrap()] {
            let random = secret.splitn(3, '_').last().unwrap();
            assert!(!file.windows(random.len()).any(|part| part == random.as_bytes()));
        }
    }
}

#[test]
fn a_server_that_holds_the_store_makes_lists_rotates_and_revokes() {
    let folder = Folder::new();
    let configured = format!("secret = \"{0}\"\n[auth]\nkey_secret = \"{0}\"\n", SECRET.1);
    folder.write("daybook.toml", &configured);
    let server = Server::start(&folder, &[]);
    folder.write("daybook.toml", format!("listen = \"{}\"\n{configured}", server.address));
    let create = ["create", "--name", "billing", "--scope", "feed:read", "--user", "ann"];
    let made = told(&folder, &[&create[..], &["--expires-in", "90d"]].concat());
    let (id, first) = (made[0]["key_id"].as_str().unwrap(), made[0]["secret"].as_str().unwrap());
    assert_eq!(made[0]["users"][0], "ann");
    let rotated = told(&folder, &["rotate", id, "--grace", "24h"]);
    assert_ne!(rotated[0]["secret"].as_str(), Some(first));
    told(&folder, &create);
    let listed = told(&folder, &["list", "--limit", "1"]);
    assert_eq!((listed.len(), listed[0].get("secret")), (1, None));
    assert_eq!(told(&folder, &["list"]).len(), 2);
    assert!(told(&folder, &["revoke", id])[0]["revoked_at"].is_string());
    keys(&folder, &["create", "--name", "a", "--scope", "root"])
        .fails(1, "the server refused: `root` is none of feed:read");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_mistake_is_told() {
    let folder = Folder::new();
    folder
        .run(&["api-keys", "create", "--name", "a", "--scope", "ops"])
        .fails(2, "set DAYBOOK_AUTH");
    keys(&folder, &["create", "--name", "a", "--scope", "root"])
        .fails(1, "scopes/0: `root` is none");
    keys(&folder, &["rotate", "0123456789abcdef"])
        .fails(1, "API key not found: there is none with the id 0123456789abcdef");
    keys(&folder, &["rotate", "0123456789abcdef", "--grace", "8d"]).fails(2, "--grace: a secret");
    let short = [("DAYBOOK_AUTH_KEY_SECRET", "short")];
    let ran = folder.run_with(&["api-keys", "create", "--name", "a", "--scope", "ops"], &short);
    ran.fails(2, "the configuration does not fit together: `auth.key_secret` needs");
}
