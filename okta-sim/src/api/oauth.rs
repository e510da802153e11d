//! OAuth 2 client credentials of service apps, which authenticate with their own key (`private_key_jwt`).

use std::collections::HashMap;
use std::sync::Mutex;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Scope;
use super::refusal::Refusal;
use super::{Org, dpop, lock};

/// The maximum lifetime of a client assertion, in seconds.
const LONGEST_ASSERTION: i64 = 3600;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A service app: a program with its own key.
#[derive(Clone)]
pub struct ServiceApp {
    /// The id, `0oa…`.
    pub client_id: String,
    /// The public key, in PEM format.
    pub public_key: String,
    /// The scopes that an admin has granted.
    pub scopes: Vec<Scope>,
    /// True if its tokens are bound to a key (DPoP), Okta's default for new apps.
    pub dpop: bool,
}

impl std::fmt::Debug for ServiceApp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServiceApp").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// The error of a key that could not be generated.
#[derive(Debug, thiserror::Error)]
#[error("a key could not be made")]
pub struct ServiceAppError;

impl ServiceApp {
    /// Creates an app with a new RSA key, all scopes and DPoP. Returns also the private key, in PEM format.
    ///
    /// # Errors
    /// The key cannot be generated.
    pub fn with_new_key(client_id: &str) -> Result<(Self, String), ServiceAppError> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| ServiceAppError)?;
        let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().map_err(|_| ServiceAppError)?;
        let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
            key.public_key().as_der().map_err(|_| ServiceAppError)?;
        let app = Self {
            client_id: client_id.to_owned(),
            public_key: pem("PUBLIC KEY", public.as_ref()),
            scopes: vec![Scope::ReadLogs, Scope::ReadApps],
            dpop: true,
        };
        Ok((app, pem("PRIVATE KEY", private.as_ref())))
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// An issued access token.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) scopes: Vec<Scope>,
    /// The thumbprint of the key to which the token is bound.
    pub(super) key: Option<String>,
    pub(super) expires: OffsetDateTime,
}

/// The issued access tokens.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens(Mutex<HashMap<String, Issued>>);

impl IssuedTokens {
    pub(super) fn find(&self, token: &str) -> Option<Issued> {
        lock(&self.0).get(token).cloned()
    }

    /// Makes all tokens invalid.
    pub(super) fn revoke(&self) {
        lock(&self.0).clear();
    }
}

#[derive(Debug, Deserialize)]
struct Assertion {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<String>,
    exp: Option<i64>,
    iat: Option<i64>,
    jti: Option<String>,
}

/// Responds to `POST /oauth2/v1/token`.
pub(super) fn token(org: &Org, url: &str, headers: &HeaderMap, body: &str) -> Result<String, Refusal> {
    let form =
        reqwest::Url::parse(&format!("http://form/?{body}")).map_err(|_| invalid_request("the body is no form"))?;
    let form: HashMap<_, _> = form.query_pairs().into_owned().collect();
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if get("grant_type") != "client_credentials" {
        return Err(Refusal::oauth(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "grant_type: a service app uses client_credentials",
        ));
    }
    if get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err(invalid_client(
            "client_assertion_type must be …:jwt-bearer: a service app comes with private_key_jwt",
        ));
    }
    let app = check_assertion(org, url, get("client_assertion"))?;
    let key = if app.dpop { Some(check_proof(org, url, headers)?) } else { None };
    let scopes: Result<Vec<_>, _> = get("scope").split_whitespace().map(|name| granted(&app, name)).collect();
    let scopes = scopes?;
    if scopes.is_empty() {
        return Err(invalid_scope("scope: at least one must be asked for"));
    }
    let token = format!("sim-{}", Uuid::new_v4().simple());
    let expires = org.now() + org.options.token_lifetime;
    let kind = if key.is_some() { "DPoP" } else { "Bearer" };
    lock(&org.tokens.0).insert(token.clone(), Issued { scopes, key, expires });
    let lifetime = org.options.token_lifetime.as_secs();
    let answer = json!({"token_type": kind, "expires_in": lifetime, "access_token": token, "scope": get("scope")});
    Ok(answer.to_string())
}

fn granted(app: &ServiceApp, name: &str) -> Result<Scope, Refusal> {
    let scope = Scope::named(name).filter(|scope| app.scopes.contains(scope));
    scope.ok_or_else(|| invalid_scope(&format!("scope: {name} is not granted to the app")))
}

fn check_assertion(org: &Org, url: &str, assertion: &str) -> Result<ServiceApp, Refusal> {
    let header = decode_header(assertion).map_err(|_| invalid_client("client_assertion is not a JWT"))?;
    let unverified = jsonwebtoken::dangerous::insecure_decode::<Assertion>(assertion);
    let claimed = unverified.map_err(|_| invalid_client("client_assertion has no claims"))?.claims;
    let app = org.options.service_apps.iter().find(|app| Some(&app.client_id) == claimed.sub.as_ref());
    let app = app.ok_or_else(|| invalid_client("client_assertion: sub must be the id of a client"))?;
    let key = match header.alg {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => DecodingKey::from_rsa_pem(app.public_key.as_bytes()),
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(app.public_key.as_bytes()),
        _ => return Err(invalid_client("client_assertion: alg must be that of a key pair")),
    };
    let key = key.map_err(|_| invalid_client("client_assertion: its alg is not that of the client's key"))?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = decode::<Assertion>(assertion, &key, &validation);
    let Assertion { iss, sub, aud, exp, iat, jti } =
        verified.map_err(|_| invalid_client("client_assertion: the signature is not that of the client's key"))?.claims;
    let now = org.now().unix_timestamp();
    let exp = exp.ok_or_else(|| invalid_client("client_assertion: exp must be there"))?;
    let broken = if iss != sub {
        "client_assertion: iss must be the client's id, as sub is"
    } else if aud.as_deref() != Some(url) {
        "client_assertion: aud must be the address of the token endpoint"
    } else if exp <= now {
        "The client_assertion token is expired"
    } else if exp > now + LONGEST_ASSERTION {
        "client_assertion: exp must be within one hour"
    } else if iat.is_some_and(|iat| iat > now + 60) {
        "client_assertion: iat must not be in the future"
    } else if jti.is_some_and(|jti| !org.nonces.is_new(format!("assertion {jti}"))) {
        "client_assertion: a jti is used once"
    } else {
        return Ok(app.clone());
    };
    Err(invalid_client(broken))
}

fn check_proof(org: &Org, url: &str, headers: &HeaderMap) -> Result<String, Refusal> {
    let invalid = |rule: &str| Refusal::oauth(StatusCode::BAD_REQUEST, "invalid_dpop_proof", rule);
    let proof = headers.get("dpop").and_then(|value| value.to_str().ok());
    let proof = proof.ok_or_else(|| invalid("The DPoP proof JWT header is missing."))?;
    let request = dpop::Request { method: "POST", url, token: None };
    let proof = dpop::check(proof, request, org.now()).map_err(|rule| invalid(&rule))?;
    let nonce = org.nonces.current();
    if proof.nonce.as_deref() != Some(nonce.as_str()) {
        let refusal = Refusal::oauth(
            StatusCode::BAD_REQUEST,
            "use_dpop_nonce",
            "Authorization server requires nonce in DPoP proof.",
        );
        return Err(refusal.with(DPOP_NONCE, &nonce));
    }
    let id = proof.id.ok_or_else(|| invalid("the DPoP proof must have a jti beside its nonce"))?;
    if !org.nonces.is_new(id) {
        return Err(invalid("the jti of a DPoP proof is used once"));
    }
    Ok(proof.thumbprint)
}

fn invalid_request(rule: &str) -> Refusal {
    Refusal::oauth(StatusCode::BAD_REQUEST, "invalid_request", rule)
}

fn invalid_client(rule: &str) -> Refusal {
    Refusal::oauth(StatusCode::UNAUTHORIZED, "invalid_client", rule)
}

fn invalid_scope(rule: &str) -> Refusal {
    Refusal::oauth(StatusCode::BAD_REQUEST, "invalid_scope", rule)
}
