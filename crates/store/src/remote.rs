//! The store of another process on this machine: commands reach the server that holds an SQLite
//! file by a Unix socket beside the file, whose permissions are the file's.
//!
//! | step | client | server |
//! |---|---|---|
//! | greeting | a line with its version | the same; both end when they differ |
//! | request | one call of the store | reads all of it before it begins |
//! | progress | shows it | while a long call runs, which ends with its client |
//! | answer | what the store answered, or its error | after the call, so a commit is durable then |
//!
//! A message is its length in four bytes and so many bytes; `messages.rs` lists what they say. A
//! connection has one request at a time.

mod client;
mod messages;
mod place;
mod server;
mod wire;

use std::io;
use std::path::PathBuf;

use daybook_core::id::fnv128;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

pub use client::Remote;
pub use server::CommandSocket;

use messages::Told;
use wire::WireError;

use crate::Error;

/// Rises when values are written in another way than before; which values there are is hashed.
const PROTOCOL: u32 = 1;
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest greeting, in bytes.
const GREETING_BYTES_MAX: u64 = 128;
/// The largest request: a batch of an import, which has 8 MiB of rows, and room to spare.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest answer: 10 000 items with the largest metadata.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The most that is allocated for a message before it has arrived.
const RESERVED_BYTES_MAX: usize = 256 * 1024;

/// Why a server that holds the store did not do what a command asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("the server that holds '{}' ended before it did what was asked", path.display())]
    Lost { path: PathBuf },
    #[error(
        "the server that holds '{}' ended before it answered; it is not known whether the last \
         change was recorded",
        path.display()
    )]
    Unconfirmed { path: PathBuf },
    #[error("the server that holds '{}' does not answer", path.display())]
    Silent { path: PathBuf },
    #[error(
        "the server that holds '{}' is {server}, and this is {own}; use the server's program",
        path.display()
    )]
    Version { path: PathBuf, server: String, own: String },
    #[error("the server that holds '{}' cannot be reached: {reason}", path.display())]
    Unreachable { path: PathBuf, reason: String },
    #[error("the message is too large for a server ({bytes} bytes); use smaller batches")]
    TooLarge { bytes: usize },
    #[error("a server is not asked for {what} by the socket of its store")]
    NotAsked { what: &'static str },
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::Remote(error.into())
    }
}

/// The first line that either end sends.
fn greeting() -> String {
    let layout = fnv128(&[messages::LAYOUT.as_bytes()]);
    format!("daybook {PROTOCOL} {VERSION} {layout:032x}\n")
}

/// What a greeting says about its sender, in words.
fn described(greeting: &str) -> String {
    let words: Vec<&str> = greeting.split_whitespace().collect();
    match words.as_slice() {
        ["daybook", _, version, ..] if *version == VERSION && greeting != self::greeting() => {
            format!("another build of Daybook {version}")
        }
        ["daybook", _, version, ..] => format!("Daybook {version}"),
        _ => "no Daybook that this one knows".to_owned(),
    }
}

/// A connection, seen from either end.
struct Pipe {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Pipe {
    fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    /// Exchanges greetings; the answer is the other end's.
    async fn greet(&mut self) -> io::Result<String> {
        self.writer.write_all(greeting().as_bytes()).await?;
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(GREETING_BYTES_MAX);
        limited.read_until(b'\n', &mut line).await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Waits for a message; the answer is its length. `None` when the other end has gone.
    async fn next(&mut self, bytes_max: usize) -> io::Result<Option<usize>> {
        Ok(if self.begins().await? { Some(self.length(bytes_max).await?) } else { None })
    }

    /// Waits until a message begins; not so when the other end has gone.
    async fn begins(&mut self) -> io::Result<bool> {
        Ok(!self.reader.fill_buf().await?.is_empty())
    }

    /// Reads the length of a message.
    async fn length(&mut self, bytes_max: usize) -> io::Result<usize> {
        let length = usize::try_from(self.reader.read_u32_le().await?).unwrap_or(usize::MAX);
        if length > bytes_max {
            let reason = format!("a message of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(length)
    }

    /// Reads the rest of a message. What has not arrived takes no memory.
    async fn rest(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut message = Vec::with_capacity(length.min(RESERVED_BYTES_MAX));
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.reader).take(limit).read_to_end(&mut message).await?;
        if message.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(message)
    }
}

/// Writes a message with its length before it.
fn framed(
    bytes_max: usize,
    write: impl FnOnce(&mut Vec<u8>) -> wire::Result<()>,
) -> Result<Vec<u8>, RemoteError> {
    let mut message = vec![0; 4];
    write(&mut message)?;
    let bytes = message.len() - 4;
    match (u32::try_from(bytes), message.first_chunk_mut()) {
        (Ok(length), Some(place)) if bytes <= bytes_max => *place = length.to_le_bytes(),
        _ => return Err(RemoteError::TooLarge { bytes }),
    }
    Ok(message)
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::Busy,
            Error::DiskFull => Self::DiskFull,
            Error::Closed => Self::Closed,
            Error::TooBroad { limit } => Self::TooBroad { limit },
            Error::Sealed { path } => Self::Sealed { path },
            Error::NoMasterKey { name } => Self::NoMasterKey { name },
            Error::Corrupt { what } => Self::Corrupt { what },
            Error::Driver(source) => Self::Other { reason: chain(&*source) },
            // These come from opening and copying, which the server did long ago.
            other @ (Error::Away { .. }
            | Error::ReadOnly
            | Error::NoBackup
            | Error::TooManyPoints { .. }
            | Error::Locked { .. }
            | Error::TooNew { .. }
            | Error::CannotOpen { .. }
            | Error::CannotCopy { .. }
            | Error::BadUrl { .. }
            | Error::BadReplica { .. }
            | Error::NotSealing
            | Error::NoRing { .. }
            | Error::ForeignRing { .. }
            | Error::UnknownMasters { .. }
            | Error::Remote(_)) => Self::Other { reason: chain(&other) },
        }
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        match told {
            Told::Busy => Self::Busy,
            Told::DiskFull => Self::DiskFull,
            Told::Closed => Self::Closed,
            Told::TooBroad { limit } => Self::TooBroad { limit },
            Told::Sealed { path } => Self::Sealed { path },
            Told::NoMasterKey { name } => Self::NoMasterKey { name },
            Told::Corrupt { what } => Self::Corrupt { what },
            Told::Other { reason } => Self::Driver(reason.into()),
        }
    }
}

/// An error with all that caused it, as the command line writes them.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daybook_core::sample::{Sampler, Users};
    use daybook_core::{Action, Submission, Timestamp, UserId};

    use super::messages::{Answer, Request};
    use super::wire::{Input, Wire};
    use super::*;

    fn bytes(value: &impl Wire) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out).expect("it can be sent");
        out
    }

    #[test]
    fn an_error_says_the_same_at_both_ends() {
        let io = io::Error::other(Error::Driver("the disk is on fire".into()));
        for error in [
            Error::Busy,
            Error::DiskFull,
            Error::Closed,
            Error::TooBroad { limit: Duration::from_millis(2_500) },
            Error::Sealed { path: "tax_id".to_owned() },
            Error::NoMasterKey { name: "daybook.db".to_owned() },
            Error::Corrupt { what: "a row".to_owned() },
            Error::Driver(Box::new(io)),
        ] {
            let said = chain(&error);
            let sent = bytes(&Answer::Failed { error: error.into() });
            let Ok(Answer::Failed { error }) = Input::whole(&sent) else { panic!("{said}") };
            assert_eq!(chain(&Error::from(error)), said);
        }
    }

    #[test]
    fn a_message_is_read_as_a_whole_or_not_at_all() {
        let at = Timestamp::from_micros(1_720_000_000_000_000);
        let users = Users::new(UserId::parse("ann").expect("a user"), Vec::new());
        let actions = Sampler::new(1, users, at).oldest_first(5).map(Action::Record).collect();
        let submission = Submission { at, key: None, atomic: true, actions };
        let message = bytes(&Request::Commit { submission });
        let again: Request = Input::whole(&message).expect("a request");
        assert_eq!(bytes(&again), message);
        for end in 0..message.len() {
            assert!(Input::whole::<Request>(&message[..end]).is_err(), "{end} bytes");
        }
        let longer = [&message[..], &[0]].concat();
        assert!(Input::whole::<Request>(&longer).is_err());
    }

    #[test]
    fn a_list_takes_no_memory_before_its_entries_come() {
        let commit = |count: u32| {
            let (tag, at, key, atomic) = ([0; 1], [0; 8], [0; 1], [0; 1]);
            [&tag[..], &at, &key, &atomic, &count.to_le_bytes()].concat()
        };
        for count in [1, 10_001, 100_000, 100_001, u32::MAX] {
            assert!(Input::whole::<Request>(&commit(count)).is_err(), "{count}");
        }
        assert!(Input::whole::<Request>(&commit(0)).is_ok());
    }

    #[test]
    fn a_greeting_says_what_its_sender_is() {
        assert!(u64::try_from(greeting().len()).expect("short") <= GREETING_BYTES_MAX);
        assert_eq!(described("daybook 2 0.9.0 00"), "Daybook 0.9.0");
        let other = format!("another build of Daybook {VERSION}");
        assert_eq!(described(&format!("daybook 1 {VERSION} 00\n")), other);
        assert_eq!(described("SSH-2.0"), "no Daybook that this one knows");
    }
}
