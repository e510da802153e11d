//! Requests that are refused with an HTTP status of their own, whatever the media type of the response.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::super::accept::MediaType;
use super::response::respond;
use crate::graphql::Answer;

/// The reason why a request is not executed.
pub(super) struct HttpRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl HttpRefusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn only_by_post(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
    }

    /// Returns the code.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn answer(self) -> Answer {
        Answer::refusal(self.code, self.message)
    }

    pub(super) fn respond(self, media_type: MediaType) -> Response {
        let status = self.status;
        let mut response = respond(status, media_type, self.answer().json.into_bytes());
        let more = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            // The methods of the route: GET is for queries, and for subscriptions as a stream.
            StatusCode::METHOD_NOT_ALLOWED => Some((header::ALLOW, "GET, HEAD, POST")),
            StatusCode::REQUEST_TIMEOUT => Some((header::CONNECTION, "close")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Some((header::ACCEPT, "application/json")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
