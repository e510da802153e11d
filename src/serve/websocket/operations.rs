//! The operations that run on one socket, each getting its turn.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::AbortHandle;
use futures_util::stream::{Abortable, BoxStream, SelectAll};
use futures_util::{Stream as _, StreamExt as _};

use super::super::happenings::{self, Happening};
use crate::event::Position;
use crate::graphql::{Graph, Operation};
use crate::live::Progress;

type Running = Abortable<BoxStream<'static, (Arc<str>, Happening)>>;

/// Running operations, by their ids. One that has much to say waits until the others have said something.
#[derive(Default)]
pub(super) struct Operations {
    running: SelectAll<Running>,
    known: HashMap<Arc<str>, Known>,
}

/// What is known of an operation.
struct Known {
    handle: AbortHandle,
    /// How far it is; None for what is no subscription, or has not started.
    progress: Option<Progress>,
}

impl Operations {
    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether one with this id runs.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// Starts an operation.
    pub(super) fn start(&mut self, id: &str, graph: &Graph, operation: Operation) {
        let id: Arc<str> = id.into();
        let (handle, registration) = AbortHandle::new_pair();
        let name = Arc::clone(&id);
        let named = happenings::run(graph, operation).map(move |happening| (Arc::clone(&name), happening)).boxed();
        self.running.push(Abortable::new(named, registration));
        self.known.insert(id, Known { handle, progress: None });
        metrics::gauge!("sluice_operations").increment(1);
    }

    /// Learns how far an operation is.
    pub(super) fn started(&mut self, id: &str, progress: Progress) {
        if let Some(known) = self.known.get_mut(id) {
            known.progress = Some(progress);
        }
    }

    /// Ends an operation; gives false where none of this id runs.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let Some(known) = self.known.remove(id) else { return false };
        known.handle.abort();
        metrics::gauge!("sluice_operations").decrement(1);
        true
    }

    /// How far all subscriptions of the socket are, and which they are; None where there are none, or one is about to
    /// start.
    pub(super) fn progress(&self) -> Option<(Position, Vec<&str>)> {
        let mut ids = Vec::new();
        let mut least = None;
        for (id, known) in &self.known {
            let position = known.progress.as_ref()?.get()?;
            least = Some(least.map_or(position, |least: Position| least.min(position)));
            ids.push(&**id);
        }
        Some((least?, ids))
    }

    /// What happens next. Waits for ever while nothing runs. What is lost by not waiting to the end comes again.
    pub(super) async fn next(&mut self) -> (Arc<str>, Happening) {
        std::future::poll_fn(|context| {
            match std::pin::Pin::new(&mut self.running).poll_next(context) {
                std::task::Poll::Ready(Some(happened)) => std::task::Poll::Ready(happened),
                // Without any operation there is nothing to wake for: starting one needs the socket's own turn.
                std::task::Poll::Ready(None) | std::task::Poll::Pending => std::task::Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        metrics::gauge!("sluice_operations").decrement(u32::try_from(self.len()).unwrap_or(u32::MAX));
    }
}
