//! The rows of the two kinds of files, as bodies of the API.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, bail};
use daybook_core::Rejection;

use super::convert::Converter;
use super::fernet::Fernet;
use super::foreign;
use super::lines::{LINE_BYTES_MAX, Lines, Place};
use super::mapping::Mapping;
use super::own::{self, OwnColumns};
use super::record::{Broken, Record, Records};
use crate::output::usage;

pub type Reader = Box<dyn BufRead + Send>;

/// One row, read but not yet checked.
pub struct Row {
    pub line: u64,
    pub raw: Vec<u8>,
    pub body: Result<String, Rejection>,
    /// The place after the row.
    pub end: Place,
}

pub struct Rows {
    source: Source,
    /// The place after the row that was read last.
    place: Place,
}

enum Source {
    Ndjson(Lines<Reader>),
    Mapped {
        records: Records<Reader>,
        converter: Box<Converter>,
    },
    /// The CSV of an export.
    Own {
        records: Records<Reader>,
        columns: OwnColumns,
    },
}

impl Rows {
    /// Opens a file (or standard input, `-`).
    ///
    /// # Errors
    /// When it cannot be read, is a file of another kind, or has not the columns of the mapping.
    pub fn open(
        path: &Path,
        mapping: Option<Mapping>,
        fernet: Option<Fernet>,
    ) -> anyhow::Result<Self> {
        let mut reader = open(path)?;
        let mut beginning = Vec::new();
        let length = u64::try_from(foreign::BEGINNING_BYTES)?;
        let shown = path.display();
        let read = reader.by_ref().take(length).read_to_end(&mut beginning);
        read.with_context(|| format!("reading '{shown}'"))?;
        let is_own = mapping.is_none() && own_columns(&beginning).is_some();
        let foreign = foreign::named(&beginning, mapping.is_some()).filter(|_| !is_own);
        if let Some(kind) = foreign {
            return Err(usage(format!("'{shown}' {kind}")));
        }
        let reader: Reader = Box::new(Cursor::new(beginning).chain(reader));
        if is_own { Self::own(reader) } else { Self::read(reader, mapping, fernet) }
    }

    /// Reads a file of bodies, or with a mapping one of CSV, from its beginning.
    pub fn read(
        reader: Reader,
        mapping: Option<Mapping>,
        fernet: Option<Fernet>,
    ) -> anyhow::Result<Self> {
        let Some(mapping) = mapping else {
            return Ok(Source::Ndjson(Lines::new(reader, Place::default())).into());
        };
        let mut records = Records::new(reader, Place::default(), mapping.format);
        let header = match &mapping.names {
            Some(names) => names.clone(),
            None => header(&mut records, &mapping)?,
        };
        let converter = Box::new(Converter::new(mapping, header, fernet)?);
        Ok(Source::Mapped { records, converter }.into())
    }

    fn own(reader: Reader) -> anyhow::Result<Self> {
        let mut records = Records::new(reader, Place::default(), own::FORMAT);
        let header = records.next()?.and_then(|header| OwnColumns::of_header(&header.raw));
        let columns = header.context("reading the header of an export")?;
        Ok(Source::Own { records, columns }.into())
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// The next row that is not blank; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let row = self.source.next()?;
        if let Some(row) = &row {
            self.place = row.end;
        }
        Ok(row)
    }
}

impl From<Source> for Rows {
    fn from(source: Source) -> Self {
        Self { source, place: Place::default() }
    }
}

impl Source {
    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        match self {
            Self::Ndjson(lines) => loop {
                let Some(line) = lines.next()? else {
                    return Ok(None);
                };
                if line.bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let body = match String::from_utf8(line.bytes.clone()) {
                    _ if line.is_too_long => Err(too_long()),
                    Ok(text) => Ok(text),
                    Err(_) => Err(rejected("ENCODING", "the line is not UTF-8".to_owned())),
                };
                let (number, end) = (line.end.line, line.end);
                return Ok(Some(Row { line: number, raw: line.bytes, body, end }));
            },
            Self::Mapped { records, converter } => {
                Ok(records.next()?.map(|record| row(record, |fields| converter.body(fields))))
            }
            Self::Own { records, columns } => {
                Ok(records.next()?.map(|record| row(record, |fields| columns.body(fields))))
            }
        }
    }
}

fn row(record: Record, body: impl Fn(&[Vec<u8>]) -> Result<String, Rejection>) -> Row {
    let Record { line, raw, fields, end } = record;
    let body = match fields {
        Ok(fields) => body(&fields),
        Err(Broken::TooLong) => Err(too_long()),
        Err(Broken::OpenQuote) => {
            let detail = "the row opens a quote and does not close it".to_owned();
            Err(rejected("OPEN_QUOTE", detail))
        }
    };
    Row { line, raw, body, end }
}

/// The columns of an export that begins so.
fn own_columns(beginning: &[u8]) -> Option<OwnColumns> {
    let mut lines = Lines::new(beginning, Place::default());
    lines.next().ok().flatten().and_then(|line| OwnColumns::of_header(&line.bytes))
}

fn rejected(code: &str, detail: String) -> Rejection {
    Rejection::field("", code, detail)
}

fn too_long() -> Rejection {
    rejected("LINE_TOO_LONG", format!("the line is longer than {LINE_BYTES_MAX} bytes"))
}

fn open(path: &Path) -> anyhow::Result<Reader> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let shown = path.display();
    let file =
        File::open(path).map_err(|error| usage(format!("'{shown}' cannot be read: {error}")))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(usage(format!("'{shown}' is a folder, not a file")));
    }
    Ok(Box::new(BufReader::with_capacity(256 * 1024, file)))
}

fn header(records: &mut Records<Reader>, mapping: &Mapping) -> anyhow::Result<Vec<String>> {
    let Some(record) = records.next()? else {
        bail!("the file is empty; it should begin with the names of its columns");
    };
    let Ok(fields) = record.fields else {
        bail!("the first line cannot be read as the names of the columns");
    };
    let name = |field: &Vec<u8>| mapping.encoding.decode(field).0.trim().to_owned();
    Ok(fields.iter().map(name).collect())
}
