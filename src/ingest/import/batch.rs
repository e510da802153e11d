//! The thread that reads: bytes to batches of events, each with its line.

use std::io::Read;

use tokio::sync::mpsc;

use super::source::{ImportError, ImportProgress, Unpacked};
use crate::ingest::intake::APPEND_EVENTS;
use crate::ingest::sorted::{RecordReader, Sorted};
use crate::okta::{Record, Records, read_records};

/// How many bytes of events make a batch, if not their number.
const BATCH_BYTES: usize = 4 << 20;

/// The largest record: no event is so large, and few deliveries are.
pub(in crate::ingest) const RECORD_BYTES: usize = 16 << 20;

/// How many bytes are read at once.
const READ_BYTES: usize = 256 << 10;

/// What the thread tells.
pub(super) enum Message {
    /// Some events.
    Batch(Batch),
    /// There are no more.
    End(Result<(), ImportError>),
}

/// Events that are appended together, and what else was read with them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sorted: Sorted,
    /// The line on which each event's record starts.
    pub(super) lines: Vec<u64>,
    /// The line on which each rejection's record starts.
    pub(super) rejected_lines: Vec<u64>,
    /// About how many bytes of records are in it, and how many records.
    bytes: usize,
    records: usize,
}

/// Reads a source to its end, or until nobody wants more.
pub(super) fn read_all<R: Read>(
    source: R,
    reader: RecordReader,
    progress: &ImportProgress,
    limit: Option<u64>,
    batches: &mpsc::Sender<Message>,
) {
    let mut filling = Filling { reader, batch: Batch::default() };
    let end = filling.read(source, progress, limit, batches);
    if let Some(end) = end
        && (filling.batch.records == 0 || filling.send(batches).is_some())
    {
        // Whoever stopped needs no end.
        _ = batches.blocking_send(Message::End(end));
    }
}

struct Filling {
    reader: RecordReader,
    batch: Batch,
}

impl Filling {
    /// None where nobody wants more.
    fn read<R: Read>(
        &mut self,
        source: R,
        progress: &ImportProgress,
        limit: Option<u64>,
        batches: &mpsc::Sender<Message>,
    ) -> Option<Result<(), ImportError>> {
        let mut source = match Unpacked::open(source, progress, limit) {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let mut buffer = vec![0; READ_BYTES];
        let mut is_wanted = true;
        let (first, mut end) = fill(&mut source, &mut buffer);
        // A source that fits into the buffer is read as a whole, like the body of a request.
        if let Some(Ok(())) = end {
            let is_whole = read_records(buffer.get(..first).unwrap_or_default(), RECORD_BYTES, &mut |record| {
                is_wanted = is_wanted && self.take(&record, batches).is_some();
            });
            return is_wanted.then(|| if is_whole { Ok(()) } else { Err(ImportError::CutOff) });
        }
        let mut records = Records::new(RECORD_BYTES);
        let mut read = first;
        loop {
            records.feed(buffer.get(..read).unwrap_or_default(), &mut |record| {
                is_wanted = is_wanted && self.take(&record, batches).is_some();
            });
            match end {
                _ if !is_wanted => return None,
                None => (read, end) = fill(&mut source, &mut buffer),
                Some(Ok(())) => break,
                // The record that the fault cut off is not rejected: the stream still has all of it.
                Some(Err(error)) => return Some(Err(ImportError::from_read(error, limit))),
            }
        }
        let is_whole = records.finish(&mut |record| is_wanted = self.take(&record, batches).is_some());
        is_wanted.then(|| if is_whole { Ok(()) } else { Err(ImportError::CutOff) })
    }

    /// Adds a record to the batch, and sends that once it is full.
    fn take(&mut self, record: &Record<'_>, batches: &mpsc::Sender<Message>) -> Option<()> {
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

/// Reads until the buffer is full; returns how much was read, and how the source ended where it did.
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
