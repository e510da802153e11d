//! Admission: the checks of every request's head before its route is called. A request must name one host and must not
//! come from a foreign page, and its client's address must not exceed its limit of concurrent requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;

use super::client::RequestClient;
use super::graphql_http;
use super::origin::{MissingSetting, RequestOrigin};
use super::per_address::AddressPermit;
use super::problem::Problem;
use super::{authority, forwarded};
use crate::auth::{AllowedOrigins, Authenticator, HookSecrets, PublicUrl};

/// The settings that decide which routes are open to everybody on this machine, and which other sites' pages may ask.
#[derive(Clone)]
pub(super) struct Admission {
    authenticator: Authenticator,
    hooks: Arc<BTreeMap<String, HookSecrets>>,
    allowed_origins: AllowedOrigins,
}

/// A refused request, which no route handles.
pub(super) struct AdmissionRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Admission {
    pub(super) const fn new(
        authenticator: Authenticator,
        hooks: Arc<BTreeMap<String, HookSecrets>>,
        allowed_origins: AllowedOrigins,
    ) -> Self {
        Self { authenticator, hooks, allowed_origins }
    }

    /// Returns true if browsers reach the gateway by TLS, as `access.public_url` says.
    pub(super) fn is_https(&self) -> bool {
        self.authenticator.public_url().is_some_and(PublicUrl::is_https)
    }

    /// Admits a request. The returned permit counts the request of a proxy's client until it is dropped.
    ///
    /// # Errors
    /// The request is refused.
    pub(super) fn admit(&self, request: &mut Request) -> Result<Option<Arc<AddressPermit>>, AdmissionRefusal> {
        let admitted = self.check_place(request).and_then(|()| count_request(request));
        if let Err(refused) = &admitted {
            metrics::counter!("sluice_requests_refused_total", "code" => refused.code).increment(1);
            let AdmissionRefusal { code, message, .. } = refused;
            tracing::debug!(code, message, "refused a request because of its head");
        }
        admitted
    }

    /// Refuses a request that does not name exactly one host, or that comes from a foreign page.
    fn check_place(&self, request: &Request) -> Result<(), AdmissionRefusal> {
        let (headers, uri) = (request.headers(), request.uri());
        let host = authority::of(request.version(), uri, headers).map_err(|error| AdmissionRefusal {
            status: StatusCode::BAD_REQUEST,
            code: "BAD_REQUEST",
            message: error.to_string(),
        })?;
        let proxies = RequestClient::trusted_proxies(request.extensions());
        let forwarded_hosts = proxies.map(|proxies| forwarded::hosts(proxies.header, headers)).unwrap_or_default();
        let path = uri.path();
        let origin = RequestOrigin {
            method: request.method(),
            path,
            host,
            forwarded_hosts: &forwarded_hosts,
            allowed_origins: &self.allowed_origins,
            public_url: self.authenticator.public_url(),
            headers,
        };
        origin.check(self.missing(path)).map_err(|foreign| AdmissionRefusal {
            status: StatusCode::FORBIDDEN,
            code: foreign.code(),
            message: foreign.to_string(),
        })
    }

    /// Returns the missing setting because of which a path is open to everybody on this machine; None if it is set.
    fn missing(&self, path: &str) -> Option<MissingSetting> {
        let org = path.strip_prefix("/okta/").and_then(|rest| rest.split('/').next());
        let org = org.map(|org| percent_decode_str(org).decode_utf8_lossy());
        match org.as_deref().and_then(|org| Some((org, self.hooks.get(org)?))) {
            Some((org, secrets)) => secrets.is_open().then(|| MissingSetting::HookSecrets(org.to_owned())),
            None => self.authenticator.is_open().then_some(MissingSetting::Readers),
        }
    }
}

/// Counts the request of a trusted proxy for the client that the proxy names. Other connections are counted when they
/// are accepted.
fn count_request(request: &mut Request) -> Result<Option<Arc<AddressPermit>>, AdmissionRefusal> {
    let Some(proxies) = RequestClient::trusted_proxies(request.extensions()).cloned() else { return Ok(None) };
    let Some(peer) = request.extensions().get::<RequestClient>().map(|client| client.address) else { return Ok(None) };
    let address = forwarded::client(&proxies, peer, request.headers());
    let Some(client) = request.extensions_mut().get_mut::<RequestClient>() else { return Ok(None) };
    let held = client.count(address).map_err(|limit| AdmissionRefusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "TOO_MANY_CONNECTIONS",
        message: format!("{address} has {limit} running requests already (limits.connections_per_address)"),
    })?;
    Ok(Some(held))
}

impl AdmissionRefusal {
    /// Responds in the format of the request's route.
    pub(super) fn respond(self, request: &Request) -> Response {
        let Self { status, code, message } = self;
        let mut response = if request.uri().path() == "/graphql" {
            graphql_http::refuse(request.headers(), status, code, message)
        } else {
            Problem::new(status, code, message).into_response()
        };
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
