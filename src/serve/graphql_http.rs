//! GraphQL over HTTP: POST and GET, by the specification.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::accept::MediaType;
use super::authorization;
use crate::auth::{Readers, Viewer};
use crate::graphql::{Answer, Graph, GraphRequest, OperationKind};

/// What asking needs.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) graph: Graph,
    pub(super) readers: Readers,
}

/// Why a request is not executed, with the media type in which that is told.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    fn respond(self, media_type: MediaType) -> Response {
        let mut response = respond(self.status, media_type, Answer::refusal(self.code, self.message).json);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

fn respond(status: StatusCode, media_type: MediaType, json: String) -> Response {
    (status, [(header::CONTENT_TYPE, media_type.content_type())], json).into_response()
}

/// A request in a body.
pub(super) async fn post(
    State(asking): State<Asking>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let read = || {
        // Any other type could be sent by a foreign page without the browser asking first.
        if !is_json(&headers) {
            let message = "the body's content-type must be application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
        }
        let body = body.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = "the body is too large (limits.query_body_bytes)";
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
            } else {
                Refusal::bad_request("the body breaks off")
            }
        })?;
        GraphRequest::from_json(&body).map_err(Refusal::bad_request)
    };
    asking.answer(&headers, read, false).await
}

/// A query in the address.
pub(super) async fn get(
    State(asking): State<Asking>,
    headers: HeaderMap,
    parameters: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Response {
    let read = || {
        let Query(parameters) = parameters.map_err(|_| Refusal::bad_request("the address's query cannot be read"))?;
        GraphRequest::from_parameters(parameters).map_err(Refusal::bad_request)
    };
    asking.answer(&headers, read, true).await
}

impl Asking {
    /// Negotiates, lets in, reads, executes, answers.
    async fn answer(
        self,
        headers: &HeaderMap,
        read: impl FnOnce() -> Result<GraphRequest, Refusal>,
        is_get: bool,
    ) -> Response {
        let Some(media_type) = MediaType::wanted(headers) else {
            let message = "answers are application/graphql-response+json or application/json";
            return Refusal::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message).respond(MediaType::Json);
        };
        let viewer = match authorization::viewer(&self.readers, headers) {
            Ok(viewer) => viewer,
            Err(denied) => {
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", denied.to_string());
                return refusal.respond(media_type);
            }
        };
        let answer = match read() {
            Ok(request) => self.execute(request, viewer, is_get).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) if answer.is_request_error && media_type == MediaType::GraphqlResponse => {
                respond(StatusCode::BAD_REQUEST, media_type, answer.json)
            }
            Ok(answer) => respond(StatusCode::OK, media_type, answer.json),
            Err(refusal) => refusal.respond(media_type),
        }
    }

    async fn execute(&self, request: GraphRequest, viewer: Viewer, is_get: bool) -> Result<Answer, Refusal> {
        let operation = match self.graph.operation(request, viewer) {
            Ok(operation) => operation,
            Err(error) => return Ok(error.0),
        };
        match operation.kind {
            OperationKind::Query => {}
            OperationKind::Mutation if !is_get => {}
            OperationKind::Mutation => {
                let message = "GET is for queries: send a mutation by POST";
                return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message));
            }
            OperationKind::Subscription => {
                return Err(Refusal::bad_request("subscriptions go over a WebSocket (graphql-transport-ws)"));
            }
        }
        Ok(self.graph.execute(operation).await)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let charset = parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
    is_json && charset.is_none_or(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}
