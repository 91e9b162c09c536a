//! Where master keys come from, and what is done with the ring of keys that they wrap. A server and
//! the command `daybook keys` do the same by way of the same functions.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use daybook_core::{Action, Note, UserId};
use daybook_store::{MasterKey, Masters, RingStatus};

use crate::app::App;
use crate::config::Secret;
use crate::http::error::Error as HttpError;

/// How long a command may take to print the keys.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// How often it is looked whether it has ended.
const COMMAND_POLL: Duration = Duration::from_millis(20);

/// Where the master keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// One key.
    Text(Secret),
    /// A file with a key a line, the current one first.
    File(PathBuf),
    /// A program and its arguments; it prints what the file would hold.
    Command(Vec<String>),
}

/// Why there are no master keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the master key (`encryption.key`) must be 32 bytes in base64; `daybook keys generate` makes one"
    )]
    BadKey,
    #[error("the key file '{}' (`encryption.key_file`) cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the command '{program}' (`encryption.key_command`) gave no keys: {reason}")]
    BadCommand { program: String, reason: String },
    #[error("line {line} of the master keys is not 32 bytes in base64")]
    BadLine { line: usize },
    #[error("there is no master key where `encryption` says; `daybook keys generate` makes one")]
    Empty,
}

impl KeySource {
    /// Reads the keys as they are now. It may take as long as the command does.
    ///
    /// # Errors
    /// When there are none, or a line is no key. No error shows a key.
    pub fn read(&self) -> Result<Masters, KeyError> {
        match self {
            Self::Text(secret) => {
                let text = secret.reveal().and_then(|bytes| std::str::from_utf8(bytes).ok());
                let text = text.ok_or(KeyError::BadKey)?;
                let current = MasterKey::from_base64(text).map_err(|_| KeyError::BadKey)?;
                Ok(Masters { current, older: Vec::new() })
            }
            Self::File(path) => {
                let unreadable = |error: std::io::Error| KeyError::Unreadable {
                    path: path.clone(),
                    reason: error.to_string(),
                };
                parse(&std::fs::read_to_string(path).map_err(unreadable)?)
            }
            Self::Command(words) => parse(&printed(words)?),
        }
    }

    /// What should be said about the source, when it is not as safe as it should be.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        let shown = path.display();
        (mode & 0o077 != 0).then(|| {
            format!("others can read the master keys in '{shown}'; its mode should be 600")
        })
    }
}

fn parse(text: &str) -> Result<Masters, KeyError> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            let key = MasterKey::from_base64(line);
            keys.push(key.map_err(|_| KeyError::BadLine { line: index + 1 })?);
        }
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or(KeyError::Empty)?;
    Ok(Masters { current, older: keys.collect() })
}

/// What a command prints, if it ends in time.
fn printed(words: &[String]) -> Result<String, KeyError> {
    let (program, arguments) = words.split_first().ok_or(KeyError::Empty)?;
    let bad = |reason: String| KeyError::BadCommand { program: program.clone(), reason };
    let failed = |error: std::io::Error| bad(error.to_string());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(failed)?;
    let begun = Instant::now();
    // Keys fit in the pipe's buffer, so the command does not wait for a reader.
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if begun.elapsed() > COMMAND_TIME => {
                child.kill().and_then(|()| child.wait().map(drop)).map_err(failed)?;
                return Err(bad(format!("it took longer than {} s", COMMAND_TIME.as_secs())));
            }
            None => std::thread::sleep(COMMAND_POLL),
        }
    };
    if !status.success() {
        return Err(bad(status.to_string()));
    }
    let mut text = String::new();
    let mut out = child.stdout.take().ok_or_else(|| bad("it has no output".to_owned()))?;
    out.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

impl App {
    /// How the ring of keys is.
    ///
    /// # Errors
    /// When nothing is sealed.
    pub async fn keyring(&self) -> Result<RingStatus, HttpError> {
        let ring = self.store().ring().await?;
        Ok(ring.ok_or(daybook_store::Error::NotSealing)?)
    }

    /// Reads the master keys again and uses them from now on.
    ///
    /// # Errors
    /// When they cannot be read, or do not unwrap all that is wrapped; the ones in use stay.
    pub async fn reload_masters(&self) -> Result<(), HttpError> {
        let source = self.settings().masters.clone();
        let source = source.ok_or(daybook_store::Error::NotSealing)?;
        let reading = tokio::task::spawn_blocking(move || source.read()).await;
        let masters = reading.map_err(|error| HttpError::Internal(Box::new(error)))?;
        let masters =
            masters.map_err(|error| HttpError::NoMasters { reason: error.to_string() })?;
        match self.store().use_masters(masters).await {
            Err(error @ daybook_store::Error::UnknownMasters { .. }) => {
                Err(HttpError::NoMasters { reason: error.to_string() })
            }
            done => Ok(done?),
        }
    }

    /// Wraps up to so many keys by the current master key; answers how many are left. The event
    /// log has a note when all is done.
    ///
    /// # Errors
    /// When nothing is sealed, or the store fails.
    pub async fn rewrap_keys(&self, limit: u32) -> Result<u64, HttpError> {
        let before = others(&self.keyring().await?);
        if before == 0 {
            return Ok(0);
        }
        let left = self.store().rewrap(limit).await?;
        if left == 0 {
            let ring = self.keyring().await?;
            if let Some(current) = ring.masters.iter().find(|master| master.is_current) {
                let note = Note::rewrapped(&current.id, current.keys);
                self.commit_one(None, Action::Note(note)).await?;
            }
        }
        Ok(left)
    }

    /// Destroys the keys of a user; answers how many that were. The event log has a note of it.
    ///
    /// # Errors
    /// When nothing is sealed, or the store fails.
    pub async fn shred_user(&self, user: UserId) -> Result<u64, HttpError> {
        let keys = self.store().shred(user.clone()).await?;
        // Also when nothing was left: who came before may have died between the two.
        self.commit_one(None, Action::Note(Note::shredded(user, keys))).await?;
        Ok(keys)
    }
}

/// How many keys other master keys wrap than the current one.
#[must_use]
pub fn others(ring: &RingStatus) -> u64 {
    ring.masters.iter().filter(|master| !master.is_current).map(|master| master.keys).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OLD: &str = "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

    #[test]
    fn the_first_key_is_the_current_one() {
        let masters = parse(&format!("# ring\n\n{KEY}\n {OLD} \n")).expect("two keys");
        assert_eq!((masters.ids().count(), masters.older.len()), (2, 1));
        let alone = parse(KEY).expect("a key");
        assert_eq!(alone.current.id(), masters.current.id());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let short = format!("{KEY}\n{}", OLD.get(..40).unwrap_or_default());
        let error = parse(&short).expect_err("a short key").to_string();
        assert_eq!(error, "line 2 of the master keys is not 32 bytes in base64");
        assert!(matches!(parse("# nothing\n"), Err(KeyError::Empty)));
        let source = KeySource::File("/nowhere/keys".into());
        assert!(source.read().expect_err("no file").to_string().contains("'/nowhere/keys'"));
    }

    #[test]
    fn a_command_may_print_the_keys() {
        let command = |text: &str| {
            KeySource::Command(["sh", "-c", text].iter().map(|word| (*word).to_owned()).collect())
        };
        let masters = command(&format!("echo {KEY}; echo {OLD}")).read().expect("two keys");
        assert_eq!(masters.ids().count(), 2);
        let failed = command("exit 3").read().expect_err("a failure").to_string();
        assert!(failed.contains("'sh'") && failed.contains('3'), "{failed}");
    }
}
