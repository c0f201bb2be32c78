//! JSON lines: written through a buffer, read one by one.
//!
//! A process that was killed leaves its last line unfinished. That is no error: the reader stops there and says so
//! ([`Reader::cut`]); what the line would have told is then missing evidence, which the check does not take for a proof.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::Path;

use serde::de::DeserializeOwned;
use thiserror::Error;

/// A value that writes itself as one line of JSON.
pub trait Line {
    /// Appends the JSON object, without the line's end.
    fn push_json(&self, line: &mut Vec<u8>);
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum LineError {
    /// Reading failed.
    #[error("line {line}: cannot be read")]
    Io {
        /// Counted from 1.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The line is not such a value.
    #[error("line {line}: {source}")]
    Json {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Writes values as lines, through a buffer of 256 KiB; a warm writer allocates nothing.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    line: Vec<u8>,
}

impl Writer<File> {
    /// Writes to a new file, or over an old one.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(Self::new)
    }
}

impl<W: Write> Writer<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out: BufWriter::with_capacity(1 << 18, out), line: Vec::with_capacity(1 << 10) }
    }

    /// Adds a line.
    ///
    /// # Errors
    ///
    /// What writing to `out` gives.
    pub fn write(&mut self, value: &impl Line) -> io::Result<()> {
        self.line.clear();
        value.push_json(&mut self.line);
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// Hands all lines to the system. Dropping a writer does that too, but cannot report a failure.
    ///
    /// # Errors
    ///
    /// What writing to `out` gives.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads values line by line; empty lines are passed over.
#[derive(Debug)]
pub struct Reader<R, T> {
    input: R,
    buffer: String,
    line: u64,
    cut: bool,
    values: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Reader<BufReader<File>, T> {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(BufReader::with_capacity(1 << 18, File::open(path)?)))
    }
}

impl<R: BufRead, T: DeserializeOwned> Reader<R, T> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, buffer: String::new(), line: 0, cut: false, values: PhantomData }
    }

    /// Whether the last line read was unfinished, and therefore left out.
    #[must_use]
    pub fn cut(&self) -> bool {
        self.cut
    }

    fn read(&mut self) -> Result<Option<T>, LineError> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let line = self.line;
            let read = self.input.read_line(&mut self.buffer);
            if read.map_err(|source| LineError::Io { line, source })? == 0 {
                return Ok(None);
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_str(&self.buffer) {
                Ok(value) => Ok(Some(value)),
                Err(_) if !self.buffer.ends_with('\n') => {
                    self.cut = true;
                    Ok(None)
                }
                Err(source) => Err(LineError::Json { line, source }),
            };
        }
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for Reader<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cut { None } else { self.read().transpose() }
    }
}
