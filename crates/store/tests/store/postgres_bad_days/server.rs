//! A PostgreSQL of a test's own, which may crash.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Fallible;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// Gone when it is dropped.
pub struct Server {
    folder: tempfile::TempDir,
    pub url: String,
}

impl Server {
    pub fn start() -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let said = run(folder.path(), "up")?;
        let url = said.trim().split_once('=').ok_or("no URL")?.1.to_owned();
        Ok(Self { folder, url })
    }

    /// Ends it as a loss of power would.
    pub fn crash(&self) -> Fallible<()> {
        run(self.folder.path(), "crash").map(drop)
    }

    /// Starts it again where it was.
    pub fn recover(&self) -> Fallible<()> {
        run(self.folder.path(), "up").map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: what stays is in the temporary directory.
        drop(run(self.folder.path(), "down"));
    }
}

fn run(folder: &Path, word: &str) -> Fallible<String> {
    let run = || {
        Command::new(SCRIPT)
            .arg(word)
            .arg("postgres")
            .env("TEST_SERVICES_DIR", folder)
            .env_remove("TEST_POSTGRES_URL")
            .stdin(Stdio::null())
            .output()
    };
    let done = tokio::task::block_in_place(run)?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(format!("scripts/services {word}: {said}").into());
    }
    Ok(String::from_utf8(done.stdout)?)
}
