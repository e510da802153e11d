//! Error responses of all routes but `/graphql`: a code and a sentence.

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::authorization;
use crate::auth::{Denied, MissingScope};

/// An error response: `{"error": {"code", "message"}}`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Returns the code.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// Creates the response for a body that did not arrive in time. It closes the connection, on which the rest of the
    /// body may still arrive.
    pub(super) fn too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)
    }

    /// Creates the response for an unavailable database, after which the sender must retry.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
    }
}

impl Problem {
    /// Creates the response for a sender that is unknown or has no rights.
    pub(super) fn denied(denied: &Denied) -> Self {
        let (status, code) = authorization::status(denied);
        Self::new(status, code, denied.to_string())
    }

    /// Creates the response for a viewer who lacks a scope.
    pub(super) fn forbidden(missing: MissingScope) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", missing.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, Json(json!({ "error": { "code": self.code, "message": self.message } }))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Responds to a path without a route.
pub(super) async fn no_route(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no route {}", uri.path()))
}

/// Responds to a method that a route does not support.
pub(super) async fn no_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not support {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}
