//! The rows of the two kinds of files, as bodies of the API.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail};
use daybook_core::Rejection;

use super::convert::Converter;
use super::lines::{LINE_BYTES_MAX, Lines, Place};
use super::mapping::Mapping;
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

pub enum Rows {
    Ndjson(Lines<Reader>),
    Mapped { records: Records<Reader>, converter: Box<Converter> },
}

impl Rows {
    /// Opens a file (or standard input, `-`), at a place or at its beginning.
    pub fn open(path: &Path, mapping: Option<Mapping>, from: Place) -> anyhow::Result<Self> {
        let Some(mapping) = mapping else {
            return Ok(Self::Ndjson(Lines::new(open_at(path, from)?, from)));
        };
        let format = mapping.format;
        let mut rows = Self::mapped(open_at(path, Place::default())?, mapping)?;
        if let Self::Mapped { records, .. } = &mut rows
            && from.offset > 0
        {
            *records = Records::new(open_at(path, from)?, from, format);
        }
        Ok(rows)
    }

    /// Reads a file from its beginning.
    pub fn read(reader: Reader, mapping: Option<Mapping>) -> anyhow::Result<Self> {
        match mapping {
            Some(mapping) => Self::mapped(reader, mapping),
            None => Ok(Self::Ndjson(Lines::new(reader, Place::default()))),
        }
    }

    fn mapped(reader: Reader, mapping: Mapping) -> anyhow::Result<Self> {
        let mut records = Records::new(reader, Place::default(), mapping.format);
        let header = match &mapping.names {
            Some(names) => names.clone(),
            None => header(&mut records, &mapping)?,
        };
        let converter = Box::new(Converter::new(mapping, header)?);
        Ok(Self::Mapped { records, converter })
    }

    /// The next row that is not blank; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<Row>> {
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
                let Some(Record { line, raw, fields, end }) = records.next()? else {
                    return Ok(None);
                };
                let body = match fields {
                    Ok(fields) => converter.body(&fields),
                    Err(Broken::TooLong) => Err(too_long()),
                    Err(Broken::OpenQuote) => {
                        let detail = "the row opens a quote and does not close it".to_owned();
                        Err(rejected("OPEN_QUOTE", detail))
                    }
                };
                Ok(Some(Row { line, raw, body, end }))
            }
        }
    }
}

fn rejected(code: &str, detail: String) -> Rejection {
    Rejection::field("", code, detail)
}

fn too_long() -> Rejection {
    rejected("LINE_TOO_LONG", format!("the line is longer than {LINE_BYTES_MAX} bytes"))
}

fn open_at(path: &Path, place: Place) -> anyhow::Result<Reader> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let shown = path.display();
    let mut file =
        File::open(path).map_err(|error| usage(format!("'{shown}' cannot be read: {error}")))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(usage(format!("'{shown}' is a folder, not a file")));
    }
    if place.offset > 0 {
        file.seek(SeekFrom::Start(place.offset)).with_context(|| format!("reading '{shown}'"))?;
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
