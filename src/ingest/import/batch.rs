//! The import's reader thread, which turns bytes into batches of events with their lines.

use std::io::Read;

use tokio::sync::mpsc;

use super::source::{Decompressed, ImportError, ImportProgress};
use crate::ingest::intake::APPEND_EVENTS;
use crate::ingest::sorted::{RecordReader, SortedRecords};
use crate::okta::{Record, Records, read_records};

/// The size of a batch in bytes, unless [`APPEND_EVENTS`] fills it first.
const BATCH_BYTES: usize = 4 << 20;

/// The maximum size of a record, which no event and few deliveries reach.
pub(in crate::ingest) const RECORD_BYTES: usize = 16 << 20;

/// The size of one read in bytes.
const READ_BYTES: usize = 256 << 10;

/// A message of the reader thread.
pub(super) enum Message {
    /// A batch of events.
    Batch(Batch),
    /// The end of the stream.
    End(Result<(), ImportError>),
}

/// Events that are appended together, with the other records among them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sorted: SortedRecords,
    /// The line on which each event's record starts.
    pub(super) lines: Vec<u64>,
    /// The line on which each rejection's record starts.
    pub(super) rejected_lines: Vec<u64>,
    /// The approximate size of the records in bytes.
    bytes: usize,
    /// The number of the records.
    records: usize,
}

/// Reads a source to its end, or until the receiver of the batches is gone.
pub(super) fn read_all<R: Read>(
    source: R,
    reader: RecordReader,
    progress: &ImportProgress,
    limit: Option<u64>,
    batches: &mpsc::Sender<Message>,
) {
    let mut reader = BatchReader { reader, batch: Batch::default() };
    let end = reader.read(source, progress, limit, batches);
    if let Some(end) = end
        && (reader.batch.records == 0 || reader.send(batches).is_some())
    {
        // A receiver that is gone has stopped the import.
        _ = batches.blocking_send(Message::End(end));
    }
}

/// Returns the records of a small source, sorted, for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(in crate::ingest) fn sort_source(source: &[u8], reader: RecordReader, limit: u64) -> Vec<SortedRecords> {
    let (sender, mut batches) = mpsc::channel(1000);
    read_all(source, reader, &ImportProgress::default(), Some(limit), &sender);
    let messages = std::iter::from_fn(|| batches.try_recv().ok());
    messages.filter_map(|message| if let Message::Batch(batch) = message { Some(batch.sorted) } else { None }).collect()
}

/// A reader of a source that fills one batch after the other.
struct BatchReader {
    reader: RecordReader,
    batch: Batch,
}

impl BatchReader {
    /// Reads a source. Returns None if the receiver of the batches is gone.
    fn read<R: Read>(
        &mut self,
        source: R,
        progress: &ImportProgress,
        limit: Option<u64>,
        batches: &mpsc::Sender<Message>,
    ) -> Option<Result<(), ImportError>> {
        let mut source = match Decompressed::open(source, progress, limit) {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let mut buffer = vec![0; READ_BYTES];
        let mut is_wanted = true;
        let (first, mut end) = fill(&mut source, &mut buffer);
        // A source that fits into the buffer is parsed as a whole, like a request body.
        if let Some(Ok(())) = end {
            let is_whole = read_records(buffer.get(..first).unwrap_or_default(), RECORD_BYTES, &mut |record| {
                is_wanted = is_wanted && self.add(&record, batches).is_some();
            });
            return is_wanted.then(|| if is_whole { Ok(()) } else { Err(ImportError::CutOff) });
        }
        let mut records = Records::new(RECORD_BYTES);
        let mut read = first;
        loop {
            records.feed(buffer.get(..read).unwrap_or_default(), &mut |record| {
                is_wanted = is_wanted && self.add(&record, batches).is_some();
            });
            match end {
                _ if !is_wanted => return None,
                None => (read, end) = fill(&mut source, &mut buffer),
                Some(Ok(())) => break,
                // A record that a read error cuts off is not rejected, since the next import may read all of it.
                Some(Err(error)) => return Some(Err(ImportError::from_read(error, limit))),
            }
        }
        let is_whole = records.finish(&mut |record| is_wanted = self.add(&record, batches).is_some());
        is_wanted.then(|| if is_whole { Ok(()) } else { Err(ImportError::CutOff) })
    }

    /// Adds a record to the batch, which is sent once it is full.
    fn add(&mut self, record: &Record<'_>, batches: &mpsc::Sender<Message>) -> Option<()> {
        let Self { reader, batch } = self;
        reader.read_record(record, &mut batch.sorted);
        batch.bytes += match &record.content {
            Ok(json) => json.as_bytes().len(),
            Err(broken) => broken.bytes.len(),
        };
        batch.records += 1;
        batch.lines.resize(batch.sorted.events.len(), record.line);
        batch.rejected_lines.resize(batch.sorted.rejected.len(), record.line);
        let is_full =
            batch.records >= APPEND_EVENTS || batch.sorted.events.len() >= APPEND_EVENTS || batch.bytes >= BATCH_BYTES;
        if is_full { self.send(batches) } else { Some(()) }
    }

    fn send(&mut self, batches: &mpsc::Sender<Message>) -> Option<()> {
        batches.blocking_send(Message::Batch(std::mem::take(&mut self.batch))).ok()
    }
}

/// Reads until the buffer is full or the source ends. Returns the number of bytes, and the source's end or error, if
/// any.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> (usize, Option<std::io::Result<()>>) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room) {
            Ok(0) => return (filled, Some(Ok(()))),
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(Err(error))),
        }
    }
    (filled, None)
}
