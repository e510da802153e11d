//! GraphQL over HTTP: POST and GET, by the specification (<https://graphql.github.io/graphql-over-http/draft/>).

mod body;
mod refusal;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::accept::MediaType;
use super::{authorization, origin};
use crate::auth::{Readers, Viewer};
use crate::graphql::{Answer, Graph, GraphBody, GraphRequest, OperationKind, Verdict};
use refusal::Refusal;

/// What asking needs.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) graph: Graph,
    pub(super) readers: Readers,
    /// At most how many requests a batch has; 0 is no batches.
    pub(super) batch: usize,
}

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Get,
    Post,
}

/// A request in a body, or a batch of them.
pub(super) async fn post(
    State(asking): State<Asking>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let most = asking.batch;
    asking.answer(&headers, &uri, Way::Post, || body::read(&headers, body, most)).await
}

/// A query in the address.
pub(super) async fn get(
    State(asking): State<Asking>,
    uri: Uri,
    headers: HeaderMap,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let read = || {
        let Query(parameters) = parameters.map_err(|_| Refusal::bad_request("the address's query cannot be read"))?;
        GraphRequest::from_parameters(parameters).map(GraphBody::One).map_err(Refusal::bad_request)
    };
    asking.answer(&headers, &uri, Way::Get, read).await
}

impl Asking {
    /// Negotiates, lets in, reads, executes, answers.
    async fn answer(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        way: Way,
        read: impl FnOnce() -> Result<GraphBody, Refusal>,
    ) -> Response {
        let Some(media_type) = MediaType::wanted(headers) else {
            let message = "answers are application/graphql-response+json or application/json";
            return Refusal::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message).respond(MediaType::Json);
        };
        if let Err(foreign) = origin::check(headers, uri, self.readers.is_open()) {
            return Refusal::new(StatusCode::FORBIDDEN, foreign.code(), foreign.to_string()).respond(media_type);
        }
        let viewer = match authorization::viewer(&self.readers, headers) {
            Ok(viewer) => viewer,
            Err(denied) => {
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", denied.to_string());
                return refusal.respond(media_type);
            }
        };
        match read() {
            Ok(GraphBody::One(request)) => match self.execute(request, viewer, way, &mut 0).await {
                Ok(answer) => respond(status(answer.verdict, media_type), media_type, answer.json.into_bytes()),
                Err(refusal) => refusal.respond(media_type),
            },
            Ok(GraphBody::Batch(requests)) => {
                respond(StatusCode::OK, media_type, self.execute_batch(requests, &viewer, way).await)
            }
            Err(refusal) => refusal.respond(media_type),
        }
    }

    /// Executes the requests of a batch one after the other: together they may cost what one may, and take as long.
    async fn execute_batch(&self, requests: Vec<GraphRequest>, viewer: &Viewer, way: Way) -> String {
        let mut answers = Vec::with_capacity(requests.len());
        let mut spent = 0;
        for request in requests {
            let answer = self.execute(request, viewer.clone(), way, &mut spent).await;
            answers.push(answer.unwrap_or_else(Refusal::answer).json);
        }
        format!("[{}]", answers.iter().map(|answer| &**answer).collect::<Vec<_>>().join(","))
    }

    /// Executes a request. What it costs is added to what was spent before.
    async fn execute(
        &self,
        request: GraphRequest,
        viewer: Viewer,
        way: Way,
        spent: &mut u64,
    ) -> Result<Answer, Refusal> {
        let operation = match self.graph.operation(request, viewer) {
            Ok(operation) => operation,
            Err(error) => return Ok(error.0),
        };
        match operation.kind {
            OperationKind::Query => {}
            OperationKind::Mutation if way == Way::Post => {}
            OperationKind::Mutation => {
                return Err(Refusal::only_by_post("GET is for queries: send a mutation by POST"));
            }
            OperationKind::Subscription if way == Way::Get => {
                let message = "GET is for queries: subscriptions go over a WebSocket (graphql-transport-ws)";
                return Err(Refusal::only_by_post(message));
            }
            OperationKind::Subscription => {
                return Err(Refusal::bad_request("subscriptions go over a WebSocket (graphql-transport-ws)"));
            }
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

/// In `application/json` an answer is 200 whatever became of the request; the newer type tells it by the status.
fn status(verdict: Verdict, media_type: MediaType) -> StatusCode {
    match (media_type, verdict) {
        // Clients of persisted queries take this for the question that it is only if it is no failure.
        (_, Verdict::Executed | Verdict::UnknownDocument) | (MediaType::Json, _) => StatusCode::OK,
        (MediaType::GraphqlResponse, Verdict::Refused) => StatusCode::BAD_REQUEST,
        (MediaType::GraphqlResponse, Verdict::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn respond(status: StatusCode, media_type: MediaType, json: impl IntoResponse) -> Response {
    // What one reader may see, at one time: no cache has use for it.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, json).into_response()
}
