//! Where an import comes from: unpacked by what it is, not by what it is called.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flate2::read::MultiGzDecoder;

use crate::ingest::body::{GZIP, ZSTD, ZSTD_WINDOW};
use crate::ingest::intake::IntakeError;
use crate::log::AppendError;
use crate::store::StoreError;

/// How much of the beginning tells what it is.
const LOOKED_AT: usize = 4096;

/// Why an import could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source breaks off or is not what it seems.
    #[error("it cannot be read on: {0}")]
    Read(io::Error),
    /// A list is not closed.
    #[error("it ends within a list, so that it may have been cut off; everything in it was read")]
    CutOff,
    /// A table.
    #[error(
        "it looks like CSV, which tells too little of an event to be kept as one; export the System Log as JSON instead \
         (GET /api/v1/logs)"
    )]
    Csv,
    /// Text of another encoding.
    #[error("it is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")]
    Utf16,
    /// More than is taken.
    #[error("it has more than {0} bytes, unpacked (limits.delivery_body_bytes)")]
    TooLarge(u64),
    /// The database is away.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The database is away, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// What stopped a read.
    pub(super) fn from_read(error: io::Error, limit: Option<u64>) -> Self {
        match limit {
            Some(limit) if error.kind() == io::ErrorKind::FileTooLarge => Self::TooLarge(limit),
            _ => Self::Read(error),
        }
    }

    /// Whether the same thing may work later.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Store(_))
    }
}

impl From<IntakeError> for ImportError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Append(error) => Self::Append(error),
            IntakeError::Store(error) => Self::Store(error),
        }
    }
}

/// How far an import is.
#[derive(Debug, Default)]
pub struct ImportProgress {
    bytes: AtomicU64,
    events: AtomicUsize,
}

impl ImportProgress {
    /// Bytes that were read of the sources, packed as they are.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Events of which it is known what became of them.
    pub fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    pub(super) fn add_events(&self, number: usize) {
        self.events.fetch_add(number, Ordering::Relaxed);
    }
}

/// A source, unpacked.
pub(super) struct Unpacked<'p, R: Read> {
    packing: Packing<Counted<'p, R>>,
    /// How many bytes it may still give.
    left: Option<u64>,
}

enum Packing<R: Read> {
    None(BufReader<R>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

impl<'p, R: Read> Unpacked<'p, R> {
    /// Looks at the beginning of a source, and finds out what it is.
    pub(super) fn open(source: R, progress: &'p ImportProgress, limit: Option<u64>) -> Result<Self, ImportError> {
        let mut source = BufReader::with_capacity(64 << 10, Counted { source, progress });
        let beginning = source.fill_buf().map_err(ImportError::Read)?;
        let packing = if beginning.starts_with(&GZIP) {
            Packing::Gzip(Box::new(MultiGzDecoder::new(source)))
        } else if beginning.starts_with(&ZSTD) {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(ImportError::Read)?;
            decoder.window_log_max(ZSTD_WINDOW).map_err(ImportError::Read)?;
            Packing::Zstd(Box::new(decoder))
        } else {
            check_beginning(beginning)?;
            Packing::None(source)
        };
        Ok(Self { packing, left: limit })
    }
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.packing {
            Packing::None(source) => source.read(buffer),
            Packing::Gzip(source) => source.read(buffer),
            Packing::Zstd(source) => source.read(buffer),
        }?;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(read)
    }
}

/// Refuses what is no JSON throughout, so that not every line of it is rejected.
pub(in crate::ingest) fn check_beginning(beginning: &[u8]) -> Result<(), ImportError> {
    let beginning = beginning.get(..LOOKED_AT).unwrap_or(beginning);
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

/// Counts what is read.
struct Counted<'p, R> {
    source: R,
    progress: &'p ImportProgress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.progress.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
