//! A folder of its own for a test, and the program run in it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::stores::{Database, On};

pub struct Folder {
    folder: tempfile::TempDir,
    /// Where the books are, unless they are in the folder.
    database: Option<Database>,
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Self {
        Self::on(On::Sqlite)
    }

    /// A folder whose store is in it, or a database.
    pub fn on(on: On) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: on.database() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The program with these words, not yet started; it sees none of our own configuration.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DAYBOOK_") {
                command.env_remove(name);
            }
        }
        if let Some(database) = &self.database {
            command.env("DAYBOOK_STORE", &database.url);
        }
        command.args(words).current_dir(self.folder.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words), "")
    }

    pub fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(words);
        command.envs(environment.iter().copied());
        Ran::of(command, "")
    }

    pub fn run_on(&self, words: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(words);
        command.stdin(Stdio::piped());
        Ran::of(command, stdin)
    }

    /// Runs and expects success; the answer is the JSON that was printed.
    pub fn json(&self, words: &[&str]) -> Value {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {ran:?}"))
    }

    /// Runs and expects success; the answer is what was printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        ran.stdout
    }
}

impl Ran {
    fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command.spawn().unwrap();
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes()).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Expects a failure with this code that is one sentence beginning so.
    pub fn fails(&self, code: i32, sentence: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with(&format!("error: {sentence}")), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
    }
}

/// Bodies of items of a user, numbered from `from`, each named by a source.
pub fn bodies(user: &str, numbers: std::ops::Range<u32>) -> String {
    let mut text = String::new();
    for number in numbers {
        writeln!(
            text,
            r#"{{"user_id":"{user}","transaction_type":"card","amount":{number}.25,"source":"bank","external_id":"{number}","created_at":"2024-01-15T10:30:00Z","metadata":{{"merchant_name":"Shop {number}"}}}}"#
        )
        .unwrap();
    }
    text
}
