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

use super::{AuthorizationServer, IssuerState, lock};

/// The id of the server's only client.
pub const CLIENT_ID: &str = "0oasluice";

/// The secret of the server's only client.
pub const CLIENT_SECRET: &str = "the client's secret: 100 % & more";

/// The way in which the server does not do what it should when somebody signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignInLie {
    /// Nothing: it does what it should.
    #[default]
    Nothing,
    /// It sends the browser back with another state.
    State,
    /// It sends the browser back as another issuer (RFC 9207).
    Issuer,
    /// It sends the browser back with an error.
    Refusal,
    /// It sends the browser back without a code.
    NoCode,
    /// Its ID token has another nonce.
    Nonce,
    /// Its ID token has no nonce.
    NoNonce,
    /// Its ID token is for another client.
    Audience,
    /// Its ID token is for several clients, and issued to another one.
    AuthorizedParty,
    /// Its ID token is for several clients, and does not say to which it was issued.
    SeveralAudiences,
    /// Its ID token has expired.
    Expired,
    /// Its ID token was issued an hour ago.
    IssuedLongAgo,
    /// Its ID token has the algorithm `none`.
    Unsigned,
    /// Its ID token is of another issuer.
    OtherIssuer,
    /// Its ID token has no subject.
    NoSubject,
    /// It answers without an ID token.
    NoIdToken,
    /// It answers with HTML.
    Html,
    /// It answers with 1 MiB.
    Large,
    /// It redirects the exchange of a code.
    Redirect,
    /// It answers after a minute.
    Slow,
}

/// The state of sign-in.
#[derive(Debug, Default)]
pub(super) struct SignInState {
    /// The claims of the person who signs in.
    person: Value,
    lie: SignInLie,
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

    /// Tells a lie from now on.
    pub fn lie(&self, lie: SignInLie) {
        lock(&self.state.sign_in).lie = lie;
    }
}

type Parameters = HashMap<String, String>;

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
    let answered_state = match sign_in.lie {
        SignInLie::State => "another-state",
        _ => asked.get("state").map(String::as_str).unwrap_or_default(),
    };
    let more = match sign_in.lie {
        SignInLie::Refusal => {
            "error=access_denied&error_description=User+is+not+assigned+%3Cb%3Eto%3C%2Fb%3E+the+app.".to_owned()
        }
        SignInLie::NoCode => String::new(),
        SignInLie::Issuer => format!("code={code}&iss=https%3A%2F%2Fother.example"),
        _ => format!("code={code}"),
    };
    drop(sign_in);
    let location = format!("{back}?state={answered_state}&{more}");
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// Exchanges a code for an ID token.
pub(super) async fn token(State(state): State<Arc<IssuerState>>, headers: HeaderMap, form: String) -> Response {
    let form = reqwest::Url::parse(&format!("http://form/?{form}"));
    let asked: Parameters = form.map(|form| form.query_pairs().into_owned().collect()).unwrap_or_default();
    let lie = lock(&state.sign_in).lie;
    match lie {
        SignInLie::Html => return "<html>".into_response(),
        SignInLie::Redirect => return (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        SignInLie::Slow => tokio::time::sleep(Duration::from_mins(1)).await,
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
    let id_token = server.id_token(lie, code.nonce.as_deref());
    let mut body = json!({ "token_type": "Bearer", "access_token": "opaque", "expires_in": 3600 });
    match lie {
        SignInLie::NoIdToken => {}
        SignInLie::Large => body["padding"] = json!("x".repeat(1 << 20)),
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
    fn id_token(&self, lie: SignInLie, nonce: Option<&str>) -> anyhow::Result<String> {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let mut claims = json!({ "aud": CLIENT_ID, "nonce": nonce, "sub": "00u1", "sid": "session-1" });
        if let Value::Object(person) = lock(&self.state.sign_in).person.clone() {
            for (name, value) in person {
                claims[name] = value;
            }
        }
        match lie {
            SignInLie::Nonce => claims["nonce"] = json!("another"),
            SignInLie::NoNonce => claims["nonce"] = Value::Null,
            SignInLie::Audience => claims["aud"] = json!("0oaother"),
            SignInLie::AuthorizedParty => {
                claims["aud"] = json!([CLIENT_ID, "0oaother"]);
                claims["azp"] = json!("0oaother");
            }
            SignInLie::SeveralAudiences => claims["aud"] = json!([CLIENT_ID, "0oaother"]),
            SignInLie::Expired => claims["exp"] = json!(now - 60),
            SignInLie::IssuedLongAgo => claims["iat"] = json!(now - 3_600),
            SignInLie::OtherIssuer => claims["iss"] = json!("https://other.example"),
            SignInLie::NoSubject => claims["sub"] = Value::Null,
            _ => {}
        }
        let token = self.token(&claims)?;
        if lie != SignInLie::Unsigned {
            return Ok(token);
        }
        let claims = token.split('.').nth(1).unwrap_or_default();
        Ok(format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)))
    }
}
