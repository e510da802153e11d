//! A custom authorization server: its metadata, its keys, the access tokens that it signs, and the sign-in of people.

mod client_credentials;
mod options;
mod sign_in;

pub use client_credentials::ServiceClient;
pub use options::IssuerOptions;
pub use sign_in::{CLIENT_ID, CLIENT_SECRET, SignInBehaviour};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The behaviour of an authorization server that is asked for its metadata or its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerBehaviour {
    /// Responses as Okta's.
    #[default]
    Correct,
    /// Responses with this status.
    Status(u16),
    /// Redirects to itself.
    Redirect,
    /// Key sets of 1 MiB.
    Large,
    /// Responses after this time.
    Slow(Duration),
    /// Metadata of another issuer.
    OtherIssuer,
    /// Metadata and tokens whose issuer ends in a slash, as Auth0's do.
    EndsInSlash,
}

/// A running authorization server. It ends when all clones are dropped.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    state: Arc<IssuerState>,
    /// Ends the server; None for a handler, which is a part of it.
    _end: Option<Arc<DropGuard>>,
}

#[derive(Debug)]
struct IssuerState {
    address: SocketAddr,
    keys: Mutex<Vec<SigningKey>>,
    behaviour: Mutex<IssuerBehaviour>,
    /// The number of requests for keys.
    fetches: AtomicUsize,
    /// The number in the id of the next key.
    next_key: AtomicU64,
    sign_in: Mutex<sign_in::SignInState>,
    token_auth_methods: Mutex<Vec<&'static str>>,
    /// The service that gets access tokens by its credentials.
    service: Mutex<Option<ServiceClient>>,
}

#[derive(Clone)]
struct SigningKey {
    key: EncodingKey,
    public: Value,
    id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    fn new(id: String) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok().context("no key could be made")?;
        let der = pair.to_pkcs8v1().ok().context("the key has no document")?;
        let key = EncodingKey::from_ec_der(der.as_ref());
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256)?)?;
        public["kid"] = json!(id);
        public["use"] = json!("sig");
        Ok(Self { key, public, id })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AuthorizationServer {
    /// Starts a server on a listener. The ids of its keys count from `key-0`.
    ///
    /// # Errors
    /// The listener has no address, or no key could be made.
    pub fn start(listener: TcpListener) -> anyhow::Result<Self> {
        Self::start_with_key(listener, 0)
    }

    /// Starts a server on a listener. The ids of its keys count from this number.
    ///
    /// # Errors
    /// The listener has no address, or no key could be made.
    pub fn start_with_key(listener: TcpListener, number: u64) -> anyhow::Result<Self> {
        let state = Arc::new(IssuerState {
            address: listener.local_addr()?,
            keys: Mutex::default(),
            behaviour: Mutex::default(),
            fetches: AtomicUsize::new(0),
            next_key: AtomicU64::new(number),
            sign_in: Mutex::default(),
            token_auth_methods: Mutex::new(vec!["client_secret_basic", "client_secret_post"]),
            service: Mutex::default(),
        });
        let end = CancellationToken::new();
        let routes = Router::new()
            .route("/oauth2/default/.well-known/openid-configuration", get(metadata))
            .route("/oauth2/default/v1/keys", get(keys))
            .route("/oauth2/default/v1/authorize", get(sign_in::authorize))
            .route("/oauth2/default/v1/token", post(sign_in::token))
            .with_state(Arc::clone(&state));
        let stop = end.clone();
        tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await });
        let server = Self { state, _end: Some(Arc::new(end.drop_guard())) };
        server.rotate(false)?;
        Ok(server)
    }

    const fn of(state: Arc<IssuerState>) -> Self {
        Self { state, _end: None }
    }

    /// Returns the URL of the issuer.
    pub fn url(&self) -> String {
        self.state.url()
    }

    /// Changes the behaviour.
    pub fn behave(&self, behaviour: IssuerBehaviour) {
        *lock(&self.state.behaviour) = behaviour;
    }

    /// Accepts the client's secret in these ways only from now on.
    pub fn accept_secrets_by(&self, methods: &[&'static str]) {
        *lock(&self.state.token_auth_methods) = methods.to_vec();
    }

    /// Returns the number of requests for keys until now.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// Signs with a new key from now on. The old ones stay in the key set only with `keep`.
    ///
    /// # Errors
    /// No key could be made.
    pub fn rotate(&self, keep: bool) -> anyhow::Result<()> {
        let id = format!("key-{}", self.state.next_key.fetch_add(1, Ordering::SeqCst));
        let key = SigningKey::new(id)?;
        let mut keys = lock(&self.state.keys);
        if !keep {
            keys.clear();
        }
        keys.insert(0, key);
        drop(keys);
        Ok(())
    }

    /// Returns an access token with these claims, and with Okta's own unless they are given: the issuer, the time of issue
    /// and an end in an hour. A claim that is null is left out.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn token(&self, claims: &Value) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = lock(&self.state.keys).first().map(|key| key.id.clone());
        self.sign(&header, claims)
    }

    /// Returns a token with this header and these claims, signed with the current key.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn sign(&self, header: &Header, claims: &Value) -> anyhow::Result<String> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut all = json!({"iss": self.state.name(), "iat": now, "exp": now + 3600, "ver": 1});
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        if let Some(all) = all.as_object_mut() {
            all.retain(|_, value| !value.is_null());
        }
        let key = lock(&self.state.keys).first().cloned().context("there is no key")?;
        Ok(encode(header, &all, &key.key)?)
    }
}

impl IssuerState {
    fn url(&self) -> String {
        format!("http://{}/oauth2/default", self.address)
    }

    /// Returns the issuer's name in its metadata and tokens.
    fn name(&self) -> String {
        let slash = if *lock(&self.behaviour) == IssuerBehaviour::EndsInSlash { "/" } else { "" };
        format!("{}{slash}", self.url())
    }
}

async fn metadata(State(state): State<Arc<IssuerState>>) -> Response {
    let behaviour = *lock(&state.behaviour);
    let issuer =
        if behaviour == IssuerBehaviour::OtherIssuer { "https://other.example".to_owned() } else { state.name() };
    let at = |endpoint: &str| format!("{}/v1/{endpoint}", state.url());
    let metadata = json!({
        "issuer": issuer,
        "jwks_uri": at("keys"),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "end_session_endpoint": at("logout"),
        "token_endpoint_auth_methods_supported": *lock(&state.token_auth_methods),
    });
    respond(&state, behaviour, metadata).await
}

async fn keys(State(state): State<Arc<IssuerState>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<_> = lock(&state.keys).iter().map(|key| key.public.clone()).collect();
    let behaviour = *lock(&state.behaviour);
    respond(&state, behaviour, json!({ "keys": keys })).await
}

async fn respond(state: &IssuerState, behaviour: IssuerBehaviour, mut body: Value) -> Response {
    match behaviour {
        IssuerBehaviour::Correct | IssuerBehaviour::OtherIssuer | IssuerBehaviour::EndsInSlash => {}
        IssuerBehaviour::Status(status) => {
            return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        }
        IssuerBehaviour::Redirect => {
            let keys = format!("{}/v1/keys", state.url());
            return (StatusCode::FOUND, [(header::LOCATION, keys)]).into_response();
        }
        IssuerBehaviour::Large => body["padding"] = json!("x".repeat(1 << 20)),
        IssuerBehaviour::Slow(time) => tokio::time::sleep(time).await,
    }
    Json(body).into_response()
}
