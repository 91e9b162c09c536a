//! What commands show: lines on standard output, notes and progress on standard error.

use std::fmt;
use std::io::{self, Write};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;

/// A mistake in how the program was called; the exit code says so.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A mistake in how the program was called.
pub fn usage(sentence: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(sentence.into()))
}

/// Writes a line to standard output.
///
/// # Errors
/// When nobody reads it any more.
pub fn say(line: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Writes a value as one line of JSON to standard output.
///
/// # Errors
/// When nobody reads it any more.
pub fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(say(serde_json::to_string(value)?)?)
}

/// Writes a note to standard error; it does not matter whether anybody reads it.
pub fn note(line: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// A whole number with its thousands set apart.
pub fn count(number: u64) -> HumanCount {
    HumanCount(number)
}

const ITEMS: &str = "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
const BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// A bar over a known number of things; nothing is drawn where standard error is no terminal.
pub fn progress(message: &'static str, total: u64) -> ProgressBar {
    bar(ITEMS, message, total)
}

/// A bar over a known number of bytes.
pub fn progress_bytes(message: &'static str, total: u64) -> ProgressBar {
    bar(BYTES, message, total)
}

fn bar(template: &str, message: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(total).with_message(message);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
