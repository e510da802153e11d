//! Sign-in of people by OpenID Connect: the authorization code flow with PKCE.
//!
//! A browser is sent to the issuer with a `state`, a `nonce` and the challenge of PKCE, which a row in the database remembers for
//! 10 minutes. The issuer sends it back with a code, which the gateway exchanges for an ID token. Its claims decide, by the
//! issuer's rules, which rights the person's session has.

mod code_exchange;
mod fault;
mod id_token;
mod logout_token;

pub use fault::{LogoutFault, SignInFault};
pub use id_token::LOGIN_TIME;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;

use super::issuers::{Issuer, Issuers, SignInSettings};
use super::public_url::PublicUrl;
use super::sessions::{RandomText, Sessions, after, digest};
use crate::access::{AccessRecords, LoginKey, LoginRecord, SessionRecord};
use crate::event::Timestamp;
use fault::{shown, shown_error};

/// The number of sign-ins that use the database at once, since anybody can begin one, and each writes.
const WRITING: usize = 1;

/// The longest wait for the beginning of a sign-in, and for its row.
const PATIENCE: Duration = Duration::from_secs(3);

/// The least interval between two log lines about failures.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The path to which issuers send browsers back.
const CALLBACK: &str = "/auth/callback";

/// The sign-in of people. Clones share the state.
#[derive(Clone, Debug)]
pub struct SignIn {
    issuers: Issuers,
    sessions: Sessions,
    public_url: PublicUrl,
    writing: Arc<Semaphore>,
    /// The time of the last log line about a failure.
    logged: Arc<Mutex<Option<Instant>>>,
}

/// A sign-in that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunLogin {
    /// The issuer's address to which the browser is sent.
    pub location: String,
    /// The cookie by which the browser is known when it comes back.
    pub browser: String,
}

/// The parameters with which an issuer sends a browser back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginAnswer {
    /// The parameter `state`.
    pub state: Option<String>,
    /// The parameter `code`.
    pub code: Option<String>,
    /// The parameter `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// The parameter `error`.
    pub error: Option<String>,
    /// The parameter `error_description`.
    pub description: Option<String>,
}

/// A session that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunSession {
    /// The cookie's value.
    pub id: String,
    /// The time for which the session lasts.
    pub lasts: Duration,
    /// The path of the gateway to which the browser returns.
    pub return_to: String,
    /// The configured name of the issuer.
    pub issuer: String,
    /// The subject of the person.
    pub subject: String,
}

/// A session that its person has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The subject of the person.
    pub subject: String,
    /// The issuer's address at which its own session ends, if it has one.
    pub issuers_logout: Option<String>,
}

/// The sessions that an issuer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsEnded {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The subject of the person, if the issuer has named it.
    pub subject: Option<String>,
}

impl SignIn {
    pub(super) fn new(issuers: Issuers, sessions: Sessions, public_url: PublicUrl) -> Self {
        let writing = Arc::new(Semaphore::new(WRITING));
        Self { issuers, sessions, public_url, writing, logged: Arc::default() }
    }

    /// Returns the names of the issuers at which people may sign in.
    pub fn issuers(&self) -> Vec<String> {
        self.issuers.with_sign_in()
    }

    /// Returns the path of the gateway to which a browser wants to return after it has signed in.
    ///
    /// # Errors
    /// The text leads elsewhere.
    pub fn return_path(&self, to: Option<&str>) -> Result<String, SignInFault> {
        self.public_url.local_path(to.unwrap_or("/")).ok_or(SignInFault::NotLocal)
    }

    /// Begins a sign-in at an issuer. `browser` is the cookie of an earlier one, if the browser has it: so several tabs can sign in.
    ///
    /// # Errors
    /// The sign-in cannot begin.
    pub async fn begin(
        &self,
        issuer: &str,
        return_to: String,
        browser: Option<&str>,
    ) -> Result<BegunLogin, SignInFault> {
        let (issuer, settings) = self.issuer(issuer)?;
        let begun = timeout(PATIENCE, self.begin_at(&issuer, &settings, return_to, browser)).await;
        self.counted(&issuer, begun.unwrap_or(Err(SignInFault::Busy)))
    }

    async fn begin_at(
        &self,
        issuer: &Arc<Issuer>,
        settings: &SignInSettings,
        return_to: String,
        browser: Option<&str>,
    ) -> Result<BegunLogin, SignInFault> {
        let name = &issuer.settings.name;
        let metadata = issuer.metadata().await.ok_or_else(|| SignInFault::NoMetadata(name.clone()))?;
        let endpoint = metadata.authorization_endpoint.clone();
        let mut location = endpoint.ok_or_else(|| SignInFault::NoEndpoint(name.clone(), "authorization_endpoint"))?;
        let browser = browser.and_then(RandomText::known).unwrap_or_else(RandomText::new);
        let [state, nonce, verifier] = std::array::from_fn(|_| RandomText::new());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_str()));
        let redirect_uri = self.public_url.with_path(CALLBACK);
        location.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &redirect_uri),
            ("scope", &settings.scopes.join(" ")),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let key = LoginKey { state: state.digest(), browser: browser.digest() };
        let (nonce, verifier) = (nonce.as_str().to_owned(), verifier.as_str().to_owned());
        let login = LoginRecord { issuer: name.clone(), nonce, verifier, return_to };
        let expires = after(Timestamp::now(), LOGIN_TIME);
        let _permit = self.writing.acquire().await.map_err(|_| SignInFault::Busy)?;
        self.access()?.add_login(&key, &login, expires).await.map_err(|error| SignInFault::of_database(&error))?;
        Ok(BegunLogin { location: location.into(), browser: browser.as_str().to_owned() })
    }

    /// Finishes a sign-in: takes its row, exchanges the code, verifies the ID token, and begins a session. The browser's earlier
    /// session ends.
    ///
    /// # Errors
    /// The sign-in has failed, or gives no rights.
    pub async fn finish(
        &self,
        answer: LoginAnswer,
        browser: Option<&str>,
        earlier: Option<&str>,
    ) -> Result<BegunSession, SignInFault> {
        let (Some(state), Some(browser)) = (&answer.state, browser) else { return Err(SignInFault::UnknownLogin) };
        let key = LoginKey { state: digest(state), browser: digest(browser) };
        let login = timeout(PATIENCE, self.take_login(&key)).await.unwrap_or(Err(SignInFault::Busy))?;
        let (issuer, settings) = self.issuer(&login.issuer)?;
        let finished = self.counted(&issuer, self.finish_at(&issuer, &settings, login, answer).await)?;
        if let Some(earlier) = earlier {
            // The session that the browser had before would otherwise last without anybody who could end it.
            if let Err(error) = self.sessions.end(earlier).await {
                tracing::debug!(%error, "could not end the earlier session of a browser");
            }
        }
        metrics::counter!("sluice_sign_ins_total", "issuer" => issuer.settings.name.clone(), "result" => "signed_in")
            .increment(1);
        Ok(finished)
    }

    async fn take_login(&self, key: &LoginKey) -> Result<LoginRecord, SignInFault> {
        let _permit = self.writing.acquire().await.map_err(|_| SignInFault::Busy)?;
        let login = self.access()?.take_login(key).await.map_err(|error| SignInFault::of_database(&error))?;
        login.ok_or(SignInFault::UnknownLogin)
    }

    async fn finish_at(
        &self,
        issuer: &Arc<Issuer>,
        settings: &SignInSettings,
        login: LoginRecord,
        answer: LoginAnswer,
    ) -> Result<BegunSession, SignInFault> {
        let name = &issuer.settings.name;
        let metadata = issuer.metadata().await.ok_or_else(|| SignInFault::NoMetadata(name.clone()))?;
        let expected = &issuer.settings.conditions.issuer;
        if answer.issuer.as_ref().map_or(metadata.names_itself, |found| found != expected) {
            return Err(SignInFault::OtherIssuer(name.clone(), shown(answer.issuer.as_deref().unwrap_or("none"))));
        }
        if let Some(error) = &answer.error {
            return Err(SignInFault::Refused(name.clone(), shown_error(error, answer.description.as_deref())));
        }
        let code = answer.code.as_deref().ok_or_else(|| SignInFault::NoCode(name.clone()))?;
        let endpoint = metadata.token_endpoint.clone();
        let exchange = code_exchange::CodeExchange {
            issuer,
            settings,
            endpoint: endpoint.ok_or_else(|| SignInFault::NoEndpoint(name.clone(), "token_endpoint"))?,
            methods: metadata.token_auth_methods.as_deref(),
            redirect_uri: &self.public_url.with_path(CALLBACK),
        };
        let id_token = exchange.redeem(code, &login.verifier).await?;
        let verified = id_token::verify(issuer, settings, &id_token, &login.nonce).await?;
        if issuer.rights(&verified.claims).is_none() {
            let names = verified.claims.keys().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            let subject = shown(&verified.subject);
            let mismatches = issuer.mismatches(&verified.claims);
            return Err(SignInFault::NoRights { issuer: name.clone(), subject, mismatches, claims: names });
        }
        let now = Timestamp::now();
        let record = SessionRecord {
            issuer: name.clone(),
            subject: verified.subject,
            sid: verified.sid,
            claims: serde_json::Value::Object(verified.claims).to_string(),
            id_token,
            created_at: now,
            expires_at: after(now, settings.session),
        };
        let (issuer, subject) = (name.clone(), record.subject.clone());
        let id = self.sessions.begin(record).await.map_err(|error| SignInFault::of_database(&error))?;
        tracing::info!(issuer = name, subject, "a person has signed in");
        let (id, lasts, return_to) = (id.as_str().to_owned(), settings.session, login.return_to);
        Ok(BegunSession { id, lasts, return_to, issuer, subject })
    }

    /// Ends a session on all gateways. Returns None if it has ended already.
    ///
    /// # Errors
    /// The database is not available.
    pub async fn sign_out(&self, session: &str) -> Result<Option<EndedSession>, SignInFault> {
        let record = self.sessions.end(session).await.map_err(|error| SignInFault::of_database(&error))?;
        let Some(record) = record else { return Ok(None) };
        metrics::counter!("sluice_sign_outs_total", "by" => "person").increment(1);
        let issuers_logout = match self.issuer(&record.issuer) {
            Ok((issuer, settings)) => {
                let endpoint = issuer.metadata().await.and_then(|metadata| metadata.end_session_endpoint.clone());
                endpoint.map(|endpoint| self.end_session_address(endpoint, &settings, &record))
            }
            Err(_) => None,
        };
        Ok(Some(EndedSession { issuer: record.issuer, subject: record.subject, issuers_logout }))
    }

    fn end_session_address(&self, mut endpoint: Url, settings: &SignInSettings, record: &SessionRecord) -> String {
        endpoint.query_pairs_mut().extend_pairs([
            ("id_token_hint", record.id_token.as_str()),
            ("client_id", &settings.client_id),
            ("post_logout_redirect_uri", &self.public_url.with_path("/")),
        ]);
        endpoint.into()
    }

    /// Ends the sessions that a logout token of an issuer names.
    ///
    /// # Errors
    /// The token is refused, or the database is not available.
    pub async fn end_by_issuer(&self, token: &str) -> Result<SessionsEnded, LogoutFault> {
        let ended = self.end_by(token).await;
        if let Err(fault) = &ended {
            metrics::counter!("sluice_logout_tokens_refused_total").increment(1);
            if self.may_log() {
                tracing::warn!(%fault, "refused a logout token");
            }
        }
        ended
    }

    async fn end_by(&self, token: &str) -> Result<SessionsEnded, LogoutFault> {
        let issuer = self.issuers.issuer_of(token)?;
        let name = &issuer.settings.name;
        let settings = issuer.settings.sign_in.as_ref().ok_or_else(|| LogoutFault::NoSignIn(name.clone()))?;
        let logout = logout_token::verify(&issuer, settings, token).await?;
        let access = self.sessions.access().ok_or(LogoutFault::Unavailable)?;
        let ended = access.end_sessions(&logout).await.map_err(|error| {
            tracing::warn!(%error, issuer = name, "the sessions of a logout token could not be ended");
            LogoutFault::Unavailable
        })?;
        let ended = ended.ok_or(LogoutFault::Replayed)?;
        // The watch of this gateway would notice the change up to 2 s later.
        if let Err(error) = self.sessions.refresh().await {
            tracing::debug!(%error, "could not look at the sessions again");
        }
        metrics::counter!("sluice_sign_outs_total", "by" => "issuer").increment(ended);
        tracing::info!(issuer = name, ended, "an issuer has ended sessions");
        Ok(SessionsEnded { issuer: name.clone(), subject: logout.subject })
    }

    /// Counts and logs a failure at an issuer.
    fn counted<T>(&self, issuer: &Issuer, result: Result<T, SignInFault>) -> Result<T, SignInFault> {
        if let Err(fault) = &result {
            let outcome = if matches!(fault, SignInFault::NoRights { .. }) { "no_rights" } else { "failed" };
            let name = &issuer.settings.name;
            metrics::counter!("sluice_sign_ins_total", "issuer" => name.clone(), "result" => outcome).increment(1);
            if self.may_log() {
                tracing::warn!(issuer = name, %fault, "a sign-in has failed");
            }
        }
        result
    }

    /// Returns true at most once a second: anybody can make sign-ins and logouts fail.
    fn may_log(&self) -> bool {
        let mut logged = self.logged.lock();
        let may_log = logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if may_log {
            *logged = Some(Instant::now());
        }
        may_log
    }

    fn access(&self) -> Result<&AccessRecords, SignInFault> {
        self.sessions.access().ok_or(SignInFault::Unavailable)
    }

    fn issuer(&self, name: &str) -> Result<(Arc<Issuer>, SignInSettings), SignInFault> {
        let issuer = self.issuers.configured(name);
        let found = issuer.and_then(|issuer| issuer.settings.sign_in.clone().map(|settings| (issuer, settings)));
        found.ok_or_else(|| SignInFault::UnknownIssuer(shown(name)))
    }
}
