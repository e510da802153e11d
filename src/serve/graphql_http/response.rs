//! Responses with one answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::graphql::Verdict;
use crate::serve::accept::MediaType;

/// Seconds after which a client that has to slow down may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Returns the status of an answer. As `application/json`, most answers have 200 whatever became of the request; the newer
/// media type shows failures by the status. A client that must slow down gets 429 in both.
pub(super) fn status(verdict: Verdict, media_type: MediaType) -> StatusCode {
    match (media_type, verdict) {
        (_, Verdict::Busy) => StatusCode::TOO_MANY_REQUESTS,
        // Clients of persisted queries take this for the question that it is only if it is no failure.
        (_, Verdict::Executed | Verdict::UnknownDocument) | (MediaType::Json, _) => StatusCode::OK,
        (MediaType::GraphqlResponse, Verdict::Refused) => StatusCode::BAD_REQUEST,
        (MediaType::GraphqlResponse, Verdict::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// A response with JSON.
pub(super) fn respond(status: StatusCode, media_type: MediaType, json: impl IntoResponse) -> Response {
    // What one reader may see, at one time: no cache has use for it.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let mut response = (status, headers, json).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}
