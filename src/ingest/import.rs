//! Import: history out of files and streams, read in constant memory and appended in batches.

mod batch;
mod source;

pub(super) use batch::RECORD_BYTES;
pub(super) use source::check_beginning;
pub use source::{ImportError, ImportProgress};

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::intake::{Intake, Receipt};
use super::sorted::EventPlaces;
use crate::event::IngestSource;
use crate::store::RecordPlace;
use batch::{Batch, Message};

/// How many batches are on their way at once: while one is committed, the next is sent.
const ON_THEIR_WAY: usize = 2;

/// How many rejections a report tells one by one.
const TOLD_REJECTIONS: usize = 50;

/// How many event types a report counts apart.
const COUNTED_TYPES: usize = 100;

/// How an import is done.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name of the file, for what is rejected; None for a body of a request.
    pub file: Option<String>,
    /// At most how many bytes are taken, unpacked.
    pub limit: Option<u64>,
    /// Ends it after what is on its way.
    pub stop: CancellationToken,
    /// How far it is.
    pub progress: Arc<ImportProgress>,
}

/// What became of an import.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ImportReport {
    /// What became of the events.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// How many of those that were dropped were of which type; the first hundred types, the others under `…`.
    #[serde(rename = "droppedTypes")]
    pub dropped_types: BTreeMap<String, usize>,
    /// The first of what was rejected.
    pub rejections: Vec<RejectedLine>,
}

/// Something in a stream that was rejected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RejectedLine {
    /// The line on which its record starts, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// How an import ended, with what became of what was read until then.
#[derive(Debug)]
pub enum ImportEnd {
    /// Everything was read.
    Complete,
    /// It was stopped. What was read is stored; started again, it goes on.
    Stopped,
    /// It could not go on. What was read before is stored.
    Failed(ImportError),
}

impl Intake {
    /// Reads a stream to its end and appends every event in it. Events that are there already are counted, so that the
    /// same stream may be imported again, or by several at once.
    pub async fn import<R>(&self, org: &str, source: R, options: ImportOptions) -> (ImportReport, ImportEnd)
    where
        R: Read + Send + 'static,
    {
        let reader = self.record_reader(org, IngestSource::Import);
        let (batches, read) = mpsc::channel(1);
        let (progress, limit) = (Arc::clone(&options.progress), options.limit);
        // A thread and no task: one that waits for standard input must not hold up the end of the process.
        let started = std::thread::Builder::new()
            .name("import".to_owned())
            .spawn(move || batch::read_all(source, reader, &progress, limit, &batches));
        if let Err(error) = started {
            return (ImportReport::default(), ImportEnd::Failed(ImportError::Read(error)));
        }
        let may_be_known = AtomicBool::new(true);
        let stop = options.stop.child_token();
        let (may_be_known, options) = (&may_be_known, &options);
        let taken = ReceiverStream::new(read)
            .take_until(stop.cancelled())
            .map(|message| async move {
                match message {
                    Message::Batch(batch) => self.take_batch(org, batch, may_be_known, options).await.map(Some),
                    Message::End(end) => end.map(|()| None),
                }
            })
            .buffered(ON_THEIR_WAY);
        let mut taken = std::pin::pin!(taken);
        let mut report = ImportReport::default();
        loop {
            match taken.next().await {
                Some(Ok(Some(more))) => report.add(more),
                Some(Ok(None)) => return (report, ImportEnd::Complete),
                Some(Err(error)) => {
                    // What was sent along with it is committed or not: either way it is there once.
                    stop.cancel();
                    while let Some(also) = taken.next().await {
                        if let Ok(Some(more)) = also {
                            report.add(more);
                        }
                    }
                    return (report, ImportEnd::Failed(error));
                }
                None => return (report, ImportEnd::Stopped),
            }
        }
    }

    /// Takes in a batch, and reports what became of it.
    async fn take_batch(
        &self,
        org: &str,
        batch: Batch,
        may_be_known: &AtomicBool,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        let Batch { mut sorted, mut lines, rejected_lines, .. } = batch;
        let mut report = ImportReport { dropped_types: sorted.dropped.clone(), ..ImportReport::default() };
        for (line, rejection) in rejected_lines.into_iter().zip(&mut sorted.rejected) {
            report.tell(line, || rejection.reason.clone());
            rejection.place = Some(RecordPlace { file: options.file.clone(), line });
        }
        let before = sorted.events.len();
        if may_be_known.load(Ordering::Relaxed) && before > 0 {
            let uuids: Vec<Uuid> = sorted.events.iter().map(|new| new.event.occurrence.uuid).collect();
            let known = self.patiently(|| self.ledger().imported(org, &uuids)).await?;
            let is_new: Vec<bool> = uuids.iter().map(|uuid| !known.contains(uuid)).collect();
            let mut of_events = is_new.iter();
            sorted.events.retain(|_| of_events.next().copied().unwrap_or(true));
            let mut of_lines = is_new.iter();
            lines.retain(|_| of_lines.next().copied().unwrap_or(true));
            sorted.known = before - sorted.events.len();
        }
        sorted.places = EventPlaces { file: options.file.clone(), lines: lines.clone() };
        let taken = self.take(org, IngestSource::Import, sorted, None).await?;
        for (place, reason) in taken.refused {
            report.tell(lines.get(place).copied().unwrap_or_default(), || reason);
        }
        report.receipt = taken.receipt;
        // To ask costs what an append costs in part: worth it only where something was found a moment ago.
        may_be_known.store(report.receipt.duplicates > 0, Ordering::Relaxed);
        options.progress.add_events(report.receipt.total());
        Ok(report)
    }
}

impl ImportReport {
    /// Adds what became of more of the same stream.
    fn add(&mut self, more: Self) {
        self.receipt += more.receipt;
        for (name, number) in more.dropped_types {
            let is_counted = self.dropped_types.contains_key(&name) || self.dropped_types.len() < COUNTED_TYPES;
            *self.dropped_types.entry(if is_counted { name } else { "…".to_owned() }).or_default() += number;
        }
        let room = TOLD_REJECTIONS.saturating_sub(self.rejections.len());
        self.rejections.extend(more.rejections.into_iter().take(room));
    }

    /// Tells of something that was rejected, unless much was told already.
    fn tell(&mut self, line: u64, reason: impl FnOnce() -> String) {
        if self.rejections.len() < TOLD_REJECTIONS {
            self.rejections.push(RejectedLine { line, reason: reason() });
        }
    }
}
