//! Import of events from files and streams, in constant memory and in batches.

mod batch;
mod source;

pub(super) use batch::RECORD_BYTES;
#[cfg(any(test, fuzzing))]
pub(super) use batch::sort_source;
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
use crate::ledger::RecordPlace;
use batch::{Batch, Message};

/// The number of batches that are appended at the same time: while one is committed, the next is sent.
const BATCHES_IN_FLIGHT: usize = 2;

/// The number of rejections that a report lists.
const LISTED_REJECTIONS: usize = 50;

/// The number of event types that a report counts separately.
const COUNTED_TYPES: usize = 100;

/// The options of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name of the file, for the rejections; None for a request body.
    pub file: Option<String>,
    /// The maximum number of bytes, decompressed.
    pub limit: Option<u64>,
    /// Stops the import after the batches in flight.
    pub stop: CancellationToken,
    /// The counters that the import updates.
    pub progress: Arc<ImportProgress>,
}

/// The result of an import.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ImportReport {
    /// The numbers of events by result.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// The number of dropped events of each type: the first hundred types, and the others under `…`.
    #[serde(rename = "droppedTypes")]
    pub dropped_types: BTreeMap<String, usize>,
    /// The first rejections.
    pub rejections: Vec<RejectedLine>,
}

/// A rejected record of a stream.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RejectedLine {
    /// The line on which the record starts, counted from 1.
    pub line: u64,
    /// The reason for the rejection.
    pub reason: String,
}

/// The end of an import. Events that were read before the end are stored in each case.
#[derive(Debug)]
pub enum ImportEnd {
    /// The stream was read to its end.
    Complete,
    /// The import was stopped; importing the same stream again continues it.
    Stopped,
    /// The import failed.
    Failed(ImportError),
}

impl Intake {
    /// Reads a stream to its end and appends its events. Events that the log has already are only counted, so the same
    /// stream may be imported again, or by several gateways at once.
    pub async fn import<R>(&self, org: &str, source: R, options: ImportOptions) -> (ImportReport, ImportEnd)
    where
        R: Read + Send + 'static,
    {
        let reader = self.record_reader(org, IngestSource::Import);
        let (batches, read) = mpsc::channel(1);
        let (progress, limit) = (Arc::clone(&options.progress), options.limit);
        // A thread and not a task, since a thread that waits for standard input must not delay the end of the process.
        let started = std::thread::Builder::new()
            .name("import".to_owned())
            .spawn(move || batch::read_all(source, reader, &progress, limit, &batches));
        if let Err(error) = started {
            return (ImportReport::default(), ImportEnd::Failed(ImportError::Read(error)));
        }
        let expects_duplicates = AtomicBool::new(true);
        let stop = options.stop.child_token();
        let (expects_duplicates, options) = (&expects_duplicates, &options);
        let taken = ReceiverStream::new(read)
            .take_until(stop.cancelled())
            .map(|message| async move {
                match message {
                    Message::Batch(batch) => self.take_batch(org, batch, expects_duplicates, options).await.map(Some),
                    Message::End(end) => end.map(|()| None),
                }
            })
            .buffered(BATCHES_IN_FLIGHT);
        let mut taken = std::pin::pin!(taken);
        let mut report = ImportReport::default();
        loop {
            match taken.next().await {
                Some(Ok(Some(more))) => report.add(more),
                Some(Ok(None)) => return (report, ImportEnd::Complete),
                Some(Err(error)) => {
                    // The other batch in flight may be committed or not; either way its events are stored at most once.
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

    /// Appends a batch and reports the results of its events.
    async fn take_batch(
        &self,
        org: &str,
        batch: Batch,
        expects_duplicates: &AtomicBool,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        let Batch { mut sorted, mut lines, rejected_lines, .. } = batch;
        let mut report = ImportReport { dropped_types: sorted.dropped.clone(), ..ImportReport::default() };
        for (line, rejection) in rejected_lines.into_iter().zip(&mut sorted.rejected) {
            report.add_rejection(line, || rejection.reason.clone());
            rejection.place = Some(RecordPlace { file: options.file.clone(), line });
        }
        let before = sorted.events.len();
        if expects_duplicates.load(Ordering::Relaxed) && before > 0 {
            let uuids: Vec<Uuid> = sorted.events.iter().map(|new| new.event.occurrence.uuid).collect();
            let known = self.retry_unavailable(|| self.ledger().imported(org, &uuids)).await?;
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
            report.add_rejection(lines.get(place).copied().unwrap_or_default(), || reason);
        }
        report.receipt = taken.receipt;
        // Searching for duplicates costs part of an append, and pays only if the last batch had some.
        expects_duplicates.store(report.receipt.duplicates > 0, Ordering::Relaxed);
        options.progress.add_events(report.receipt.total());
        Ok(report)
    }
}

impl ImportReport {
    /// Adds the report of a later batch of the same stream.
    fn add(&mut self, more: Self) {
        self.receipt += more.receipt;
        for (name, number) in more.dropped_types {
            let is_counted = self.dropped_types.contains_key(&name) || self.dropped_types.len() < COUNTED_TYPES;
            *self.dropped_types.entry(if is_counted { name } else { "…".to_owned() }).or_default() += number;
        }
        let room = LISTED_REJECTIONS.saturating_sub(self.rejections.len());
        self.rejections.extend(more.rejections.into_iter().take(room));
    }

    /// Lists a rejection, unless the list is full.
    fn add_rejection(&mut self, line: u64, reason: impl FnOnce() -> String) {
        if self.rejections.len() < LISTED_REJECTIONS {
            self.rejections.push(RejectedLine { line, reason: reason() });
        }
    }
}
