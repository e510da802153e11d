//! The operations that run on one socket, each getting its turn.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::AbortHandle;
use futures_util::stream::{Abortable, BoxStream, SelectAll};
use futures_util::{Stream as _, StreamExt as _, stream};

use crate::graphql::{Answer, Graph, Operation, OperationKind};

/// What happens to an operation.
#[derive(Debug)]
pub(super) enum Happening {
    /// It has an answer.
    Next(Answer),
    /// It is refused, or ends with errors.
    Error(Answer),
    /// It is over.
    Complete,
}

type Running = Abortable<BoxStream<'static, (Arc<str>, Happening)>>;

/// Running operations, by their ids. One that has much to say waits until the others have said something.
#[derive(Default)]
pub(super) struct Operations {
    running: SelectAll<Running>,
    handles: HashMap<Arc<str>, AbortHandle>,
}

impl Operations {
    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether one with this id runs.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.handles.contains_key(id)
    }

    /// Starts an operation.
    pub(super) fn start(&mut self, id: &str, graph: &Graph, operation: Operation) {
        let id: Arc<str> = id.into();
        let (handle, registration) = AbortHandle::new_pair();
        let happenings = happenings(graph, operation);
        let name = Arc::clone(&id);
        let named = happenings.map(move |happening| (Arc::clone(&name), happening)).boxed();
        self.running.push(Abortable::new(named, registration));
        self.handles.insert(id, handle);
        metrics::gauge!("sluice_operations").increment(1);
    }

    /// Ends an operation as the client wishes.
    pub(super) fn end(&mut self, id: &str) {
        if let Some(handle) = self.handles.remove(id) {
            handle.abort();
            metrics::gauge!("sluice_operations").decrement(1);
        }
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

fn happenings(graph: &Graph, operation: Operation) -> BoxStream<'static, Happening> {
    if operation.kind != OperationKind::Subscription {
        let graph = graph.clone();
        let answer = stream::once(async move { graph.execute(operation).await });
        return answer.flat_map(|answer| stream::iter(last(answer))).boxed();
    }
    let answers = graph.subscribe(operation).answers.map(Some).chain(stream::once(async { None }));
    let ended = answers.scan(false, |failed, answer| {
        let happening = match answer {
            Some(answer) if answer.has_errors() => {
                *failed = true;
                Some(Happening::Error(answer))
            }
            Some(answer) => Some(Happening::Next(answer)),
            None if *failed => None,
            None => Some(Happening::Complete),
        };
        std::future::ready(happening)
    });
    ended.boxed()
}

/// The only answer of a query or a mutation, and its end. Errors of single fields are part of the answer.
fn last(answer: Answer) -> Vec<Happening> {
    if answer.is_request_error() {
        vec![Happening::Error(answer)]
    } else {
        vec![Happening::Next(answer), Happening::Complete]
    }
}
