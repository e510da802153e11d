//! The running operations of one socket, polled round-robin.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::super::access::OperationAccess;
use super::super::operation_events::{self, OperationEvent};
use super::wake_flag::WakeFlag;
use crate::event::Position;
use crate::graphql::{Graph, Operation};
use crate::live::{Payload, Progress};

/// Running operations. An operation with many events waits after each of them until the others have had their turn.
#[derive(Default)]
pub(super) struct Operations {
    running: Vec<RunningOperation>,
    /// The index of the operation that is polled first.
    next: usize,
}

struct RunningOperation {
    id: Arc<str>,
    events: BoxStream<'static, OperationEvent>,
    flag: WakeFlag,
    /// The progress of a subscription; None for a query or mutation, and before the subscription has started.
    progress: Option<Progress>,
}

/// The progress of a socket's subscriptions.
pub(super) struct ReportedProgress {
    /// Payloads without events, with the ids of the subscriptions.
    pub(super) payloads: Vec<(Arc<str>, Payload)>,
    /// True if every operation of the socket is a subscription that has started.
    is_of_all: bool,
}

impl ReportedProgress {
    /// Returns the position of the subscription that is furthest behind, with the ids of all. Returns None if there is no
    /// subscription, or an operation without progress.
    pub(super) fn least(&self) -> Option<(Position, Vec<&str>)> {
        let least = self.payloads.iter().map(|(_, payload)| payload.position).min().filter(|_| self.is_of_all)?;
        Some((least, self.payloads.iter().map(|(id, _)| &**id).collect()))
    }
}

impl RunningOperation {
    /// Polls for the next event; None after the end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<OperationEvent> {
        let Self { flag, events, .. } = self;
        flag.poll(context, |context| match events.poll_next_unpin(context) {
            Poll::Ready(Some(event)) => Poll::Ready(event),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
    }
}

impl Operations {
    /// Returns the number of running operations.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Returns true if an operation with this id runs.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.iter().any(|running| &*running.id == id)
    }

    pub(super) fn start(&mut self, id: &str, graph: &Graph, operation: Operation, access: OperationAccess) {
        let events = operation_events::run(graph, operation, access).fuse().boxed();
        self.running.push(RunningOperation { id: id.into(), events, flag: WakeFlag::default(), progress: None });
        metrics::gauge!("sluice_operations").increment(1);
    }

    /// Stores the progress of a subscription that has started.
    pub(super) fn started(&mut self, id: &str, progress: Progress) {
        if let Some(running) = self.running.iter_mut().find(|running| &*running.id == id) {
            running.progress = Some(progress);
        }
    }

    /// Counts the events of an operation's last payloads as delivered.
    pub(super) fn sent(&self, id: &str) {
        let running = self.running.iter().find(|running| &*running.id == id);
        if let Some(progress) = running.and_then(|running| running.progress.as_ref()) {
            progress.sent();
        }
    }

    /// Ends an operation. Returns false if no operation with this id runs.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let Some(at) = self.running.iter().position(|running| &*running.id == id) else { return false };
        self.running.remove(at);
        metrics::gauge!("sluice_operations").decrement(1);
        true
    }

    /// Holds all subscriptions of the socket (see [`Progress::hold`]), and returns for each a payload without events that
    /// reports its progress. A subscription that is about to start has none.
    pub(super) fn progress(&self) -> ReportedProgress {
        let payload = |running: &RunningOperation| {
            Some((Arc::clone(&running.id), running.progress.as_ref().and_then(Progress::payload)?))
        };
        let payloads: Vec<_> = self.running.iter().filter_map(payload).collect();
        ReportedProgress { is_of_all: payloads.len() == self.running.len(), payloads }
    }

    /// Polls the operations for the next event. Without operations the poll is pending and nothing wakes the caller,
    /// who starts them.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Arc<str>, OperationEvent)> {
        let next = self.next.min(self.running.len());
        let (before, after) = self.running.split_at_mut(next);
        for (at, running) in after.iter_mut().chain(before).enumerate() {
            if let Poll::Ready(event) = running.poll(context) {
                let polled = (Arc::clone(&running.id), event);
                self.next = (next + at + 1) % self.running.len();
                return Poll::Ready(polled);
            }
        }
        Poll::Pending
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        metrics::gauge!("sluice_operations").decrement(u32::try_from(self.len()).unwrap_or(u32::MAX));
    }
}
