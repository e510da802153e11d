//! Access tokens for a service that authenticates as itself (RFC 6749, section 4.4).

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::sign_in::Parameters;
use super::{AuthorizationServer, IssuerState, lock};

/// The number of seconds for which an access token is valid.
const TOKEN_SECONDS: u64 = 3600;

/// A service that gets access tokens, and what they say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceClient {
    /// The id of the service as a client.
    pub id: String,
    /// The secret with which it authenticates.
    pub secret: String,
    /// The audience of its tokens.
    pub audience: String,
    /// Further claims of its tokens, a JSON object.
    pub claims: Value,
}

impl AuthorizationServer {
    /// Gives access tokens to a service from now on, and to no other.
    pub fn serve_client(&self, service: ServiceClient) {
        *lock(&self.state.service) = Some(service);
    }
}

/// Responds to a request for an access token.
pub(super) fn token(server: &AuthorizationServer, headers: &HeaderMap, asked: &Parameters) -> Response {
    let refused = |status: StatusCode, error: &str, description: &str| {
        (status, Json(json!({ "error": error, "error_description": description }))).into_response()
    };
    let service = lock(&server.state.service).clone().filter(|service| service.is_authenticated(headers, asked));
    let Some(service) = service else {
        return refused(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The client secret supplied for a confidential client is invalid.",
        );
    };
    let scopes: Vec<_> = asked.get("scope").map(|text| text.split_ascii_whitespace().collect()).unwrap_or_default();
    if scopes.is_empty() {
        return refused(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "The authorization server resource does not have any configured default scopes, 'scope' must be provided.",
        );
    }
    let mut claims = json!({ "aud": service.audience, "sub": service.id, "cid": service.id, "scp": scopes });
    for (name, value) in service.claims.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    match server.token(&claims) {
        Ok(token) => {
            let body = json!({
                "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token, "scope": scopes.join(" "),
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &error.to_string()),
    }
}

impl IssuerState {
    /// Returns true for a request of a service, as opposed to that of a person's browser.
    pub(super) fn is_of_service(asked: &Parameters) -> bool {
        asked.get("grant_type").is_some_and(|kind| kind == "client_credentials")
    }
}

impl ServiceClient {
    /// Returns true if a request has the client's id and secret, in its header or its form.
    fn is_authenticated(&self, headers: &HeaderMap, asked: &Parameters) -> bool {
        let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let pair = match basic {
            Some(basic) => STANDARD.decode(basic).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
            None => asked.get("client_id").zip(asked.get("client_secret")).map(|(id, secret)| format!("{id}:{secret}")),
        };
        pair.is_some_and(|pair| pair == format!("{}:{}", self.id, self.secret))
    }
}
