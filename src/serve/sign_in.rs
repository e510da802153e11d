//! The routes with which people sign in and out.

mod begun;
mod page;
mod public_host;

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::access::{self, Person, RequestSender};
use super::body::{BodyFault, BodyLimits, TOO_SLOW};
use super::client::RequestClient;
use super::graphql_http::is_json;
use super::problem::Problem;
use super::session_cookie::{self, Cookie, SentBy};
use crate::auth::{
    Authenticator, BegunLogin, BegunSession, LOGIN_TIME, LoginAnswer, LogoutFault, PublicUrl, SessionFault,
    SessionsEnded, SignIn, SignInFault,
};
use begun::BegunLogins;

/// The maximum size of a logout token's body, in bytes.
const LOGOUT_BYTES: usize = 64 << 10;

/// The state of the routes.
#[derive(Clone)]
pub(super) struct SignInState {
    authenticator: Authenticator,
    /// The sign-in and its public URL; None without a public URL.
    sign_in: Option<(SignIn, PublicUrl)>,
    /// The sign-ins that have begun lately.
    begun: BegunLogins,
    body: BodyLimits,
}

/// The parameters of `/auth/login`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginParameters {
    to: Option<String>,
    issuer: Option<String>,
    /// Present if the issuer is to ask who the person is.
    again: Option<String>,
    /// Present if the gateway has sent the browser here from another of its hosts.
    moved: Option<String>,
}

/// The parameters of `/auth/callback`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CallbackParameters {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl SignInState {
    pub(super) fn new(authenticator: &Authenticator, body_timeout: Duration) -> Self {
        let sign_in = authenticator.sign_in().zip(authenticator.public_url().cloned());
        let body = BodyLimits { bytes: LOGOUT_BYTES, timeout: body_timeout };
        Self { authenticator: authenticator.clone(), sign_in, begun: BegunLogins::default(), body }
    }

    fn sign_in(&self) -> Result<&(SignIn, PublicUrl), SignInFault> {
        let configured = self.sign_in.as_ref().filter(|(sign_in, _)| !sign_in.issuers().is_empty());
        configured.ok_or(SignInFault::NotConfigured)
    }

    async fn begin(&self, parameters: LoginParameters, parts: &Parts) -> Result<Response, SignInFault> {
        let (sign_in, public_url) = self.sign_in()?;
        let return_to = sign_in.return_path(parameters.to.as_deref())?;
        let LoginParameters { to, issuer, again, moved } = &parameters;
        let asked = [("issuer", issuer.as_deref()), ("to", to.as_deref()), ("again", again.as_deref())];
        if moved.is_none()
            && let Some(address) = public_host::login_address(public_url, parts, &asked)
        {
            return Ok(redirect(&address, [None]));
        }
        let issuers = sign_in.issuers();
        let issuer = match (&parameters.issuer, &issuers[..]) {
            (Some(issuer), _) => issuer,
            (None, [only]) => only,
            (None, _) => return Ok(page::choice(&issuers, &return_to)),
        };
        if !self.begun.count(RequestClient::of(&parts.extensions).address, Instant::now()) {
            return Err(SignInFault::TooMany);
        }
        let browser = Cookie::Login.value(public_url, &parts.headers);
        let BegunLogin { mut location, browser } = sign_in.begin(issuer, return_to, browser).await?;
        if parameters.again.is_some() {
            location.push_str("&prompt=login");
        }
        Ok(redirect(&location, [Cookie::Login.set(public_url, &browser, LOGIN_TIME)]))
    }

    async fn finish(
        &self,
        parameters: CallbackParameters,
        headers: &HeaderMap,
        sender: &RequestSender,
    ) -> Result<Response, SignInFault> {
        let (sign_in, public_url) = self.sign_in()?;
        let answer = LoginAnswer {
            state: parameters.state,
            code: parameters.code,
            issuer: parameters.iss,
            error: parameters.error,
            description: parameters.error_description,
        };
        let browser = Cookie::Login.value(public_url, headers);
        let earlier = Cookie::Session.value(public_url, headers);
        let finished = sign_in.finish(answer, browser, earlier).await;
        let session = finished.inspect_err(|fault| tell_of_failure(sender, fault))?;
        access::signed_in(sender, Person { issuer: &session.issuer, subject: Some(&session.subject) });
        let BegunSession { id, lasts, return_to, .. } = session;
        Ok(redirect(&return_to, [Cookie::Session.set(public_url, &id, lasts)]))
    }
}

/// Sends a browser to an issuer, or lets the person choose one. A browser at another host goes to the public URL first.
pub(super) async fn login(
    State(state): State<SignInState>,
    parameters: Result<Query<LoginParameters>, QueryRejection>,
    parts: Parts,
) -> Response {
    let Ok(Query(parameters)) = parameters else { return page::fault(&SignInFault::NotLocal) };
    state.begin(parameters, &parts).await.unwrap_or_else(|fault| {
        if !fault.is_of_address() {
            tell_of_failure(&RequestSender::of(&parts.extensions, &parts.headers), &fault);
        }
        page::fault(&fault)
    })
}

/// Takes a browser that comes back from an issuer, and begins a session.
pub(super) async fn callback(
    State(state): State<SignInState>,
    parameters: Result<Query<CallbackParameters>, QueryRejection>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let sender = RequestSender::of(&extensions, &headers);
    // A parameter that comes twice is none: its sender and its reader might take different ones.
    let Query(parameters) = parameters.unwrap_or_default();
    state.finish(parameters, &headers, &sender).await.unwrap_or_else(|fault| page::fault(&fault))
}

/// Tells a page of the gateway where people can sign in, and who has.
pub(super) async fn session(State(state): State<SignInState>, headers: HeaderMap) -> Response {
    let Ok((sign_in, public_url)) = state.sign_in() else {
        return fresh(json!({ "signIn": [], "session": null }));
    };
    let link = |issuer: &String| {
        let issuer_part = form_urlencoded::byte_serialize(issuer.as_bytes()).collect::<String>();
        json!({ "issuer": issuer, "url": format!("/auth/login?issuer={issuer_part}") })
    };
    let links: Vec<_> = sign_in.issuers().iter().map(link).collect();
    let session = match Cookie::Session.value(public_url, &headers) {
        Some(id) if session_cookie::is_own_page(public_url, &headers, SentBy::Request) => {
            state.authenticator.session(id).await
        }
        _ => return fresh(json!({ "signIn": links, "session": null })),
    };
    fresh(match session {
        Ok(session) => {
            let expires = session.expires_at.to_string();
            let session = json!({ "name": session.name, "issuer": session.issuer, "expiresAt": expires });
            json!({ "signIn": links, "session": session })
        }
        Err(fault) => json!({ "signIn": links, "session": null, "message": fault.to_string() }),
    })
}

/// Ends the session of a browser. A page of another site cannot send such a request: it lacks the origin, and JSON.
pub(super) async fn logout(
    State(state): State<SignInState>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let sender = RequestSender::of(&extensions, &headers);
    let Ok((sign_in, public_url)) = state.sign_in() else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", SignInFault::NotConfigured.to_string()));
    };
    if !session_cookie::is_own_page(public_url, &headers, SentBy::Request) {
        access::signed_out(&sender, Err("FOREIGN_ORIGIN"));
        let fault = SessionFault::ForeignPage(public_url.to_string());
        return Err(Problem::new(StatusCode::FORBIDDEN, "FOREIGN_ORIGIN", fault.to_string()));
    }
    if !is_json(&headers) {
        let message = "the content-type must be application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let ended = match Cookie::Session.value(public_url, &headers) {
        Some(id) => sign_in.sign_out(id).await.inspect_err(|fault| access::signed_out(&sender, Err(code(fault)))),
        None => Ok(None),
    };
    let ended = ended.map_err(|fault| Problem::unavailable(fault.to_string()))?;
    if let Some(ended) = &ended {
        access::signed_out(&sender, Ok(Person { issuer: &ended.issuer, subject: Some(&ended.subject) }));
    }
    let mut response = fresh(json!({ "signOut": ended.and_then(|ended| ended.issuers_logout) }));
    append_cookies(&mut response, [Cookie::Session.set(public_url, "", Duration::ZERO)]);
    Ok(response)
}

/// Ends the sessions that an issuer names (OpenID Connect Back-Channel Logout).
pub(super) async fn backchannel_logout(
    State(state): State<SignInState>,
    request: Request,
) -> Result<Response, Problem> {
    let sender = RequestSender::of(request.extensions(), request.headers());
    let refused = |message: String| Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    let (sign_in, _) =
        state.sign_in().map_err(|fault| Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", fault.to_string()))?;
    let body = state.body.read(request.into_body()).await.map_err(|fault| match fault {
        BodyFault::TooLarge => {
            let message = format!("a logout token's body has at most {LOGOUT_BYTES} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
        }
        BodyFault::TooSlow => Problem::too_slow(TOO_SLOW),
        BodyFault::BrokenOff(_) => refused("the body is incomplete".to_owned()),
    })?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token");
    let token =
        tokens.next().ok_or_else(|| refused("the body has no logout_token, in the form of HTML forms".to_owned()))?;
    let ended = sign_in.end_by_issuer(&token.1).await.map_err(|fault| match fault {
        LogoutFault::Unavailable => Problem::unavailable(fault.to_string()),
        _ => refused(fault.to_string()),
    });
    let person = ended.as_ref().map(|SessionsEnded { issuer, subject }| Person { issuer, subject: subject.as_deref() });
    access::signed_out(&sender, person.map_err(Problem::code));
    ended.map(|_| fresh(json!({})))
}

/// Writes to the access log that a sign-in has failed.
fn tell_of_failure(sender: &RequestSender, fault: &SignInFault) {
    let person = fault.issuer().map(|issuer| Person { issuer, subject: fault.subject() });
    access::sign_in_failed(sender, person, code(fault));
}

/// Returns the code of a fault in the access log.
const fn code(fault: &SignInFault) -> &'static str {
    match fault {
        SignInFault::NoRights { .. } => "NO_RIGHTS",
        SignInFault::TooMany => "TOO_MANY_SIGN_INS",
        SignInFault::Busy | SignInFault::Unavailable | SignInFault::NoMetadata(_) => "UNAVAILABLE",
        _ => "UNAUTHENTICATED",
    }
}

/// Creates a response that nobody may keep.
fn fresh(json: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(json)).into_response()
}

fn redirect(location: &str, cookies: [Option<HeaderValue>; 1]) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::LOCATION, location)];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    append_cookies(&mut response, cookies);
    response
}

fn append_cookies(response: &mut Response, cookies: [Option<HeaderValue>; 1]) {
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
