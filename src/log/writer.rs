//! The writer, which takes requests from the queue, appends them in one commit, and replies.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::append_queue::{AppendQueue, QueueGuard};
use super::append_request::{AppendError, QueuedRequest};
use super::ends::Ends;
use super::group::{AppendResult, Group};
use super::monthly_partitions::MonthlyPartitions;
use super::options::LogOptions;
use crate::backoff::Backoff;
use crate::store::{Appended, Appender, CursorMove, NewEvent, StoreError};

/// The role of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriterRole {
    /// The writer that takes all requests.
    Primary,
    /// The writer that takes requests while the primary has too many.
    Second,
}

pub(super) struct Writer {
    appender: Appender,
    months: Arc<MonthlyPartitions>,
    ends: Ends,
    options: LogOptions,
}

impl Writer {
    pub(super) fn new(appender: Appender, months: Arc<MonthlyPartitions>, ends: Ends, options: LogOptions) -> Self {
        Self { appender, months, ends, options }
    }

    /// Appends until the queue is closed.
    pub(super) async fn run(mut self, role: WriterRole, queue: Arc<AppendQueue>) {
        loop {
            let next = match role {
                WriterRole::Primary => queue.next().await,
                WriterRole::Second => queue.next_for_second().await,
            };
            let Some((first, guard)) = next else { return };
            let group = self.group(first, guard);
            match role {
                WriterRole::Primary => queue.while_busy(self.commit(group)).await,
                WriterRole::Second => self.commit(group).await,
            }
        }
    }

    /// Collects the queued requests that can share a commit with the first one.
    fn group(&self, first: QueuedRequest, mut guard: QueueGuard<'_>) -> Group {
        let source = first.request.source;
        let suits = |queued: &QueuedRequest| queued.cursor.is_none() && queued.request.source == source;
        let mut group = Group::new(source);
        group.add(first);
        while group.cursor.is_none()
            && let places = self.options.group_events.saturating_sub(group.events.len())
            && places > 0
            && let Some(queued) = guard.take(places, suits)
        {
            group.add(queued);
        }
        group
    }

    async fn commit(&mut self, group: Group) {
        metrics::histogram!("sluice_commit_events").record(u32::try_from(group.events.len()).unwrap_or(u32::MAX));
        let written = match self.append(&group, &group.events, group.cursor.as_ref()).await {
            Err(StoreError::Data(error)) => {
                tracing::warn!(%error, "the database refuses an event; appending the events one by one");
                self.append_one_by_one(&group).await
            }
            other => other,
        };
        match written {
            Ok(written) => self.ends.grow(group.answer(written)),
            Err(error) => {
                metrics::counter!("sluice_append_failures_total").increment(1);
                let moved = matches!(error, StoreError::CursorMoved);
                if error.is_logged() {
                    tracing::debug!(%error, events = group.events.len(), "could not append");
                } else if !moved {
                    tracing::error!(%error, events = group.events.len(), "could not append");
                }
                group.refuse(if moved { &AppendError::CursorMoved } else { &AppendError::Unavailable });
            }
        }
    }

    async fn append_one_by_one(&mut self, group: &Group) -> Result<Vec<AppendResult>, StoreError> {
        let mut written = Vec::with_capacity(group.events.len());
        for event in &group.events {
            match self.append(group, std::slice::from_ref(event), None).await {
                Ok(one) => written.extend(one),
                Err(StoreError::Data(error)) => {
                    written.push(AppendResult::Refused(format!("the database refuses it: {error}")));
                }
                Err(error) => return Err(error),
            }
        }
        // Refused events of a page must be rejected durably before the cursor moves past the page.
        if group.cursor.is_some() && !written.iter().any(|written| matches!(written, AppendResult::Refused(_))) {
            self.append(group, &[], group.cursor.as_ref()).await?;
        }
        Ok(written)
    }

    /// Appends events, with retries while the database is unavailable. A retry cannot store an event twice.
    async fn append(
        &mut self,
        group: &Group,
        events: &[NewEvent],
        cursor: Option<&CursorMove>,
    ) -> Result<Vec<AppendResult>, StoreError> {
        let deadline = Instant::now() + self.options.retry_for;
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(250)).with_jitter();
        loop {
            let error = match self.append_once(group, events, cursor).await {
                Ok(appended) => return Ok(appended.into_iter().map(AppendResult::Appended).collect()),
                Err(error) => error,
            };
            match error {
                StoreError::NoPartition(_) => self.months.forget(),
                StoreError::Restored => {
                    self.months.forget();
                    if let Err(error) = self.appender.recover().await {
                        tracing::warn!(%error, "could not prepare the restored log for appends");
                    }
                }
                ref error if error.is_unavailable() => {}
                error => return Err(error),
            }
            let pause = backoff.pause();
            if Instant::now() + pause > deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    async fn append_once(
        &mut self,
        group: &Group,
        events: &[NewEvent],
        cursor: Option<&CursorMove>,
    ) -> Result<Vec<Appended>, StoreError> {
        self.months.make(events.iter().map(|new| new.event.occurrence.published)).await?;
        // A network that drops all packets must not block the writers.
        let append = async {
            match cursor {
                Some(cursor) => self.appender.append_page(group.source, events, cursor).await,
                None => self.appender.append(group.source, events, &group.deliveries).await,
            }
        };
        match timeout(self.options.append_timeout, append).await {
            Ok(appended) => appended,
            Err(_) => Err(StoreError::NoAnswer),
        }
    }
}
