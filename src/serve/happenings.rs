//! What happens to an operation that runs, for every transport that tells more than one answer.

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};

use crate::graphql::{Answer, Graph, Operation, OperationKind, Subscription};
use crate::live::Progress;

/// What happens to an operation.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is a subscription, and waits for events from here on.
    Started(Progress),
    /// It has an answer.
    Next(Answer),
    /// It is refused, or ends with errors: there is no more.
    Error(Answer),
    /// It is over.
    Complete,
}

/// Runs an operation: it goes on as far as what happens is asked for, and ends when the stream is dropped.
pub(super) fn run(graph: &Graph, operation: Operation) -> BoxStream<'static, Happening> {
    let graph = graph.clone();
    if operation.kind != OperationKind::Subscription {
        return stream::once(async move { only(graph.execute(operation).await) }).flat_map(stream::iter).boxed();
    }
    let started = stream::once(async move { graph.subscribe(operation).await });
    started
        .flat_map(|started| match started {
            Ok(Subscription { answers, progress }) => follow(answers, progress).boxed(),
            Err(refused) => stream::once(std::future::ready(Happening::Error(refused))).boxed(),
        })
        .boxed()
}

/// The only answer of a query or a mutation, and its end. Errors of single fields are part of the answer.
fn only(answer: Answer) -> Vec<Happening> {
    if answer.is_request_error() {
        vec![Happening::Error(answer)]
    } else {
        vec![Happening::Next(answer), Happening::Complete]
    }
}

fn follow(answers: BoxStream<'static, Answer>, progress: Progress) -> impl Stream<Item = Happening> + Send {
    let answers = answers.map(Some).chain(stream::once(std::future::ready(None)));
    let told = answers.scan(false, |failed, answer| {
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
    stream::once(std::future::ready(Happening::Started(progress))).chain(told)
}
