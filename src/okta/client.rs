//! A client of an org's APIs. The client signs in, respects the org's rate limits, and follows links within the org
//! only.

mod access_token;
mod budget;
mod credentials;
mod error;
mod link;
mod proof;
mod resource;
mod response;

pub use credentials::{ClientKey, Credentials, CurrentCredentials};
pub use error::OktaError;
pub use resource::Resource;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;

use crate::event::Timestamp;
use access_token::AccessTokens;
use budget::{Budget, RateLimit};
use error::{ApiProblem, problem};
use response::{date, read_body, sent};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a whole request, including its response.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A page of a list.
#[derive(Debug)]
pub struct OktaPage {
    /// The JSON.
    pub body: Bytes,
    /// The link to the next page, if Okta sent one.
    pub next: Option<Url>,
    /// The time of the response by Okta's clock, or by the local clock if Okta sent none.
    pub answered_at: Timestamp,
}

/// A client of one org. Clones share the connections, the access token and the request budget.
#[derive(Clone, Debug)]
pub struct OktaClient(Arc<ClientState>);

#[derive(Debug)]
struct ClientState {
    http: Client,
    origin: Url,
    credentials: CurrentCredentials,
    tokens: AccessTokens,
    budget: Budget,
}

impl OktaClient {
    /// Creates a client of the org at a URL, such as `https://acme.okta.com`. The client uses a `share` of Okta's rate
    /// limit, between 0 and 1, and leaves the rest to the org's other clients.
    ///
    /// # Errors
    /// The URL is invalid, or the HTTP client cannot be created.
    pub fn new(url: &str, credentials: impl Into<CurrentCredentials>, share: f64) -> Result<Self, OktaError> {
        let origin = Url::parse(url).map_err(|_| OktaError::Address(url.to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let builder = Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none());
        // An Okta simulator on this machine is not behind a proxy.
        let is_local = matches!(origin.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let builder = if is_local { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| OktaError::NoAnswer(error.to_string()))?;
        let tokens = AccessTokens::new(&origin)?;
        let (credentials, budget) = (credentials.into(), Budget::new(share));
        Ok(Self(Arc::new(ClientState { http, origin, credentials, tokens, budget })))
    }

    /// Returns the URL of a resource with query parameters.
    pub fn url(&self, resource: Resource, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.0.origin.clone();
        url.set_path(resource.path());
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    /// Parses a stored link; None if it does not lead to this resource of the org.
    pub fn link(&self, resource: Resource, text: &str) -> Option<Url> {
        Url::parse(text).ok().filter(|url| link::is_of(url, &self.0.origin, resource))
    }

    /// Returns the time to wait before the next request to a resource, so that the client stays within its share of the
    /// rate limit.
    pub fn wait(&self, resource: Resource) -> Duration {
        self.0.budget.wait(resource)
    }

    /// Requests a page, without waiting for the budget (see [`wait`](Self::wait)) and without retries.
    ///
    /// # Errors
    /// See [`OktaError`].
    pub async fn get(&self, resource: Resource, url: Url) -> Result<OktaPage, OktaError> {
        if !link::is_of(&url, &self.0.origin, resource) {
            return Err(OktaError::Elsewhere(url.origin().ascii_serialization()));
        }
        let response = self.send(resource, &url).await?;
        let answered_at = date(response.headers()).unwrap_or_else(Timestamp::now);
        self.0.budget.learn(resource, &RateLimit::read(response.headers()), answered_at);
        let status = response.status();
        let headers = response.headers().clone();
        let body = read_body(response).await?;
        if status == StatusCode::OK {
            let next = link::next(&headers, &url)?;
            if let Some(elsewhere) = next.as_ref().filter(|next| !link::is_of(next, &self.0.origin, resource)) {
                return Err(OktaError::Elsewhere(elsewhere.origin().ascii_serialization()));
            }
            return Ok(OktaPage { body, next, answered_at });
        }
        Err(self.refusal(resource, status, &headers, &problem(&body)))
    }

    /// Sends a request. If Okta rejects the access token, the request is sent once more with a new one.
    async fn send(&self, resource: Resource, url: &Url) -> Result<Response, OktaError> {
        let ClientState { http, credentials, tokens, .. } = &*self.0;
        let key = match credentials.get() {
            Credentials::Token(token) => {
                let mut value = HeaderValue::from_str(&format!("SSWS {}", token.expose_secret()))
                    .map_err(|_| OktaError::Token("it contains characters that a header cannot carry".to_owned()))?;
                value.set_sensitive(true);
                return sent(http.get(url.clone()).header(AUTHORIZATION, value)).await;
            }
            Credentials::Key(key) => key,
        };
        let token = tokens.get(http, &key).await?;
        let response = sent(token.authorize(http.get(url.clone()), "GET", url)?).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        tracing::debug!(resource = resource.path(), "Okta rejected the access token; requesting a new one");
        tokens.forget().await;
        let token = tokens.get(http, &key).await?;
        sent(token.authorize(http.get(url.clone()), "GET", url)?).await
    }

    fn refusal(&self, resource: Resource, status: StatusCode, headers: &HeaderMap, problem: &ApiProblem) -> OktaError {
        let reason = problem.to_string();
        match status {
            StatusCode::BAD_REQUEST => OktaError::Refused(reason),
            StatusCode::UNAUTHORIZED => match self.0.credentials.get() {
                Credentials::Token(_) => OktaError::Token(format!("Okta does not accept it ({reason})")),
                Credentials::Key(_) => OktaError::Key(format!("Okta does not accept its access token ({reason})")),
            },
            StatusCode::FORBIDDEN => {
                OktaError::Forbidden { resource, oauth: self.0.credentials.get().is_key(), reason }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                self.0.budget.pause(resource, seconds.map(Duration::from_secs));
                OktaError::TooManyRequests
            }
            StatusCode::NOT_FOUND => OktaError::NotOkta(format!("{} is not found there", resource.path())),
            status if status.is_redirection() => OktaError::NotOkta(format!("it redirects ({status})")),
            status => OktaError::Status(status.as_u16(), reason),
        }
    }
}
