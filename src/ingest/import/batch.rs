//! The thread that reads: bytes to batches of events, each with its line.

use std::collections::BTreeMap;
use std::io::Read;

use tokio::sync::mpsc;

use super::source::{ImportError, Progress, Unpacked};
use crate::ingest::hook::APPEND_EVENTS;
use crate::ingest::record::{RecordReader, Sorted};
use crate::okta::{Record, Records};
use crate::store::{DeliveryRecord, NewEvent, Rejection};

/// How many bytes of events make a batch, if not their number.
const BATCH_BYTES: usize = 4 << 20;

/// The largest record: no event is so large, and few deliveries are.
pub(super) const RECORD_BYTES: usize = 16 << 20;

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
    pub(super) events: Vec<NewEvent>,
    /// For each event the line on which its record starts.
    pub(super) lines: Vec<u64>,
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// What is broken, with its line.
    pub(super) broken: Vec<(u64, Rejection)>,
    /// How many events of which type nobody wants.
    pub(super) dropped: BTreeMap<String, usize>,
    /// About how many bytes of records are in it, and how many records.
    bytes: usize,
    records: usize,
}

/// Reads a source to its end, or until nobody wants more.
pub(super) fn read_all<R: Read>(
    source: R,
    reader: RecordReader,
    progress: &Progress,
    limit: Option<u64>,
    batches: &mpsc::Sender<Message>,
) {
    let mut filling = Filling { reader, batch: Batch::default(), sorted: Sorted::default() };
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
    sorted: Sorted,
}

impl Filling {
    /// None where nobody wants more.
    fn read<R: Read>(
        &mut self,
        source: R,
        progress: &Progress,
        limit: Option<u64>,
        batches: &mpsc::Sender<Message>,
    ) -> Option<Result<(), ImportError>> {
        let mut source = match Unpacked::open(source, progress, limit) {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let mut records = Records::new(RECORD_BYTES);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // What has been cut off by the fault is no record of the stream's.
                    return Some(Err(ImportError::from_read(error, limit)));
                }
            };
            let mut is_wanted = true;
            records.feed(buffer.get(..read).unwrap_or_default(), &mut |record| {
                is_wanted = is_wanted && self.take(&record, batches).is_some();
            });
            if !is_wanted {
                return None;
            }
        }
        let mut is_wanted = true;
        let is_whole = records.finish(&mut |record| is_wanted = self.take(&record, batches).is_some());
        is_wanted.then(|| if is_whole { Ok(()) } else { Err(ImportError::CutOff) })
    }

    /// Adds a record to the batch, and sends that once it is full.
    fn take(&mut self, record: &Record<'_>, batches: &mpsc::Sender<Message>) -> Option<()> {
        let Self { reader, batch, sorted } = self;
        let size = match &record.content {
            Ok(json) => {
                reader.read(json, sorted);
                json.get().len()
            }
            Err(broken) => {
                sorted.broken.push(reader.rejection(broken.reason.clone(), broken.bytes));
                broken.bytes.len()
            }
        };
        batch.bytes += size;
        batch.records += 1;
        batch.events.append(&mut sorted.wanted);
        batch.lines.resize(batch.events.len(), record.line);
        batch.deliveries.append(&mut sorted.deliveries);
        batch.broken.extend(sorted.broken.drain(..).map(|rejection| (record.line, rejection)));
        for name in sorted.dropped.drain(..) {
            *batch.dropped.entry(name).or_default() += 1;
        }
        let is_full =
            batch.records >= APPEND_EVENTS || batch.events.len() >= APPEND_EVENTS || batch.bytes >= BATCH_BYTES;
        if is_full { self.send(batches) } else { Some(()) }
    }

    fn send(&mut self, batches: &mpsc::Sender<Message>) -> Option<()> {
        batches.blocking_send(Message::Batch(std::mem::take(&mut self.batch))).ok()
    }
}
