//! The program as a server on a store of its own, and the ways to end it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::client::Client;

/// Where a test keeps its store, and what servers on it have logged.
pub struct Place {
    folder: PathBuf,
    temporary: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { folder: temporary.path().to_owned(), temporary }
    }

    /// A place whose store is in another folder.
    pub fn on(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), temporary: tempfile::tempdir().unwrap() }
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
        let store = format!("sqlite:{}", self.folder.join("books.db").display());
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
