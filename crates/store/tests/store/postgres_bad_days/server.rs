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
        let url = run(folder.path(), "up", "postgres")?;
        Ok(Self { folder, url })
    }

    /// Starts a streaming replica of it, or starts it again; answers its URL.
    pub fn replica(&self) -> Fallible<String> {
        run(self.folder.path(), "up", "replica")
    }

    /// Ends the replica as a loss of power would.
    pub fn crash_replica(&self) -> Fallible<()> {
        run(self.folder.path(), "crash", "replica").map(drop)
    }

    /// Ends it as a loss of power would.
    pub fn crash(&self) -> Fallible<()> {
        run(self.folder.path(), "crash", "postgres").map(drop)
    }

    /// Starts it again where it was.
    pub fn recover(&self) -> Fallible<()> {
        run(self.folder.path(), "up", "postgres").map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: what stays is in the temporary directory.
        drop(run(self.folder.path(), "down", "replica"));
        drop(run(self.folder.path(), "down", "postgres"));
    }
}

/// Runs the script on a service; answers its URL, if it prints one.
fn run(folder: &Path, word: &str, service: &str) -> Fallible<String> {
    let run = || {
        Command::new(SCRIPT)
            .arg(word)
            .arg(service)
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
    let said = String::from_utf8(done.stdout)?;
    Ok(said.trim().split_once('=').map_or("", |(_, url)| url).to_owned())
}
