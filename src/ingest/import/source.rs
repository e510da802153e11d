//! The sources of imports, decompressed according to their content and not to their file names.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flate2::read::MultiGzDecoder;

use crate::ingest::body::{GZIP, ZSTD, ZSTD_WINDOW};
use crate::ingest::intake::IntakeError;
use crate::store::StoreError;

/// The number of bytes that are examined to detect the format.
const EXAMINED: usize = 4096;

/// The reason why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read to its end, or is not in the format with which it begins.
    #[error("it cannot be read on: {0}")]
    Read(io::Error),
    /// The stream ends within a list.
    #[error("it ends within a list and may have been cut off; everything in it was read")]
    CutOff,
    /// The stream is CSV.
    #[error(
        "it looks like CSV, which holds only part of an event; export the System Log as JSON instead (GET /api/v1/logs)"
    )]
    Csv,
    /// The stream is UTF-16.
    #[error("it is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")]
    Utf16,
    /// The stream is larger than the limit.
    #[error("it has more than {0} bytes, decompressed (limits.delivery_body_bytes)")]
    TooLarge(u64),
    /// The events could not be appended.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The database is unavailable or returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// Converts a read error; an excess of the limit is reported by a kind of its own.
    pub(super) fn from_read(error: io::Error, limit: Option<u64>) -> Self {
        match limit {
            Some(limit) if error.kind() == io::ErrorKind::FileTooLarge => Self::TooLarge(limit),
            _ => Self::Read(error),
        }
    }

    /// Returns true if a retry may succeed.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Intake(_) | Self::Store(_))
    }
}

/// The progress of an import.
#[derive(Debug, Default)]
pub struct ImportProgress {
    bytes: AtomicU64,
    events: AtomicUsize,
}

impl ImportProgress {
    /// Returns the number of bytes that were read from the source, before decompression.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of events that were handled.
    pub fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    pub(super) fn add_events(&self, number: usize) {
        self.events.fetch_add(number, Ordering::Relaxed);
    }
}

/// A source, decompressed.
pub(super) struct Decompressed<'p, R: Read> {
    decoder: Decoder<CountingReader<'p, R>>,
    /// The number of bytes until the limit.
    left: Option<u64>,
}

enum Decoder<R: Read> {
    None(BufReader<R>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

impl<'p, R: Read> Decompressed<'p, R> {
    /// Opens a source, whose first bytes decide how it is decompressed.
    pub(super) fn open(source: R, progress: &'p ImportProgress, limit: Option<u64>) -> Result<Self, ImportError> {
        let mut source = BufReader::with_capacity(64 << 10, CountingReader { source, progress });
        let beginning = source.fill_buf().map_err(ImportError::Read)?;
        let decoder = if beginning.starts_with(&GZIP) {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(source)))
        } else if beginning.starts_with(&ZSTD) {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(ImportError::Read)?;
            decoder.window_log_max(ZSTD_WINDOW).map_err(ImportError::Read)?;
            Decoder::Zstd(Box::new(decoder))
        } else {
            check_beginning(beginning)?;
            Decoder::None(source)
        };
        Ok(Self { decoder, left: limit })
    }
}

impl<R: Read> Read for Decompressed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::None(source) => source.read(buffer),
            Decoder::Gzip(source) => source.read(buffer),
            Decoder::Zstd(source) => source.read(buffer),
        }?;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(read)
    }
}

/// Rejects a source that cannot be JSON as a whole, instead of each of its lines.
pub(in crate::ingest) fn check_beginning(beginning: &[u8]) -> Result<(), ImportError> {
    let beginning = beginning.get(..EXAMINED).unwrap_or(beginning);
    if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        return Err(ImportError::Utf16);
    }
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let heading = text.split(|byte| *byte == b'\n').next().unwrap_or_default().to_ascii_lowercase();
    let heading = String::from_utf8_lossy(&heading).replace(['"', ' ', '_', '.', '-'], "");
    let names: Vec<_> = heading.split([',', ';', '\t']).map(str::trim).collect();
    let knows = |name: &str| names.contains(&name);
    let is_heading = names.len() > 2 && (knows("eventtype") || knows("displaymessage") || knows("uuid"));
    if is_heading && !text.starts_with(b"{") && !text.starts_with(b"[") { Err(ImportError::Csv) } else { Ok(()) }
}

/// A reader that counts bytes in the progress of an import.
struct CountingReader<'p, R> {
    source: R,
    progress: &'p ImportProgress,
}

impl<R: Read> Read for CountingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.progress.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
