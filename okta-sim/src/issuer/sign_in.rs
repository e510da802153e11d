//! Sign-in at an authorization server: the authorization code flow with PKCE, without a page, as if the person had a session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{AuthorizationServer, IssuerState, client_credentials, lock};

/// The id of the server's only client.
pub const CLIENT_ID: &str = "0oasluice";

/// The secret of the server's only client.
pub const CLIENT_SECRET: &str = "the client's secret: 100 % & more";

/// The behaviour of an authorization server at which somebody signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignInBehaviour {
    /// Sign-ins as at Okta.
    #[default]
    Correct,
    /// Redirects to the gateway with another `state`.
    State,
    /// Redirects to the gateway with another issuer in `iss` (RFC 9207).
    Issuer,
    /// Redirects to the gateway with an error.
    Refusal,
    /// Redirects to the gateway without a code.
    NoCode,
    /// ID tokens with another nonce.
    Nonce,
    /// ID tokens without a nonce.
    NoNonce,
    /// ID tokens for another client.
    Audience,
    /// ID tokens for several clients, issued to another one (`azp`).
    AuthorizedParty,
    /// ID tokens for several clients, without the one to which they were issued (`azp`).
    SeveralAudiences,
    /// ID tokens that have expired.
    Expired,
    /// ID tokens that were issued an hour ago.
    IssuedLongAgo,
    /// ID tokens with the algorithm `none`.
    Unsigned,
    /// ID tokens of another issuer.
    OtherIssuer,
    /// ID tokens without a subject.
    NoSubject,
    /// Responses to a code without an ID token.
    NoIdToken,
    /// Responses to a code in HTML.
    Html,
    /// Responses to a code of 1 MiB.
    Large,
    /// Redirects of the request with the code.
    Redirect,
    /// Responses to a code after a minute.
    Slow,
}

/// The state of sign-in.
#[derive(Debug, Default)]
pub(super) struct SignInState {
    /// The claims of the person who signs in.
    person: Value,
    behaviour: SignInBehaviour,
    codes: HashMap<String, IssuedCode>,
}

#[derive(Debug)]
struct IssuedCode {
    nonce: Option<String>,
    redirect_uri: Option<String>,
    challenge: Option<String>,
}

impl AuthorizationServer {
    /// Lets a person with these claims sign in from now on.
    pub fn let_in(&self, person: Value) {
        lock(&self.state.sign_in).person = person;
    }

    /// Behaves in this way when somebody signs in, from now on.
    pub fn behave_at_sign_in(&self, behaviour: SignInBehaviour) {
        lock(&self.state.sign_in).behaviour = behaviour;
    }
}

/// The parameters of a request.
pub(super) type Parameters = HashMap<String, String>;

/// Sends the browser back with a code.
pub(super) async fn authorize(State(state): State<Arc<IssuerState>>, Query(asked): Query<Parameters>) -> Response {
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|found| found == value);
    let scopes = asked.get("scope").map(String::as_str).unwrap_or_default();
    let is_right = is("response_type", "code")
        && is("client_id", CLIENT_ID)
        && is("code_challenge_method", "S256")
        && scopes.split(' ').any(|scope| scope == "openid");
    let Some(back) = asked.get("redirect_uri").filter(|_| is_right) else {
        return (StatusCode::BAD_REQUEST, "invalid_request").into_response();
    };
    let mut sign_in = lock(&state.sign_in);
    let code = Uuid::new_v4().to_string();
    let issued = IssuedCode {
        nonce: asked.get("nonce").cloned(),
        redirect_uri: Some(back.clone()),
        challenge: asked.get("code_challenge").cloned(),
    };
    sign_in.codes.insert(code.clone(), issued);
    let answered_state = match sign_in.behaviour {
        SignInBehaviour::State => "another-state",
        _ => asked.get("state").map(String::as_str).unwrap_or_default(),
    };
    let more = match sign_in.behaviour {
        SignInBehaviour::Refusal => {
            "error=access_denied&error_description=User+is+not+assigned+%3Cb%3Eto%3C%2Fb%3E+the+app.".to_owned()
        }
        SignInBehaviour::NoCode => String::new(),
        SignInBehaviour::Issuer => format!("code={code}&iss=https%3A%2F%2Fother.example"),
        _ => format!("code={code}"),
    };
    drop(sign_in);
    let location = format!("{back}?state={answered_state}&{more}");
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// Exchanges a code for an ID token, or the credentials of a service for an access token.
pub(super) async fn token(State(state): State<Arc<IssuerState>>, headers: HeaderMap, form: String) -> Response {
    let form = reqwest::Url::parse(&format!("http://form/?{form}"));
    let asked: Parameters = form.map(|form| form.query_pairs().into_owned().collect()).unwrap_or_default();
    if IssuerState::is_of_service(&asked) {
        return client_credentials::token(&AuthorizationServer::of(state), &headers, &asked);
    }
    let behaviour = lock(&state.sign_in).behaviour;
    match behaviour {
        SignInBehaviour::Html => return "<html>".into_response(),
        SignInBehaviour::Redirect => return (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        SignInBehaviour::Slow => tokio::time::sleep(Duration::from_mins(1)).await,
        _ => {}
    }
    let refused = |error: &str| {
        let body = json!({ "error": error, "error_description": "The client or the code is not valid." });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    if !is_client(&headers, &asked) {
        return refused("invalid_client");
    }
    let code = asked.get("code").and_then(|code| lock(&state.sign_in).codes.remove(code));
    let Some(code) = code.filter(|code| code.allows(&asked)) else { return refused("invalid_grant") };
    let server = AuthorizationServer::of(Arc::clone(&state));
    let id_token = server.id_token(behaviour, code.nonce.as_deref());
    let mut body = json!({ "token_type": "Bearer", "access_token": "opaque", "expires_in": 3600 });
    match behaviour {
        SignInBehaviour::NoIdToken => {}
        SignInBehaviour::Large => body["padding"] = json!("x".repeat(1 << 20)),
        _ => body["id_token"] = json!(id_token.unwrap_or_default()),
    }
    Json(body).into_response()
}

/// Returns true if a request has the client's id and secret, in its header or its form.
fn is_client(headers: &HeaderMap, asked: &Parameters) -> bool {
    let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let Some(basic) = basic else {
        let is = |name: &str, value: &str| asked.get(name).is_some_and(|found| found == value);
        return is("client_id", CLIENT_ID) && is("client_secret", CLIENT_SECRET);
    };
    let pair = STANDARD.decode(basic).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // Blanks and signs are written as in a form.
    pair.is_some_and(|pair| pair == format!("{CLIENT_ID}:the+client%27s+secret%3A+100+%25+%26+more"))
}

impl IssuedCode {
    fn allows(&self, asked: &Parameters) -> bool {
        let verifier = asked.get("code_verifier").map(|text| URL_SAFE_NO_PAD.encode(Sha256::digest(text)));
        verifier == self.challenge && asked.get("redirect_uri") == self.redirect_uri.as_ref()
    }
}

impl AuthorizationServer {
    fn id_token(&self, behaviour: SignInBehaviour, nonce: Option<&str>) -> anyhow::Result<String> {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let mut claims = json!({ "aud": CLIENT_ID, "nonce": nonce, "sub": "00u1", "sid": "session-1" });
        if let Value::Object(person) = lock(&self.state.sign_in).person.clone() {
            for (name, value) in person {
                claims[name] = value;
            }
        }
        match behaviour {
            SignInBehaviour::Nonce => claims["nonce"] = json!("another"),
            SignInBehaviour::NoNonce => claims["nonce"] = Value::Null,
            SignInBehaviour::Audience => claims["aud"] = json!("0oaother"),
            SignInBehaviour::AuthorizedParty => {
                claims["aud"] = json!([CLIENT_ID, "0oaother"]);
                claims["azp"] = json!("0oaother");
            }
            SignInBehaviour::SeveralAudiences => claims["aud"] = json!([CLIENT_ID, "0oaother"]),
            SignInBehaviour::Expired => claims["exp"] = json!(now - 60),
            SignInBehaviour::IssuedLongAgo => claims["iat"] = json!(now - 3_600),
            SignInBehaviour::OtherIssuer => claims["iss"] = json!("https://other.example"),
            SignInBehaviour::NoSubject => claims["sub"] = Value::Null,
            _ => {}
        }
        let token = self.token(&claims)?;
        if behaviour != SignInBehaviour::Unsigned {
            return Ok(token);
        }
        let claims = token.split('.').nth(1).unwrap_or_default();
        Ok(format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)))
    }
}
