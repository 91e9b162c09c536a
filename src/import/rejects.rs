//! The file of rows that were not taken, each with its line and the reasons.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;

use anyhow::Context;
use daybook_core::{FieldError, Rejection};
use serde::Serialize;

/// How much of a row that cannot be read at all is shown.
const RAW_CHARS_MAX: usize = 4 * 1024;

#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    code: &'a str,
    detail: String,
    errors: &'a [FieldError],
    raw: String,
}

/// Made with the first row that it holds.
pub struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl Rejects {
    /// Begins anew, or after the bytes that an interrupted import left.
    pub fn open(path: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        let mut rejects = Self { path, file: None, bytes };
        if bytes > 0 {
            rejects.file = Some(rejects.make()?);
        } else if let Err(error) = std::fs::remove_file(&rejects.path)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).with_context(|| rejects.shown());
        }
        Ok(rejects)
    }

    pub fn add(&mut self, line: u64, rejection: &Rejection, raw: &[u8]) -> anyhow::Result<()> {
        let errors = match rejection {
            Rejection::Invalid(errors) => errors.as_slice(),
            _ => &[],
        };
        let reject = Reject {
            line,
            code: rejection.code(),
            detail: rejection.to_string(),
            errors,
            raw: String::from_utf8_lossy(raw).chars().take(RAW_CHARS_MAX).collect(),
        };
        let mut text = serde_json::to_string(&reject)?;
        text.push('\n');
        let file = match self.file.take() {
            Some(file) => file,
            None => self.make()?,
        };
        let written = self.file.insert(file).write_all(text.as_bytes());
        written.with_context(|| self.shown())?;
        self.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Writes out what is held back, and says how long the file is.
    pub fn flush(&mut self) -> anyhow::Result<u64> {
        if let Some(file) = &mut self.file {
            file.flush().with_context(|| format!("writing '{}'", self.path.display()))?;
        }
        Ok(self.bytes)
    }

    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    fn make(&self) -> anyhow::Result<BufWriter<File>> {
        let open = || {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(false).open(&self.path)?;
            file.set_len(self.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok::<File, std::io::Error>(file)
        };
        open().map(BufWriter::new).with_context(|| self.shown())
    }

    fn shown(&self) -> String {
        format!("writing '{}'", self.path.display())
    }
}
