//! GraphQL over HTTP by POST and GET, according to the specification
//! (<https://graphql.github.io/graphql-over-http/draft/>), with streams of responses if the client requests them.

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
use super::access::{self, OperationAccess, RequestSender};
use super::authorization;
use super::body::BodyLimits;
use super::stream::Streams;
use crate::auth::{Authenticator, Viewer};
use crate::graphql::{Answer, Graph, GraphBody, GraphRequest, Operation, OperationKind};
pub(super) use body::is_json;
use refusal::HttpRefusal;
use response::respond;

/// The state of the route.
#[derive(Clone)]
pub(super) struct GraphqlState {
    pub(super) graph: Graph,
    pub(super) authenticator: Authenticator,
    /// The maximum number of requests in a batch; 0 turns batches off.
    pub(super) batch: usize,
    /// The limits of a POST request's body.
    pub(super) body: BodyLimits,
    pub(super) streams: Streams,
}

/// The HTTP method of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestMethod {
    Get,
    Post,
}

/// Answers a request in a body, or a batch of requests. The body is read once the client is authenticated.
pub(super) async fn post(State(state): State<GraphqlState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = body::read(&parts.headers, body, state.body, state.batch);
    state.answer(&parts, RequestMethod::Post, read).await
}

/// Answers a request in the URL.
pub(super) async fn get(
    State(state): State<GraphqlState>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
    parts: Parts,
) -> Response {
    let read = async {
        let Query(parameters) = parameters.map_err(|_| HttpRefusal::bad_request("the URL's query cannot be parsed"))?;
        GraphRequest::from_parameters(parameters).map(GraphBody::One).map_err(HttpRefusal::bad_request)
    };
    state.answer(&parts, RequestMethod::Get, read).await
}

impl GraphqlState {
    /// Negotiates the content type, authenticates the client, reads and executes the request, and responds.
    async fn answer(
        &self,
        parts: &Parts,
        method: RequestMethod,
        read: impl Future<Output = Result<GraphBody, HttpRefusal>>,
    ) -> Response {
        let Some(accepted) = Accepted::read(&parts.headers) else {
            let message = "responses are application/graphql-response+json or application/json, and for subscriptions \
                           text/event-stream or multipart/mixed with subscriptionSpec=1.0";
            return HttpRefusal::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message).respond(MediaType::Json);
        };
        // The token is checked before the body is read, so that an unknown client uses no memory.
        let sender = RequestSender::of(&parts.extensions, &parts.headers);
        let read = match self.authenticate(parts, &sender).await {
            Ok(viewer) => read.await.map(|body| (viewer, body)),
            Err(refusal) => Err(refusal),
        };
        let answered = match read {
            Ok((viewer, GraphBody::One(request))) => {
                self.answer_one((parts, accepted, &sender), request, viewer, method).await
            }
            Ok((viewer, GraphBody::Batch(requests))) => {
                let answers = self.execute_batch(requests, &viewer, &sender, method).await;
                Ok(respond(StatusCode::OK, accepted.single_or_json(), answers))
            }
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| refusal.respond(accepted.single_or_json()))
    }

    async fn authenticate(&self, parts: &Parts, sender: &RequestSender) -> Result<Viewer, HttpRefusal> {
        authorization::viewer(&self.authenticator, &parts.headers).await.map_err(|denied| {
            access::denied(sender, &denied);
            let (status, code) = authorization::status(&denied);
            HttpRefusal::new(status, code, denied.to_string())
        })
    }

    async fn answer_one(
        &self,
        (parts, accepted, sender): (&Parts, Accepted, &RequestSender),
        request: GraphRequest,
        viewer: Viewer,
        method: RequestMethod,
    ) -> Result<Response, HttpRefusal> {
        let mut access = OperationAccess::begin(&request, &viewer, sender);
        let mut operation = match self.graph.operation(request, viewer) {
            Ok(operation) => operation,
            Err(error) => {
                access.answered(&error.0);
                return self.respond_once(parts, accepted.for_one_answer(), error.0);
            }
        };
        access.found(&mut operation);
        if operation.kind == OperationKind::Subscription
            && let Some(stream_type) = accepted.for_many_answers()
        {
            return self.subscribe((parts, accepted, sender), stream_type, (operation, access)).await;
        }
        let answer = self.execute((operation, access), method, &mut 0).await?;
        self.respond_once(parts, accepted.for_one_answer(), answer)
    }

    /// Executes the requests of a batch one after the other. A batch has the cost limit of one request; each of its requests
    /// has a time limit of its own.
    async fn execute_batch(
        &self,
        requests: Vec<GraphRequest>,
        viewer: &Viewer,
        sender: &RequestSender,
        method: RequestMethod,
    ) -> String {
        let mut answers = Vec::with_capacity(requests.len());
        let mut spent = 0;
        for request in requests {
            let mut access = OperationAccess::begin(&request, viewer, sender);
            let answer = match self.graph.operation(request, viewer.clone()) {
                Ok(mut operation) => {
                    access.found(&mut operation);
                    let answer = self.execute((operation, access), method, &mut spent).await;
                    answer.unwrap_or_else(HttpRefusal::answer)
                }
                Err(error) => {
                    access.answered(&error.0);
                    error.0
                }
            };
            answers.push(answer.json);
        }
        format!("[{}]", answers.iter().map(|answer| &**answer).collect::<Vec<_>>().join(","))
    }

    /// Executes an operation, unless its cost and the cost `spent` before exceed the limit.
    async fn execute(
        &self,
        (operation, mut access): (Operation, OperationAccess),
        method: RequestMethod,
        spent: &mut u64,
    ) -> Result<Answer, HttpRefusal> {
        const STREAMS: &str = "subscriptions go over a WebSocket, or are accepted as text/event-stream or as \
                               multipart/mixed with subscriptionSpec=1.0";
        access.refused("METHOD_NOT_ALLOWED");
        match operation.kind {
            OperationKind::Query => {}
            OperationKind::Mutation if method == RequestMethod::Post => {}
            OperationKind::Mutation => {
                return Err(HttpRefusal::only_by_post("GET is for queries: send a mutation by POST"));
            }
            OperationKind::Subscription if method == RequestMethod::Get => {
                return Err(HttpRefusal::only_by_post(STREAMS));
            }
            OperationKind::Subscription => {
                access.refused("BAD_REQUEST");
                return Err(HttpRefusal::bad_request(STREAMS));
            }
        }
        *spent = spent.saturating_add(operation.complexity);
        let most = self.graph.limits().complexity;
        if *spent > most as u64 {
            let message = format!("the batch's complexity is more than {most} (limits.complexity) up to here");
            access.refused("TOO_COMPLEX");
            return Ok(Answer::too_complex(*spent, most, message));
        }
        access.refused("cancelled");
        let answer = self.graph.execute(operation).await;
        access.answered(&answer);
        Ok(answer)
    }
}

/// Refuses a request before its body is read.
pub(super) fn refuse(headers: &HeaderMap, status: StatusCode, code: &'static str, message: String) -> Response {
    let media_type = Accepted::read(headers).map_or(MediaType::Json, |accepted| accepted.single_or_json());
    HttpRefusal::new(status, code, message).respond(media_type)
}
