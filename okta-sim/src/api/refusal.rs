//! Refusals, in the forms in which Okta tells them.

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// An error of the management API. `rule` is what the request broke; it is told as the error's cause.
    pub(super) fn api(status: StatusCode, code: &str, summary: &str, rule: &str) -> Self {
        let causes = if rule.is_empty() { json!([]) } else { json!([{"errorSummary": rule}]) };
        let body = json!({
            "errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "sim-error", "errorCauses": causes,
        });
        Self { status, body: body.to_string(), headers: Vec::new() }
    }

    /// A request that cannot be understood.
    pub(super) fn validation(rule: &str) -> Self {
        Self::api(StatusCode::BAD_REQUEST, "E0000001", "Api validation failed", rule)
    }

    /// A token that is none.
    pub(super) fn invalid_token(rule: &str) -> Self {
        Self::api(StatusCode::UNAUTHORIZED, "E0000011", "Invalid token provided", rule)
    }

    /// Rights that are missing.
    pub(super) fn forbidden(rule: &str) -> Self {
        let summary = "You do not have permission to perform the requested action";
        Self::api(StatusCode::FORBIDDEN, "E0000006", summary, rule)
    }

    /// More than the limit.
    pub(super) fn too_many() -> Self {
        let summary = "API call exceeded rate limit due to too many requests.";
        Self::api(StatusCode::TOO_MANY_REQUESTS, "E0000047", summary, "")
    }

    /// Something that is Okta's fault.
    pub(super) fn internal(status: StatusCode) -> Self {
        Self::api(status, "E0000009", "Internal Server Error", "")
    }

    /// An error of OAuth 2 (RFC 6749).
    pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> Self {
        let body = json!({"error": error, "error_description": description});
        Self { status, body: body.to_string(), headers: Vec::new() }
    }

    /// A proof of possession that is none, told as RFC 9449 wants it.
    pub(super) fn proof(description: &str) -> Self {
        let challenge = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{description}\"");
        Self::oauth(StatusCode::UNAUTHORIZED, "invalid_dpop_proof", description).with(WWW_AUTHENTICATE, &challenge)
    }

    /// The same with a header.
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
