//! Authentication and authorisation: API tokens (`SSWS`) and OAuth 2 access tokens, which may be bound to a key.

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;

use super::refusal::Refusal;
use super::{Org, dpop};

/// A permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `okta.logs.read`.
    ReadLogs,
    /// `okta.apps.read`.
    ReadApps,
}

impl Scope {
    /// Returns Okta's name of the scope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadLogs => "okta.logs.read",
            Self::ReadApps => "okta.apps.read",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::ReadLogs, Self::ReadApps].into_iter().find(|scope| scope.name() == name)
    }
}

/// An API token, which has the permissions of the admin who created it.
#[derive(Clone)]
pub struct ApiToken {
    /// The token.
    pub token: String,
    /// The permissions of the admin.
    pub scopes: Vec<Scope>,
}

impl ApiToken {
    /// Creates a token with all permissions.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), scopes: vec![Scope::ReadLogs, Scope::ReadApps] }
    }
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiToken").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Checks that a request has the scope; `url` is its URL without the query.
pub(super) fn check(org: &Org, request: &Parts, url: &str, scope: Scope) -> Result<(), Refusal> {
    let authorization = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = authorization
        .and_then(|value| value.split_once(' '))
        .ok_or_else(|| Refusal::invalid_token("Authorization: expected `SSWS …`, `Bearer …` or `DPoP …`"))?;
    match scheme {
        "SSWS" => {
            let known = org.options.tokens.iter().find(|known| known.token == token);
            let known = known.ok_or_else(|| Refusal::invalid_token("the API token is not known"))?;
            if known.scopes.contains(&scope) {
                Ok(())
            } else {
                Err(Refusal::forbidden("the admin who made the API token may not do this"))
            }
        }
        "Bearer" | "DPoP" => check_access_token(org, request, url, scope, scheme == "DPoP", token),
        _ => Err(Refusal::invalid_token("Authorization: expected `SSWS …`, `Bearer …` or `DPoP …`")),
    }
}

fn check_access_token(
    org: &Org,
    request: &Parts,
    url: &str,
    scope: Scope,
    bound: bool,
    token: &str,
) -> Result<(), Refusal> {
    let issued = org.tokens.find(token).filter(|issued| issued.expires > org.now());
    let issued = issued.ok_or_else(|| {
        Refusal::invalid_token("the access token is not known, or it has expired")
            .with(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
    })?;
    match (&issued.key, bound) {
        (Some(_), false) => return Err(Refusal::proof("the access token is bound to a key: it is sent as `DPoP …`")),
        (None, true) => return Err(Refusal::proof("the access token is bound to no key: it is sent as `Bearer …`")),
        (None, false) => {}
        (Some(key), true) => {
            let mut proofs = request.headers.get_all("dpop").iter();
            let (Some(proof), None) = (proofs.next().and_then(|value| value.to_str().ok()), proofs.next()) else {
                return Err(Refusal::proof("there must be one DPoP header"));
            };
            let asked = dpop::Request { method: request.method.as_str(), url, token: Some(token) };
            let proof = dpop::check(proof, asked, org.now()).map_err(|rule| Refusal::proof(&rule))?;
            if proof.thumbprint != *key {
                return Err(Refusal::proof("the DPoP proof's key is not that to which the access token is bound"));
            }
            let id = proof.id.ok_or_else(|| Refusal::proof("the DPoP proof must have a jti"))?;
            if !org.nonces.is_new(id) {
                return Err(Refusal::proof("the jti of a DPoP proof is used once"));
            }
        }
    }
    if issued.scopes.contains(&scope) {
        return Ok(());
    }
    let challenge = format!("Bearer error=\"insufficient_scope\", error_description=\"needs {}\"", scope.name());
    Err(Refusal::forbidden(&format!("the access token lacks the scope {}", scope.name()))
        .with(WWW_AUTHENTICATE, &challenge))
}
