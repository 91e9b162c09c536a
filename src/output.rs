//! What commands show: lines on standard output, notes and progress on standard error.

use std::fmt;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use daybook_core::Json;
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

/// A column of a table: its title, and the field of the published JSON that it shows.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    field: &'static str,
    alignment: CellAlignment,
}

impl Column {
    pub const fn text(title: &'static str, field: &'static str) -> Self {
        Self { title, field, alignment: CellAlignment::Left }
    }

    /// Numbers stand under each other by their last digit.
    pub const fn number(title: &'static str, field: &'static str) -> Self {
        Self { title, field, alignment: CellAlignment::Right }
    }
}

/// Writes rows in aligned columns under their titles.
///
/// # Errors
/// When nobody reads it any more.
pub fn say_table(columns: &[Column], rows: &[Json]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(
            columns.iter().map(|column| row.get(column.field).map_or_else(String::new, cell)),
        );
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        shown.set_cell_alignment(column.alignment);
    }
    say_trimmed(&table)
}

/// Writes the fields of an object, a line each, without those that say nothing.
///
/// # Errors
/// When nobody reads it any more.
pub fn say_fields(object: &Json) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if let Json::Object(fields) = object {
        for (name, value) in fields.iter().filter(|(_, value)| *value != Json::Null) {
            table.add_row([name.clone(), cell(value)]);
        }
    }
    say_trimmed(&table)
}

fn say_trimmed(table: &Table) -> io::Result<()> {
    table.lines().try_for_each(|line| say(line.strip_prefix(' ').unwrap_or(&line).trim_end()))
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        // A line break inside a cell would break the table.
        Json::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
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
