//! The log on top of the store: appends in order, reads through a [`View`], and the log's end.

mod amend;
mod append_queue;
mod append_request;
mod ends;
mod gateways;
mod group;
mod ingestion;
mod matching;
mod monthly_partitions;
mod options;
mod resume;
mod single_flight;
mod view;
mod writer;

pub use append_request::{AppendError, AppendOutcome, AppendRequest};
pub use ends::Commit;
pub use matching::MatchingEvents;
pub use options::LogOptions;
pub use resume::ResumeError;
pub use view::View;

use std::sync::Arc;

use tokio::sync::{broadcast, oneshot, watch};

use crate::event::Position;
#[cfg(any(test, fuzzing))]
use crate::store::StoreOptions;
use crate::store::{CursorMove, LogEnds, NewEvent, Store, StoreError};
use append_queue::AppendSender;
use append_request::QueuedRequest;
use ends::Ends;
use single_flight::SingleFlight;
use writer::{Writer, WriterRole};

/// The log. Clones share it and are cheap: each view has one.
#[derive(Clone, Debug)]
pub struct Log(Arc<LogState>);

#[derive(Debug)]
struct LogState {
    store: Store,
    queue: AppendSender,
    ends: Ends,
    /// The single flight of reads of the log's end in the database.
    stored_ends: SingleFlight<Arc<LogEnds>>,
}

impl Log {
    /// Opens the log of a database. Its writers end when all clones are dropped.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(store: Store, options: &LogOptions) -> Result<Self, StoreError> {
        let (sender, queue) = append_queue::open(options.waiting_bytes);
        let queue = Arc::new(queue);
        // The check comes before the first read: a restored log returns nothing until it has begun a new era.
        store.check_era().await?;
        let ends = Ends::new(store.head().await?);
        let months = Arc::new(monthly_partitions::MonthlyPartitions::new(store.clone()));
        months.make_ahead().await?;
        let writer = || Writer::new(store.appender(), Arc::clone(&months), ends.clone(), options.clone());
        tokio::spawn(writer().run(WriterRole::Primary, Arc::clone(&queue)));
        tokio::spawn(writer().run(WriterRole::Second, queue));
        tokio::spawn(ends::notify_gateways(store.head_notifier(), ends.head()));
        Ok(Self(Arc::new(LogState { store, queue: sender, ends, stored_ends: SingleFlight::default() })))
    }

    /// Appends events. Returns the outcome of each event, in order, after the commit.
    ///
    /// # Errors
    /// The database is unavailable. The events were not stored, or perhaps all were if the connection failed; the
    /// caller must retry.
    pub async fn append(&self, request: AppendRequest) -> Result<Vec<AppendOutcome>, AppendError> {
        if request.events.is_empty() {
            return Ok(Vec::new());
        }
        self.enqueue(request, None).await
    }

    /// Appends the events of a page of a System Log and moves the log's cursor in the same transaction. If the database
    /// refuses an event of the page, the cursor stays; the caller rejects that event, then moves the cursor by appending no
    /// events.
    ///
    /// # Errors
    /// The database is unavailable, or another gateway has moved the cursor; the caller must read the cursor again.
    pub async fn append_page(
        &self,
        request: AppendRequest,
        cursor: CursorMove,
    ) -> Result<Vec<AppendOutcome>, AppendError> {
        if request.events.is_empty() {
            return match self.0.store.ledger().move_cursor(&cursor).await {
                Ok(()) => Ok(Vec::new()),
                Err(StoreError::CursorMoved) => Err(AppendError::CursorMoved),
                Err(error) => {
                    if !error.is_logged() {
                        tracing::warn!(%error, "could not move the cursor of a System Log");
                    }
                    Err(AppendError::Unavailable)
                }
            };
        }
        self.enqueue(request, Some(cursor)).await
    }

    async fn enqueue(
        &self,
        request: AppendRequest,
        cursor: Option<CursorMove>,
    ) -> Result<Vec<AppendOutcome>, AppendError> {
        request.events.iter().for_each(NewEvent::prepare);
        let permit = self.0.queue.permit(request.events.len(), request.size()).await?;
        let (reply, outcomes) = oneshot::channel();
        let queued = QueuedRequest { request, cursor, reply, _permit: permit };
        self.0.queue.send(queued).await?;
        outcomes.await.map_err(|_| AppendError::Closed)?
    }

    /// Returns the newest position that this gateway knows; the database may be ahead.
    pub fn known_head(&self) -> watch::Receiver<Position> {
        self.0.ends.head()
    }

    /// Returns the commits of this gateway from now on, approximately in the order of the log. They are only hints: a
    /// slow receiver misses some, and other gateways append too.
    pub fn commits(&self) -> broadcast::Receiver<Commit> {
        self.0.ends.commits()
    }

    /// Creates a log without a database, for tests that neither append nor read.
    #[cfg(any(test, fuzzing))]
    #[expect(clippy::unwrap_used, reason = "the URL is valid")]
    pub(crate) fn without_database() -> Self {
        let store = Store::new(&StoreOptions::new("postgres://nobody@127.0.0.1:1/nothing")).unwrap();
        let (queue, _) = append_queue::open(1);
        Self(Arc::new(LogState {
            store,
            queue,
            ends: Ends::new(Position::START),
            stored_ends: SingleFlight::default(),
        }))
    }
}
