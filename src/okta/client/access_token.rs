//! OAuth 2 access tokens, requested with the client's key and cached until shortly before they expire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials::ClientKey;
use super::error::{ApiProblem, OktaError, problem};
use super::proof::ProofKey;
use super::response::{date, read_body, sent};
use crate::event::Timestamp;

/// The requested scopes.
const SCOPES: &str = "okta.logs.read okta.apps.read";
/// The required scopes, requested if the org does not grant all of [`SCOPES`].
const LEAST_SCOPES: &str = "okta.logs.read";

/// The time before its expiry at which a token is replaced.
const MARGIN: Duration = Duration::from_mins(2);

/// The difference between Okta's clock and the local clock, in seconds, from which a rejection is blamed on the clocks.
const SKEW: i64 = 45;

/// The maximum number of requests for one token: the server may ask for a proof, for a nonce, and for fewer scopes.
const ATTEMPTS: usize = 5;

/// An access token, and the key to which it is bound, if any.
#[derive(Clone)]
pub(super) struct AccessToken {
    token: SecretString,
    key: Option<Arc<ProofKey>>,
    good_until: Instant,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessToken").field("bound", &self.key.is_some()).finish_non_exhaustive()
    }
}

impl AccessToken {
    /// Adds the token to a request, with a proof of possession if the token is bound to a key.
    pub(super) fn authorize(
        &self,
        request: RequestBuilder,
        method: &str,
        url: &Url,
    ) -> Result<RequestBuilder, OktaError> {
        let token = self.token.expose_secret();
        let scheme = if self.key.is_some() { "DPoP" } else { "Bearer" };
        let mut value = HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| {
            OktaError::NotOkta("its access token contains characters that a header cannot carry".to_owned())
        })?;
        value.set_sensitive(true);
        let request = request.header(AUTHORIZATION, value);
        Ok(match &self.key {
            Some(key) => request.header("dpop", key.prove(method, url, None, Some(token))?),
            None => request,
        })
    }
}

/// The cache of a client's access token.
#[derive(Debug)]
pub(super) struct AccessTokens {
    endpoint: Url,
    state: Mutex<TokenState>,
}

#[derive(Debug)]
struct TokenState {
    token: Option<AccessToken>,
    scopes: &'static str,
    /// The key for proofs, generated when the server first asks for a proof.
    key: Option<Arc<ProofKey>>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: u64,
}

impl AccessTokens {
    pub(super) fn new(origin: &Url) -> Result<Self, OktaError> {
        let endpoint = origin.join("/oauth2/v1/token").map_err(|_| OktaError::Address(origin.to_string()))?;
        let state = TokenState { token: None, scopes: SCOPES, key: None, nonce: None };
        Ok(Self { endpoint, state: Mutex::new(state) })
    }

    /// Returns the cached token, or a new one if it expires soon.
    pub(super) async fn get(&self, http: &Client, client: &ClientKey) -> Result<AccessToken, OktaError> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| token.good_until > Instant::now()) {
            return Ok(token.clone());
        }
        // A scope that was missing may have been granted in the meantime.
        state.scopes = SCOPES;
        let token = self.fetch(&mut state, http, client).await?;
        state.token = Some(token.clone());
        Ok(token)
    }

    /// Drops a token that Okta rejected.
    pub(super) async fn forget(&self) {
        self.state.lock().await.token = None;
    }

    async fn fetch(&self, state: &mut TokenState, http: &Client, client: &ClientKey) -> Result<AccessToken, OktaError> {
        for _ in 0..ATTEMPTS {
            let mut form = self.endpoint.clone();
            form.query_pairs_mut().clear().extend_pairs([
                ("grant_type", "client_credentials"),
                ("scope", state.scopes),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &client.assertion(self.endpoint.as_str())?),
            ]);
            let mut request =
                http.post(self.endpoint.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(key) = &state.key {
                request = request.header("dpop", key.prove("POST", &self.endpoint, state.nonce.as_deref(), None)?);
            }
            let response = sent(request.body(form.query().unwrap_or_default().to_owned())).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read_body(response).await?;
            if let Some(nonce) = headers.get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()) {
                state.nonce = Some(nonce.to_owned());
            }
            if status == StatusCode::OK {
                return granted(state, &body);
            }
            let problem = problem(&body);
            match problem.error.as_str() {
                // Nonces expire; the one in this response is valid.
                "use_dpop_nonce" if headers.contains_key("dpop-nonce") => {}
                "invalid_dpop_proof" if state.key.is_none() => {}
                "invalid_scope" if state.scopes == SCOPES => {
                    tracing::debug!("the service app lacks a scope; requesting access to the System Log only");
                    state.scopes = LEAST_SCOPES;
                    continue;
                }
                _ => return Err(refusal(status, &headers, &problem)),
            }
            if state.key.is_none() {
                state.key = Some(Arc::new(ProofKey::new()?));
            }
        }
        Err(OktaError::Key("Okta's token endpoint rejects every proof of possession".to_owned()))
    }
}

fn granted(state: &TokenState, body: &[u8]) -> Result<AccessToken, OktaError> {
    let granted: TokenResponse = serde_json::from_slice(body)
        .map_err(|_| OktaError::NotOkta("its token endpoint does not return a token".to_owned()))?;
    let key = if granted.token_type.eq_ignore_ascii_case("dpop") { state.key.clone() } else { None };
    let lifetime = Duration::from_secs(granted.expires_in.min(24 * 3600));
    // A short-lived token is used for most of its life.
    let good_for = lifetime.saturating_sub(MARGIN).max(lifetime / 2);
    Ok(AccessToken { token: granted.access_token.into(), key, good_until: Instant::now() + good_for })
}

/// Returns an error that names the setting that must be changed.
fn refusal(status: StatusCode, headers: &HeaderMap, problem: &ApiProblem) -> OktaError {
    let reason = problem.to_string();
    let skew = date(headers).map_or(0, |date| (Timestamp::now().millis() - date.millis()) / 1000);
    match problem.error.as_str() {
        "invalid_client" | "invalid_dpop_proof" if skew.abs() > SKEW => OktaError::Clock(skew),
        "invalid_client" if reason.contains("signature") => {
            OktaError::PrivateKey(format!("Okta does not accept it ({reason})"))
        }
        "invalid_client" | "unauthorized_client" => OktaError::Key(format!("Okta does not accept them ({reason})")),
        "invalid_scope" => OktaError::Forbidden { resource: super::Resource::Logs, oauth: true, reason },
        _ if status == StatusCode::TOO_MANY_REQUESTS => OktaError::TooManyRequests,
        _ if status == StatusCode::NOT_FOUND => OktaError::NotOkta("it has no token endpoint".to_owned()),
        "" => OktaError::Status(status.as_u16(), reason),
        _ => OktaError::Key(reason),
    }
}
