//! Lines of a file of any size, each with its place, none larger than memory can bear.

use std::io::{self, BufRead};

/// The longest line, in bytes: the largest item that could be accepted is far below it, and a
/// file without line breaks must not fill the memory.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// Where reading stands: the place after a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    /// Lines before this place.
    pub line: u64,
}

#[derive(Debug)]
pub struct Line {
    /// Without its line break; only the beginning, when it is too long.
    pub bytes: Vec<u8>,
    pub is_too_long: bool,
    pub end: Place,
}

pub struct Lines<R> {
    reader: R,
    place: Place,
}

impl<R: BufRead> Lines<R> {
    /// Reads on from a place that the reader already stands at.
    pub fn new(reader: R, place: Place) -> Self {
        Self { reader, place }
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut bytes, mut length) = (Vec::new(), 0_usize);
        let first = self.place.offset == 0;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let (part, is_over) = match buffer.iter().position(|b| *b == b'\n') {
                Some(at) => (buffer.get(..=at).unwrap_or(buffer), true),
                None => (buffer, buffer.is_empty()),
            };
            let room = (LINE_BYTES_MAX + 2).saturating_sub(bytes.len());
            bytes.extend(part.iter().take(room));
            let read = part.len();
            length += read;
            self.reader.consume(read);
            if is_over {
                break;
            }
        }
        if length == 0 {
            return Ok(None);
        }
        self.place.offset += u64::try_from(length).unwrap_or(u64::MAX);
        self.place.line += 1;
        if length <= LINE_BYTES_MAX + 2 {
            for end in [b'\n', b'\r'] {
                if bytes.last() == Some(&end) {
                    bytes.pop();
                }
            }
        }
        if first && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let is_too_long = bytes.len() > LINE_BYTES_MAX;
        bytes.truncate(LINE_BYTES_MAX);
        Ok(Some(Line { bytes, is_too_long, end: self.place }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_with_their_places() {
        let text: &[u8] = b"\xef\xbb\xbfone\r\n\ntwo";
        let mut lines = Lines::new(text, Place::default());
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("memory") {
            found.push((String::from_utf8(line.bytes).expect("text"), line.end));
        }
        let at = |offset, line| Place { offset, line };
        assert_eq!(
            found,
            [("one".into(), at(8, 1)), (String::new(), at(9, 2)), ("two".into(), at(12, 3))]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        for (extra, too_long) in [(0, false), (1, true), (500_000, true)] {
            let mut text = vec![b'x'; LINE_BYTES_MAX + extra];
            text.extend(b"\r\nnext\n");
            let mut lines = Lines::new(text.as_slice(), Place::default());
            let line = lines.next().expect("memory").expect("a line");
            assert_eq!((line.is_too_long, line.bytes.len()), (too_long, LINE_BYTES_MAX));
            assert_eq!(lines.next().expect("memory").expect("a line").bytes, b"next");
        }
    }
}
