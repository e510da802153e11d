//! The writer: takes what waits, commits it as one, answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::LogOptions;
use super::group::Group;
use super::months::Months;
use crate::event::{IngestSource, Position};
use crate::store::{DeliveryRecord, NewEvent, Store, StoreError};

/// Events that come together.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The way by which they come.
    pub source: IngestSource,
    /// The events.
    pub events: Vec<NewEvent>,
    /// The deliveries that bring them.
    pub deliveries: Vec<DeliveryRecord>,
}

impl AppendRequest {
    pub(super) fn size(&self) -> usize {
        self.events.iter().map(|new| 2 * new.event.raw.len() + size_of::<NewEvent>()).sum()
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, since now, and there for good.
    Stored(Position),
    /// It was there already.
    Duplicate(Position),
    /// The database refuses it, whatever is done.
    Refused {
        /// What it says.
        reason: String,
        /// The event's JSON.
        raw: String,
    },
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AppendError {
    /// The database is away.
    #[error("the database is not available; send the events again")]
    Unavailable,
    /// The gateway stops.
    #[error("the gateway is stopping; send the events again")]
    Closed,
}

pub(super) struct Waiting {
    pub(super) request: AppendRequest,
    pub(super) reply: oneshot::Sender<Result<Vec<Outcome>, AppendError>>,
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    store: Store,
    months: Arc<Months>,
    head: watch::Sender<Position>,
    options: LogOptions,
}

/// The inbox that writers share, and the request that did not fit a writer's group.
type Inbox = Mutex<mpsc::Receiver<Waiting>>;

impl Writer {
    pub(super) fn new(store: Store, months: Arc<Months>, head: watch::Sender<Position>, options: LogOptions) -> Self {
        Self { store, months, head, options }
    }

    pub(super) async fn run(self, inbox: Arc<Inbox>) {
        let mut left_over = None;
        while let Some(group) = self.next_group(&inbox, &mut left_over).await {
            self.commit(group).await;
        }
    }

    /// What waits, as far as it can share a commit. None when nobody appends any more.
    async fn next_group(&self, inbox: &Inbox, left_over: &mut Option<Waiting>) -> Option<Group> {
        let mut inbox = inbox.lock().await;
        let first = match left_over.take() {
            Some(waiting) => waiting,
            None => inbox.recv().await?,
        };
        let mut group = Group::new(first.request.source);
        group.add(first);
        while group.events.len() < self.options.group_events
            && let Ok(waiting) = inbox.try_recv()
        {
            if waiting.request.source != group.source {
                *left_over = Some(waiting);
                break;
            }
            group.add(waiting);
        }
        Some(group)
    }

    async fn commit(&self, group: Group) {
        metrics::histogram!("sluice_commit_events").record(u32::try_from(group.events.len()).unwrap_or(u32::MAX));
        let outcomes = match self.append(group.source, &group.events, &group.deliveries).await {
            Err(StoreError::Data(error)) => {
                tracing::warn!(%error, "the database refuses an event; appending one by one");
                self.append_one_by_one(&group).await
            }
            other => other,
        };
        match outcomes {
            Ok(outcomes) => {
                let newest = outcomes.iter().filter_map(|outcome| match outcome {
                    Outcome::Stored(position) => Some(*position),
                    _ => None,
                });
                if let Some(newest) = newest.max() {
                    self.head.send_if_modified(|head| std::mem::replace(head, newest.max(*head)) < newest);
                }
                group.answer(&outcomes);
            }
            Err(error) => {
                metrics::counter!("sluice_append_failures_total").increment(1);
                tracing::error!(%error, events = group.events.len(), "could not append");
                group.refuse();
            }
        }
    }

    async fn append_one_by_one(&self, group: &Group) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(group.events.len());
        for event in &group.events {
            match self.append(group.source, std::slice::from_ref(event), &group.deliveries).await {
                Ok(outcome) => outcomes.extend(outcome),
                Err(StoreError::Data(error)) => {
                    let reason = format!("the database refuses it: {error}");
                    outcomes.push(Outcome::Refused { reason, raw: event.event.raw.clone() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    /// Appends, and tries again while the database is away: to append twice stores once.
    async fn append(
        &self,
        source: IngestSource,
        events: &[NewEvent],
        deliveries: &[DeliveryRecord],
    ) -> Result<Vec<Outcome>, StoreError> {
        let deadline = Instant::now() + self.options.retry_for;
        let mut pause = Duration::from_millis(10);
        loop {
            let error = match self.append_once(source, events, deliveries).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(error) => error,
            };
            match error {
                StoreError::NoPartition(_) => self.months.forget(),
                StoreError::Unavailable(_) => {}
                error => return Err(error),
            }
            if Instant::now() + pause > deadline {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn append_once(
        &self,
        source: IngestSource,
        events: &[NewEvent],
        deliveries: &[DeliveryRecord],
    ) -> Result<Vec<Outcome>, StoreError> {
        self.months.make(events.iter().map(|new| new.event.occurrence.published)).await?;
        let appended = self.store.append(source, events, deliveries).await?;
        Ok(appended.into_iter().map(Outcome::from).collect())
    }
}
