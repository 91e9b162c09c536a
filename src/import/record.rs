//! Records of character-separated files (RFC 4180, with any delimiter and quote). A record may
//! run over several lines inside quotes; a quote that never closes costs its own line, not the
//! rest of the file.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::lines::{LINE_BYTES_MAX, Line, Lines, Place};

/// The most lines of one record: an address or a note, not a document.
const RECORD_LINES_MAX: usize = 50;

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub delimiter: u8,
    pub quote: u8,
}

#[derive(Debug)]
pub struct Record {
    /// The number of its first line.
    pub line: u64,
    pub raw: Vec<u8>,
    pub fields: Result<Vec<Vec<u8>>, Broken>,
    pub end: Place,
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    TooLong,
    OpenQuote,
}

pub struct Records<R> {
    lines: Lines<R>,
    /// Lines that were read to look for the end of a record and are not part of it.
    waiting: VecDeque<Line>,
    format: Format,
}

impl<R: BufRead> Records<R> {
    pub fn new(reader: R, place: Place, format: Format) -> Self {
        Self { lines: Lines::new(reader, place), waiting: VecDeque::new(), format }
    }

    /// The next record that is not blank; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            if !line.bytes.is_empty() {
                return self.record(line).map(Some);
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        match self.waiting.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    fn record(&mut self, first: Line) -> io::Result<Record> {
        let (line, first_end) = (first.end.line, first.end);
        let broken = |raw, why| Record { line, raw, fields: Err(why), end: first_end };
        if first.is_too_long {
            return Ok(broken(first.bytes, Broken::TooLong));
        }
        let length = first.bytes.len();
        let (mut raw, mut end) = (first.bytes, first.end);
        let mut taken = Vec::new();
        loop {
            if let Some(fields) = split(&raw, self.format) {
                return Ok(Record { line, raw, fields: Ok(fields), end });
            }
            let next = if taken.len() < RECORD_LINES_MAX { self.line()? } else { None };
            let fits = |next: &Line| raw.len() + next.bytes.len() < LINE_BYTES_MAX;
            match next {
                Some(next) if !next.is_too_long && fits(&next) => {
                    raw.push(b'\n');
                    raw.extend(&next.bytes);
                    end = next.end;
                    taken.push(next);
                }
                next => {
                    for line in next.into_iter().chain(taken.into_iter().rev()) {
                        self.waiting.push_front(line);
                    }
                    raw.truncate(length);
                    return Ok(broken(raw, Broken::OpenQuote));
                }
            }
        }
    }
}

/// Splits a record into its fields; `None` when a quote is still open.
pub fn split(record: &[u8], format: Format) -> Option<Vec<Vec<u8>>> {
    let (mut fields, mut field) = (Vec::new(), Vec::new());
    let mut bytes = record.iter().copied().peekable();
    // A quote opens only where a field begins; elsewhere it is a character like any other.
    let (mut is_start, mut is_quoted) = (true, false);
    while let Some(byte) = bytes.next() {
        if is_quoted {
            // A doubled quote is one quote.
            if byte != format.quote || bytes.next_if_eq(&format.quote).is_some() {
                field.push(byte);
            } else {
                is_quoted = false;
            }
        } else if byte == format.delimiter {
            fields.push(std::mem::take(&mut field));
            is_start = true;
            continue;
        } else if is_start && byte == format.quote {
            is_quoted = true;
        } else {
            field.push(byte);
        }
        is_start = false;
    }
    fields.push(field);
    (!is_quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { delimiter: b';', quote: b'"' };

    fn read(text: &str) -> Vec<(u64, Result<Vec<String>, Broken>)> {
        let mut records = Records::new(text.as_bytes(), Place::default(), FORMAT);
        let mut found = Vec::new();
        while let Some(record) = records.next().expect("memory") {
            let text = |field| String::from_utf8(field).expect("text");
            let fields = record.fields.map(|fields| fields.into_iter().map(text).collect());
            found.push((record.line, fields));
        }
        found
    }

    fn fields(fields: &[&str]) -> Result<Vec<String>, Broken> {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn fields_are_split_as_rfc_4180_says() {
        let text = "a;\"b;c\";\"d\"\"e\";;5\" pipe\r\n\n\"two\nlines\";x\n";
        let expected =
            [(1, fields(&["a", "b;c", "d\"e", "", "5\" pipe"])), (3, fields(&["two\nlines", "x"]))];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn an_open_quote_costs_its_own_line_only() {
        let rest = "b;c\n".repeat(200);
        let found = read(&format!("a;\"open\n{rest}"));
        assert_eq!(found.first(), Some(&(1, Err(Broken::OpenQuote))));
        assert_eq!(found.len(), 201);
        assert_eq!(found.last(), Some(&(201, fields(&["b", "c"]))));
    }
}
