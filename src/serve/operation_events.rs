//! The events of a running operation, for the transports that send more than one answer: WebSockets and HTTP streams.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::access::OperationAccess;
use crate::abort_on_drop::spawn_abort_on_drop;
use crate::graphql::{Answer, Graph, Operation, OperationKind, Subscription};
use crate::live::Progress;

/// An event of a running operation.
#[derive(Debug)]
pub(super) enum OperationEvent {
    /// The operation is a subscription, which waits for events from here on.
    Started(Progress),
    /// The next answers. The list may be empty: then the operation's outlet has sent a part of a batch, and the transport
    /// must flush the connection.
    Next(Vec<Answer>),
    /// The last answer: the operation was refused, or ends with errors.
    Error(Answer),
    /// The operation is complete.
    Complete,
}

/// The state of an operation. What is large is boxed, since the stream has room for several states at once.
enum OperationState {
    New(Graph, Box<Operation>, OperationAccess),
    Subscribed(Box<RecordedSubscription>),
    Answered,
    Ended,
}

/// A subscription and its record in the access log. The subscription is dropped first: then no worker sends it events any more,
/// and the record has all that were sent.
struct RecordedSubscription {
    subscription: Subscription,
    access: OperationAccess,
}

/// Runs an operation. Each poll of the stream moves it on, and dropping the stream ends it and its record in the access log.
pub(super) fn run(graph: &Graph, operation: Operation, access: OperationAccess) -> BoxStream<'static, OperationEvent> {
    stream::unfold(OperationState::New(graph.clone(), Box::new(operation), access), advance).boxed()
}

async fn advance(state: OperationState) -> Option<(OperationEvent, OperationState)> {
    Some(match state {
        OperationState::New(graph, operation, mut access) if operation.kind == OperationKind::Subscription => {
            // Boxed, since this future is large and soon done, while there are many subscriptions that last long.
            match Box::pin(graph.subscribe(*operation)).await {
                Ok(subscription) => {
                    access.started(&subscription.progress);
                    let started = OperationEvent::Started(subscription.progress.clone());
                    (started, OperationState::Subscribed(Box::new(RecordedSubscription { subscription, access })))
                }
                Err(refused) => {
                    access.answered(&refused);
                    (OperationEvent::Error(refused), OperationState::Ended)
                }
            }
        }
        OperationState::New(graph, operation, mut access) => {
            let answer = spawn_abort_on_drop(async move { graph.execute(*operation).await }).await;
            access.answered(&answer);
            // Errors of single fields are part of the answer.
            if answer.is_request_error() {
                (OperationEvent::Error(answer), OperationState::Ended)
            } else {
                (OperationEvent::Next(vec![answer]), OperationState::Answered)
            }
        }
        OperationState::Subscribed(mut running) => match running.subscription.next().await {
            Ok(answers) => (OperationEvent::Next(answers), OperationState::Subscribed(running)),
            Err(last) => {
                running.access.answered(&last);
                (OperationEvent::Error(last), OperationState::Ended)
            }
        },
        OperationState::Answered => (OperationEvent::Complete, OperationState::Ended),
        OperationState::Ended => return None,
    })
}
