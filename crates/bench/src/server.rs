//! The server under test: the real binary as a child process, so that its memory and its start are
//! its own. It listens on the loopback only and is killed when it is dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::stores::{Store, Stores};

/// How long a server may take to be ready before the benchmark gives up.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a starting server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// A program that is measured, the folder where it leaves its files, and where its stores are.
#[derive(Clone, Debug)]
pub struct Program {
    pub binary: PathBuf,
    pub folder: PathBuf,
    pub stores: Stores,
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Program {
    /// A file of this name in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A store that nobody has used.
    ///
    /// # Errors
    /// When the server that keeps the stores cannot be reached or refuses.
    pub fn store(&self, name: &str) -> Result<Store> {
        self.stores.make(name)
    }

    /// Records so many synthetic items of a user in a store that nobody has open.
    ///
    /// # Errors
    /// When the program cannot be run or fails.
    pub fn seed(&self, store: &Store, user: &str, count: u64) -> Result<Duration> {
        self.run("seed", store, &["--user", user, "--count", &count.to_string()])
    }

    /// Looks whether everything in a store that nobody has open is right.
    ///
    /// # Errors
    /// When the program cannot be run, or it finds a difference.
    pub fn verify(&self, store: &Store) -> Result<Duration> {
        self.run("verify", store, &[])
    }

    /// Runs a command that needs no store, and returns the line that it prints.
    ///
    /// # Errors
    /// When the program cannot be run or fails.
    pub fn says(&self, name: &str, words: &[&str], environment: &[(&str, &str)]) -> Result<String> {
        let mut command = self.command(name)?;
        command.args(words).envs(environment.iter().copied()).stdout(Stdio::piped());
        let output = command.output().with_context(|| format!("running {name}"))?;
        if !output.status.success() {
            bail!("{name} failed ({}): {}", output.status, self.log());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn run(&self, name: &str, store: &Store, words: &[&str]) -> Result<Duration> {
        let started = Instant::now();
        let mut command = self.command(name)?;
        command.args(words).args(["--store", &store.url]);
        let status: ExitStatus = command.status().with_context(|| format!("running {name}"))?;
        if !status.success() {
            bail!("{name} failed ({status}): {}", self.log());
        }
        Ok(started.elapsed())
    }

    /// Starts a server on a store and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub fn serve(&self, store: &Store) -> Result<Server> {
        self.serve_with(store, &[])
    }

    /// The same, with variables that configure the server.
    ///
    /// # Errors
    /// As [`Program::serve`].
    pub fn serve_with(&self, store: &Store, environment: &[(&str, &str)]) -> Result<Server> {
        let address = free_address()?;
        let mut command = self.command("serve")?;
        command.envs(environment.iter().copied());
        command.args(["--listen", &address.to_string(), "--store", &store.url]);
        let started = Instant::now();
        let child = command.spawn().context("starting the server")?;
        let mut server = Server { child, address, ready: Duration::ZERO };
        while !is_ready(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended ({status}): {}", self.log());
            }
            if started.elapsed() > START_MAX {
                bail!("the server is not ready after {START_MAX:?}: {}", self.log());
            }
            std::thread::sleep(ASK_EVERY);
        }
        server.ready = started.elapsed();
        Ok(server)
    }

    /// A command in the benchmark's own folder and without the caller's configuration, so that
    /// what is measured are the defaults.
    fn command(&self, name: &str) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.file("log"))?;
        let mut command = Command::new(&self.binary);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("DAYBOOK_") {
                command.env_remove(key);
            }
        }
        command.args([name, "--log", "warn"]).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// The last lines that the program wrote.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From its start until it first answered that it is ready.
    pub ready: Duration,
}

impl Server {
    /// Its resident memory, where the system tells.
    pub fn memory(&self) -> Option<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).ok()?;
        Some(Memory { now: kilobytes(&status, "VmRSS:")?, peak: kilobytes(&status, "VmHWM:")? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is already gone is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A field of `/proc/PID/status`, in bytes.
fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// An address that was free a moment ago; the next to ask for any port gets another one.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tdaybook\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(209_715_200));
        assert_eq!(kilobytes(status, "VmRSS:"), Some(104_857_600));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }

    #[test]
    fn a_program_that_ends_at_once_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::Files(folder.path().to_owned());
        let program = Program { binary: "false".into(), folder: folder.path().to_owned(), stores };
        let store = program.store("a").unwrap();
        let error = program.serve(&store).unwrap_err().to_string();
        assert!(error.starts_with("the server ended"), "{error}");
    }
}
