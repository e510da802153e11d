//! Responses with a single answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::graphql::Verdict;
use crate::serve::accept::MediaType;

/// The number of seconds after which a throttled client may retry.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Returns the HTTP status of an answer. With `application/json` most answers have 200 even if the request failed; the
/// newer media type shows failures by the status. A throttled client gets 429 with both.
pub(super) fn status(verdict: Verdict, media_type: MediaType) -> StatusCode {
    match (media_type, verdict) {
        (_, Verdict::Busy) => StatusCode::TOO_MANY_REQUESTS,
        // Clients of persisted queries send the whole document only if the status is not a failure.
        (_, Verdict::Executed | Verdict::UnknownDocument) | (MediaType::Json, _) => StatusCode::OK,
        (MediaType::GraphqlResponse, Verdict::Refused) => StatusCode::BAD_REQUEST,
        (MediaType::GraphqlResponse, Verdict::Forbidden) => StatusCode::FORBIDDEN,
        (MediaType::GraphqlResponse, Verdict::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Creates a response with JSON.
pub(super) fn respond(status: StatusCode, media_type: MediaType, json: impl IntoResponse) -> Response {
    // The response depends on the reader and the time, so it must not be cached.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (status, headers, json).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}
