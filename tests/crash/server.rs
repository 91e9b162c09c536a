//! The program as a server on a store of its own, and the ways to end it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::client::Client;
use crate::stores::{self, Database, On};

/// Answers that clients hear at least before their server dies.
const ROUND_ANSWERS: u64 = 10;

/// Where a test keeps its store, and what servers on it have logged.
pub struct Place {
    folder: PathBuf,
    temporary: tempfile::TempDir,
    /// Where the books are, unless they are in the folder.
    database: Option<Database>,
}

impl Place {
    pub fn new() -> Self {
        Self::of(On::Sqlite)
    }

    pub fn of(on: On) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { folder: temporary.path().to_owned(), temporary, database: on.database() }
    }

    /// A place whose store is in another folder.
    pub fn on(folder: &Path) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { folder: folder.to_owned(), temporary, database: None }
    }

    fn log(&self) -> PathBuf {
        self.temporary.path().join("log")
    }

    /// The program with these words on the store; it sees none of our own configuration.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DAYBOOK_") {
                command.env_remove(name);
            }
        }
        let store = match &self.database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", self.folder.join("books.db").display()),
        };
        command.args(words).args(["--store", &store]).current_dir(self.temporary.path());
        command.env("RUST_LOG", "warn").stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts a server on a free port and waits until it says where it listens.
    pub fn serve(&self, environment: &[(&str, &str)]) -> Server {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once("http://")?;
            Some(address.split([';', '/', ' ']).next()?.to_owned())
        });
        let Some(address) = address else { panic!("no server: {}", self.logged()) };
        Server { child, address }
    }

    /// Waits until a database has done what killed servers asked for: a commit that was on its way
    /// may come after its server's end.
    pub fn rest(&self) {
        let Some(database) = &self.database else { return };
        let others = "select count(*) from pg_stat_activity \
                      where datname = current_database() and pid <> pg_backend_pid()";
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = stores::connect(&database.url).await.unwrap();
            let begun = Instant::now();
            while client.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                assert!(begun.elapsed() < Duration::from_secs(30), "somebody is still there");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }

    /// Expects a store whose parts agree, of which no server has anything bad to say.
    pub fn is_clean(&self) {
        let verified = self.run(&["verify"]);
        let said = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert!(said.trim_end().ends_with("all agree"), "{said}");
        assert!(!self.logged().contains("panicked"), "{}", self.logged());
    }

    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what the servers logged:\n{}", self.logged());
        }
    }
}

/// A running server; killed when the test is over.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Ends it where it stands (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM).
    pub fn tell_to_stop(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for the end of a server that was told to stop; it ends well.
    pub fn wait(mut self) {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    pub fn stop(self) {
        self.tell_to_stop();
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Counts the answers that clients have heard, so that a server is killed at work on any machine.
#[derive(Default)]
pub struct Progress(AtomicU64);

impl Progress {
    pub fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until so many more answers were heard.
    pub fn wait_for(&self, more: u64) {
        let (goal, begun) = (self.0.load(Ordering::Relaxed) + more, Instant::now());
        while self.0.load(Ordering::Relaxed) < goal {
            assert!(begun.elapsed() < Duration::from_secs(60), "the clients get no answers");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until there was some work, and then until a random moment.
    pub fn wait_for_work(&self, chance: &mut Chance) {
        self.wait_for(ROUND_ANSWERS);
        std::thread::sleep(Duration::from_millis(chance.below(251)));
    }
}

/// An item of a user; the mark tells it from all others.
pub fn item(user: &str, status: &str, mark: &str) -> Value {
    json!({
        "user_id": user,
        "transaction_type": "card",
        "status": status,
        "amount": "12.34",
        "metadata": { "merchant_name": "Starbucks", "mark": mark },
    })
}

pub fn mark(item: &Value) -> String {
    text(&item["metadata"]["mark"])
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
