//! What happens to an operation that runs, for every transport that tells more than one answer.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::apart::apart;
use crate::graphql::{Answer, Graph, Operation, OperationKind, Subscription};
use crate::live::Progress;

/// What happens to an operation.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is a subscription, and waits for events from here on.
    Started(Progress),
    /// It has answers; none where its outlet has begun to send some and could not end.
    Next(Vec<Answer>),
    /// It is refused, or ends with errors: there is no more.
    Error(Answer),
    /// It is over.
    Complete,
}

/// How far an operation is.
#[expect(clippy::large_enum_variant, reason = "most are followed, for long")]
enum State {
    New(Graph, Box<Operation>),
    Following(Subscription),
    Answered,
    Over,
}

/// Runs an operation: it goes on as far as what happens is asked for, and ends when the stream is dropped.
pub(super) fn run(graph: &Graph, operation: Operation) -> BoxStream<'static, Happening> {
    stream::unfold(State::New(graph.clone(), Box::new(operation)), advance).boxed()
}

async fn advance(state: State) -> Option<(Happening, State)> {
    Some(match state {
        State::New(graph, operation) if operation.kind == OperationKind::Subscription => {
            // Boxed, as it is large and soon over, while what follows lives for long and there is much of it.
            match Box::pin(graph.subscribe(*operation)).await {
                Ok(subscription) => (Happening::Started(subscription.progress.clone()), State::Following(subscription)),
                Err(refused) => (Happening::Error(refused), State::Over),
            }
        }
        State::New(graph, operation) => {
            let answer = apart(async move { graph.execute(*operation).await }).await;
            // Errors of single fields are part of the answer.
            if answer.is_request_error() {
                (Happening::Error(answer), State::Over)
            } else {
                (Happening::Next(vec![answer]), State::Answered)
            }
        }
        State::Following(mut subscription) => match subscription.next().await {
            Ok(answers) => (Happening::Next(answers), State::Following(subscription)),
            Err(last) => (Happening::Error(last), State::Over),
        },
        State::Answered => (Happening::Complete, State::Over),
        State::Over => return None,
    })
}
