//! The operations that run on one socket, each getting its turn.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::super::happenings::{self, Happening};
use super::woken::Woken;
use crate::event::Position;
use crate::graphql::{Graph, Operation};
use crate::live::Progress;

/// Running operations. One that has much to say waits until the others have said something.
#[derive(Default)]
pub(super) struct Operations {
    running: Vec<Running>,
    /// Whose turn is next.
    turn: usize,
}

struct Running {
    id: Arc<str>,
    happenings: BoxStream<'static, Happening>,
    woken: Woken,
    /// How far it is; None for what is no subscription, or has not started.
    progress: Option<Progress>,
}

impl Running {
    /// What happens next; nothing does after the end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        let Self { woken, happenings, .. } = self;
        woken.poll(context, |context| match happenings.poll_next_unpin(context) {
            Poll::Ready(Some(happening)) => Poll::Ready(happening),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
    }
}

impl Operations {
    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether one with this id runs.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.iter().any(|running| &*running.id == id)
    }

    /// Starts an operation.
    pub(super) fn start(&mut self, id: &str, graph: &Graph, operation: Operation) {
        let happenings = happenings::run(graph, operation).fuse().boxed();
        self.running.push(Running { id: id.into(), happenings, woken: Woken::default(), progress: None });
        metrics::gauge!("sluice_operations").increment(1);
    }

    /// Learns how far an operation is.
    pub(super) fn started(&mut self, id: &str, progress: Progress) {
        if let Some(running) = self.running.iter_mut().find(|running| &*running.id == id) {
            running.progress = Some(progress);
        }
    }

    /// Ends an operation; gives false where none of this id runs.
    pub(super) fn end(&mut self, id: &str) -> bool {
        let Some(at) = self.running.iter().position(|running| &*running.id == id) else { return false };
        self.running.remove(at);
        metrics::gauge!("sluice_operations").decrement(1);
        true
    }

    /// Holds all subscriptions of the socket where they are, and tells how far that is and which they are; None where there
    /// are none, or one is about to start.
    pub(super) fn hold(&self) -> Option<(Position, Vec<&str>)> {
        let mut ids = Vec::new();
        let mut least = None;
        for running in &self.running {
            let position = running.progress.as_ref()?.hold()?;
            least = Some(least.map_or(position, |least: Position| least.min(position)));
            ids.push(&*running.id);
        }
        Some((least?, ids))
    }

    /// What happens next to one of them. While nothing runs, nothing wakes: starting one needs the socket's own turn.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Arc<str>, Happening)> {
        let turn = self.turn.min(self.running.len());
        let (before, after) = self.running.split_at_mut(turn);
        for (at, running) in after.iter_mut().chain(before).enumerate() {
            if let Poll::Ready(happening) = running.poll(context) {
                let happened = (Arc::clone(&running.id), happening);
                self.turn = (turn + at + 1) % self.running.len();
                return Poll::Ready(happened);
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
