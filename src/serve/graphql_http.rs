//! GraphQL over HTTP: POST and GET, by the specification (<https://graphql.github.io/graphql-over-http/draft/>), and
//! answers one after the other where a client asks for a stream.

mod body;
mod refusal;
mod response;
mod streamed;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::accept::{Accepted, MediaType};
use super::authorization;
use super::body::BodyLimits;
use super::stream::Streams;
use crate::auth::{Readers, Viewer};
use crate::graphql::{Answer, Graph, GraphBody, GraphRequest, Operation, OperationKind};
use refusal::Refusal;
use response::respond;

/// What asking needs.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) graph: Graph,
    pub(super) readers: Readers,
    /// At most how many requests a batch has; 0 is no batches.
    pub(super) batch: usize,
    /// Limits of the body of a POST.
    pub(super) body: BodyLimits,
    pub(super) streams: Streams,
}

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Get,
    Post,
}

/// A request in a body, or a batch of them. The body is read once it is known who asks.
pub(super) async fn post(State(asking): State<Asking>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = body::read(&parts.headers, body, asking.body, asking.batch);
    asking.answer(&parts, Way::Post, read).await
}

/// A request in the address.
pub(super) async fn get(
    State(asking): State<Asking>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
    parts: Parts,
) -> Response {
    let read = async {
        let Query(parameters) = parameters.map_err(|_| Refusal::bad_request("the address's query cannot be read"))?;
        GraphRequest::from_parameters(parameters).map(GraphBody::One).map_err(Refusal::bad_request)
    };
    asking.answer(&parts, Way::Get, read).await
}

impl Asking {
    /// Negotiates, lets in, reads, executes, answers.
    async fn answer(
        &self,
        parts: &Parts,
        way: Way,
        read: impl Future<Output = Result<GraphBody, Refusal>>,
    ) -> Response {
        let Some(accepted) = Accepted::read(&parts.headers) else {
            let message = "answers are application/graphql-response+json or application/json, and of subscriptions \
                           text/event-stream or multipart/mixed with subscriptionSpec=1.0";
            return Refusal::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message).respond(MediaType::Json);
        };
        // The token is checked before the body is read, so that an unknown client takes no memory.
        let read = match self.let_in(parts) {
            Ok(viewer) => read.await.map(|body| (viewer, body)),
            Err(refusal) => Err(refusal),
        };
        let answered = match read {
            Ok((viewer, GraphBody::One(request))) => self.answer_one(parts, accepted, request, viewer, way).await,
            Ok((viewer, GraphBody::Batch(requests))) => {
                let answers = self.execute_batch(requests, &viewer, way).await;
                Ok(respond(StatusCode::OK, accepted.single_or_json(), answers))
            }
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| refusal.respond(accepted.single_or_json()))
    }

    fn let_in(&self, parts: &Parts) -> Result<Viewer, Refusal> {
        authorization::viewer(&self.readers, &parts.headers)
            .map_err(|denied| Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", denied.to_string()))
    }

    async fn answer_one(
        &self,
        parts: &Parts,
        accepted: Accepted,
        request: GraphRequest,
        viewer: Viewer,
        way: Way,
    ) -> Result<Response, Refusal> {
        let operation = match self.graph.operation(request, viewer) {
            Ok(operation) => operation,
            Err(error) => return self.respond_once(parts, accepted.for_one_answer(), error.0),
        };
        if operation.kind == OperationKind::Subscription
            && let Some(stream_type) = accepted.for_many_answers()
        {
            return self.subscribe(parts, accepted, stream_type, operation).await;
        }
        let answer = self.execute(operation, way, &mut 0).await?;
        self.respond_once(parts, accepted.for_one_answer(), answer)
    }

    /// Executes the requests of a batch one after the other: together they may cost what one may, and take as long.
    async fn execute_batch(&self, requests: Vec<GraphRequest>, viewer: &Viewer, way: Way) -> String {
        let mut answers = Vec::with_capacity(requests.len());
        let mut spent = 0;
        for request in requests {
            let answer = match self.graph.operation(request, viewer.clone()) {
                Ok(operation) => self.execute(operation, way, &mut spent).await.unwrap_or_else(Refusal::answer),
                Err(error) => error.0,
            };
            answers.push(answer.json);
        }
        format!("[{}]", answers.iter().map(|answer| &**answer).collect::<Vec<_>>().join(","))
    }

    /// Executes an operation. What it costs is added to what was spent before.
    async fn execute(&self, operation: Operation, way: Way, spent: &mut u64) -> Result<Answer, Refusal> {
        const STREAMS: &str = "subscriptions go over a WebSocket, or are accepted as text/event-stream or as \
                               multipart/mixed with subscriptionSpec=1.0";
        match operation.kind {
            OperationKind::Query => {}
            OperationKind::Mutation if way == Way::Post => {}
            OperationKind::Mutation => {
                return Err(Refusal::only_by_post("GET is for queries: send a mutation by POST"));
            }
            OperationKind::Subscription if way == Way::Get => return Err(Refusal::only_by_post(STREAMS)),
            OperationKind::Subscription => return Err(Refusal::bad_request(STREAMS)),
        }
        *spent = spent.saturating_add(operation.complexity);
        let most = self.graph.limits().complexity;
        if *spent > most as u64 {
            let message = format!("the batch's complexity is more than {most} (limits.complexity) up to here");
            return Ok(Answer::refusal("TOO_COMPLEX", message));
        }
        Ok(self.graph.execute(operation).await)
    }
}

/// Refuses a request before it is read.
pub(super) fn refuse(headers: &HeaderMap, status: StatusCode, code: &'static str, message: String) -> Response {
    let media_type = Accepted::read(headers).map_or(MediaType::Json, |accepted| accepted.single_or_json());
    Refusal::new(status, code, message).respond(media_type)
}
