//! What differs when the books are in a database.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{Folder, bodies};
use crate::serve::Server;
use crate::stores::{self, On};

/// Nobody listens there.
const NOWHERE: &str = "postgres://ann:s3cret@127.0.0.1:1/books";
/// How long something may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_database_makes_its_own_backups() {
    if stores::server().is_none() {
        return;
    }
    let folder = Folder::on(On::Postgres);
    let sentence = "a database server makes its own copies; use its tools, such as pg_dump";
    folder.run(&["backup", "copy.db"]).fails(1, sentence);
    assert!(!folder.has("copy.db"));
}

#[test]
fn a_password_of_a_database_is_never_shown() {
    let folder = Folder::new();
    let ran = folder.run_with(&["config"], &[("DAYBOOK_STORE", NOWHERE)]);
    assert!(!ran.stdout.contains("s3cret"), "{ran:?}");
    let shown = "store = \"postgres://ann:********@127.0.0.1:1/books\" # DAYBOOK_STORE";
    assert!(ran.stdout.contains(shown), "{ran:?}");
}

#[test]
fn commands_work_while_a_server_uses_the_database() {
    if stores::server().is_none() {
        return;
    }
    let folder = Folder::on(On::Postgres);
    let server = Server::start(&folder, &[]);
    folder.write("items.ndjson", bodies("ann", 0..20));
    assert_eq!(folder.json(&["import", "items.ndjson", "--json"])["created"], 20);
    let feed = server.get("/api/v1/transactions?user_id=ann&page_size=1");
    assert!(feed.contains("\"total\":20"), "{feed}");
    folder.ok(&["clean", "--user", "ann", "--yes"]);
    let feed = server.get("/api/v1/transactions?user_id=ann&page_size=1");
    assert!(feed.contains("\"total\":0"), "{feed}");
    folder.ok(&["verify"]);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_server_waits_for_its_database_and_fails_in_the_end() {
    let folder = Folder::new();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let ran = |wait_s| {
        let environment = [("DAYBOOK_STORE", NOWHERE), ("DAYBOOK_LIMITS_START_WAIT_S", wait_s)];
        let ran = folder.run_with(&serve, &environment);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("error: the database cannot be reached\n"), "{ran:?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        ran.stderr
    };
    let at_once = ran("0");
    assert!(!at_once.contains("waiting for the database"), "{at_once}");
    let begun = Instant::now();
    let later = ran("2");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(later.matches("waiting for the database").count(), 1, "{later}");
    // Only a server waits.
    let begun = Instant::now();
    let verify = folder.run_with(
        &["verify"],
        &[("DAYBOOK_STORE", NOWHERE), ("DAYBOOK_LIMITS_START_WAIT_S", "100")],
    );
    assert_eq!(verify.code, Some(1), "{verify:?}");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn a_server_that_waits_can_be_told_to_end() {
    let folder = Folder::new();
    let mut waiting = Waiting::begin(&folder, NOWHERE);
    let id = waiting.child.id().to_string();
    assert!(Command::new("kill").arg(&id).status().unwrap().success());
    assert_eq!(waiting.ended(), Some(0));
}

#[test]
fn a_server_begins_when_its_database_is_there() {
    let Some(database) = Own::start() else { return };
    let folder = Folder::new();
    database.services("crash");
    let mut waiting = Waiting::begin(&folder, &database.url);
    database.services("up");
    waiting.until("listening");
    let id = waiting.child.id().to_string();
    assert!(Command::new("kill").arg(&id).status().unwrap().success());
    assert_eq!(waiting.ended(), Some(0));
}

#[test]
fn a_database_that_refuses_is_not_waited_for() {
    let Some(database) = Own::start() else { return };
    database.ask_for_passwords();
    let folder = Folder::new();
    let address = database.url.split_once('@').unwrap().1;
    let missing = format!("postgres://daybook@{}", address.replace("/postgres", "/missing"));
    for (url, sentence) in [
        (missing, "database \"missing\" does not exist"),
        (format!("postgres://ann:wrong@{address}"), "password authentication failed"),
    ] {
        let begun = Instant::now();
        let environment = [("DAYBOOK_STORE", &*url), ("DAYBOOK_LIMITS_START_WAIT_S", "600")];
        let ran = folder.run_with(&["serve", "--listen", "127.0.0.1:0"], &environment);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(begun.elapsed() < PATIENCE);
        assert!(ran.stderr.contains(sentence), "{ran:?}");
        assert!(!ran.stderr.contains("wrong"), "{ran:?}");
        assert!(!ran.stderr.contains("waiting for the database"), "{ran:?}");
    }
}

/// A server that waits for its database; killed when the test is over.
struct Waiting {
    child: Child,
    log: PathBuf,
}

impl Waiting {
    fn begin(folder: &Folder, url: &str) -> Self {
        let log = folder.path("log");
        let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0", "--store", url]);
        command.env("DAYBOOK_LIMITS_START_WAIT_S", "600").stderr(File::create(&log).unwrap());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut waiting = Self { child, log };
        waiting.until("waiting for the database");
        waiting
    }

    /// Waits until the log says so.
    fn until(&mut self, said: &str) {
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(&self.log).unwrap();
            if log.contains(said) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{said}: {log}");
            assert_eq!(self.child.try_wait().unwrap(), None, "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end.
    fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A PostgreSQL of a test's own; gone when it is dropped.
struct Own {
    folder: tempfile::TempDir,
    url: String,
}

impl Own {
    /// Starts one where tests have a PostgreSQL at all.
    fn start() -> Option<Self> {
        stores::server()?;
        let mut own = Self { folder: tempfile::tempdir().unwrap(), url: String::new() };
        let said = own.services("up");
        said.trim().split_once('=').unwrap().1.clone_into(&mut own.url);
        Some(own)
    }

    fn services(&self, word: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
        let mut command = Command::new(script);
        command.args([word, "postgres"]).env("TEST_SERVICES_DIR", self.folder.path());
        let done = command.env_remove("TEST_POSTGRES_URL").output().unwrap();
        assert!(done.status.success(), "{word}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// From now on `ann` has a password; everybody else is trusted as before.
    fn ask_for_passwords(&self) {
        let rules = self.folder.path().join("postgres/data/pg_hba.conf");
        let trusting = std::fs::read_to_string(&rules).unwrap();
        let asking = format!("host all ann 127.0.0.1/32 scram-sha-256\n{trusting}");
        std::fs::write(&rules, asking).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = stores::connect(&self.url).await.unwrap();
            client.batch_execute("create role ann login password 'right'").await.unwrap();
            client.query("select pg_reload_conf()", &[]).await.unwrap();
        });
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.services("down");
    }
}
