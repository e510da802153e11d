//! Error responses in Okta's formats.

use axum::http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error response.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// Creates an error of the management API. `rule` is the violated rule, which becomes the error's cause.
    pub(super) fn api(status: StatusCode, code: &str, summary: &str, rule: &str) -> Self {
        let causes = if rule.is_empty() { json!([]) } else { json!([{"errorSummary": rule}]) };
        let body = json!({
            "errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "sim-error", "errorCauses": causes,
        });
        Self { status, body: body.to_string(), headers: Vec::new() }
    }

    /// Creates the error of an invalid request.
    pub(super) fn validation(rule: &str) -> Self {
        Self::api(StatusCode::BAD_REQUEST, "E0000001", "Api validation failed", rule)
    }

    /// Creates the error of an invalid token.
    pub(super) fn invalid_token(rule: &str) -> Self {
        Self::api(StatusCode::UNAUTHORIZED, "E0000011", "Invalid token provided", rule)
    }

    /// Creates the error of missing permissions.
    pub(super) fn forbidden(rule: &str) -> Self {
        let summary = "You do not have permission to perform the requested action";
        Self::api(StatusCode::FORBIDDEN, "E0000006", summary, rule)
    }

    /// Creates the error of an exceeded rate limit.
    pub(super) fn too_many() -> Self {
        let summary = "API call exceeded rate limit due to too many requests.";
        Self::api(StatusCode::TOO_MANY_REQUESTS, "E0000047", summary, "")
    }

    /// Creates an error on Okta's side.
    pub(super) fn internal(status: StatusCode) -> Self {
        Self::api(status, "E0000009", "Internal Server Error", "")
    }

    /// Creates a redirect to another URL.
    pub(super) fn redirect(url: &str) -> Self {
        let location = HeaderValue::from_str(url).ok().map(|url| (LOCATION, url));
        Self { status: StatusCode::FOUND, body: String::new(), headers: location.into_iter().collect() }
    }

    /// Creates an error of OAuth 2 (RFC 6749).
    pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> Self {
        let body = json!({"error": error, "error_description": description});
        Self { status, body: body.to_string(), headers: Vec::new() }
    }

    /// Creates the error of an invalid proof of possession, in the format of RFC 9449.
    pub(super) fn proof(description: &str) -> Self {
        let challenge = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{description}\"");
        Self::oauth(StatusCode::UNAUTHORIZED, "invalid_dpop_proof", description).with(WWW_AUTHENTICATE, &challenge)
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.headers);
        response
    }
}
