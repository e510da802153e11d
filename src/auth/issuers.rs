//! Issuers: authorities outside sluice, whose signed tokens (JSON Web Tokens) give rights, such as Okta's custom authorization
//! servers or a team's own backend.

mod claims;
mod explain;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod issuer_keys;
mod key_set;
mod key_source;
mod metadata;
mod mismatch;
mod rules;
mod safe_url;
mod sign_in_settings;
mod token;
mod token_fault;

pub use claims::ClaimPath;
pub use explain::{RuleExplanation, TokenExplanation};
pub use key_source::KeySource;
pub use mismatch::Mismatch;
pub use rules::{GrantedValues, Rule, RuleGrant, RulePart};
pub use safe_url::is_safe;
pub use sign_in_settings::{ClientSecret, SignInSettings};
pub use token::{Audience, TokenConditions};
pub use token_fault::TokenFault;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use reqwest::Client;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::logged_refusals::LoggedRefusals;
use super::revocation::Revocation;
use super::viewer::{AllowedDocuments, Viewer, ViewerKind};
use crate::backoff::Backoff;
use crate::event::{Rights, Timestamp};
use crate::lru_cache::LruCache;
use crate::store::Credential;
pub(super) use claims::TokenClaims;
use issuer_keys::{IssuerKeys, REFRESH_INTERVAL};
pub(super) use key_source::{MAX_BYTES, read_body, reason};
pub(super) use metadata::IssuerMetadata;
use token_fault::shortened;

/// The size of the cache of verified tokens, in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// The approximate size of a viewer in the cache without its rights, in bytes.
const VIEWER_BYTES: usize = 1 << 10;

/// The first pause after keys could not be fetched.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The number of shares of database connections that the tokens of one issuer use. It bounds what the gateway keeps for
/// subjects that never come again.
const SHARES: u64 = 64;

/// The settings of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The name in the settings.
    pub name: String,
    /// The place of its keys.
    pub keys: KeySource,
    /// The conditions that its tokens must meet.
    pub conditions: TokenConditions,
    /// The rules that give rights to its tokens.
    pub rules: Vec<Rule>,
    /// The settings with which people sign in; None if the issuer is for tokens only.
    pub sign_in: Option<SignInSettings>,
}

/// The configured issuers. Clones share them, their keys, and the cache of verified tokens.
#[derive(Clone, Debug, Default)]
pub struct Issuers(Arc<IssuersState>);

#[derive(Debug, Default)]
struct IssuersState {
    all: RwLock<Arc<[Arc<Issuer>]>>,
    /// Notified when issuers were replaced, whose keys are not fetched yet.
    replaced: Notify,
    /// The limit of log lines about tokens of no configured issuer.
    refusals: LoggedRefusals<TokenFault>,
}

/// The SHA-256 of a token, and the number of the keys with which it was verified.
type VerifiedKey = ([u8; 32], u64);

/// An issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    /// The HTTP client with which the issuer is asked.
    pub(super) http: Client,
    keys: Arc<IssuerKeys>,
    /// The viewers of verified tokens. A key that the issuer has removed verifies nothing more.
    verified: Mutex<LruCache<VerifiedKey, Arc<Viewer>>>,
    /// The limit of log lines about refused tokens.
    refusals: LoggedRefusals<TokenFault>,
    /// The revocation of the rights of all its tokens.
    pub(super) revocation: Revocation,
}

impl Issuers {
    /// Creates issuers.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub fn new(settings: Vec<IssuerSettings>) -> Result<Self, reqwest::Error> {
        let http = key_source::http_client()?;
        let all = settings.into_iter().map(|settings| Arc::new(Issuer::new(settings, http.clone()))).collect();
        Ok(Self(Arc::new(IssuersState { all: RwLock::new(all), ..IssuersState::default() })))
    }

    fn all(&self) -> Arc<[Arc<Issuer>]> {
        Arc::clone(&self.0.all.read())
    }

    /// Returns true if there is no issuer.
    pub fn is_empty(&self) -> bool {
        self.0.all.read().is_empty()
    }

    /// Returns true if tokens are accepted of an issuer; others are for sign-in only.
    pub fn accept_tokens(&self) -> bool {
        self.all().iter().any(|issuer| issuer.settings.conditions.audience.is_some())
    }

    /// Returns the issuer with this name in the settings.
    pub(super) fn configured(&self, name: &str) -> Option<Arc<Issuer>> {
        self.all().iter().find(|issuer| issuer.settings.name == name).map(Arc::clone)
    }

    /// Returns the issuer that has issued a token, as the token says. Nothing is verified yet.
    ///
    /// # Errors
    /// The text is no token, or of an unknown issuer.
    pub(super) fn issuer_of(&self, token: &str) -> Result<Arc<Issuer>, TokenFault> {
        self.named(&token::named_issuer(token)?)
    }

    /// Returns the names of the issuers at which people may sign in.
    pub fn with_sign_in(&self) -> Vec<String> {
        let with_sign_in = |issuer: &&Arc<Issuer>| issuer.settings.sign_in.is_some();
        self.all().iter().filter(with_sign_in).map(|issuer| issuer.settings.name.clone()).collect()
    }

    /// Returns the names of the issuers.
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|issuer| issuer.settings.name.clone()).collect()
    }

    /// Returns the names and URLs of the issuers.
    pub fn names_and_urls(&self) -> Vec<(String, String)> {
        let of = |issuer: &Arc<Issuer>| (issuer.settings.name.clone(), issuer.settings.conditions.issuer.clone());
        self.all().iter().map(of).collect()
    }

    /// Replaces the issuers for all clones, and has all keys fetched again. An issuer whose settings are the same keeps its keys
    /// until then; the tokens of others are cut off. Returns descriptions of the changes.
    pub fn replace(&self, fresh: &Self) -> Vec<String> {
        let (known, fresh) = (self.all(), fresh.all());
        let named = |issuers: &[Arc<Issuer>], name: &str| {
            issuers.iter().find(|issuer| issuer.settings.name == name).map(Arc::clone)
        };
        let mut changed = Vec::new();
        let kept = fresh.iter().map(|issuer| {
            let name = &issuer.settings.name;
            match named(&known, name) {
                Some(old) if old.settings == issuer.settings => return old,
                Some(old) => {
                    changed.push(format!("issuer {name} has other settings"));
                    old.revocation.revoke();
                }
                None => changed.push(format!("issuer {name} was added")),
            }
            Arc::clone(issuer)
        });
        let kept: Arc<[_]> = kept.collect();
        let is_gone = |issuer: &&Arc<Issuer>| named(&fresh, &issuer.settings.name).is_none();
        for old in known.iter().filter(is_gone) {
            changed.push(format!("issuer {} was removed", old.settings.name));
            old.revocation.revoke();
        }
        *self.0.all.write() = kept;
        self.0.replaced.notify_one();
        changed
    }

    /// Returns the viewer of a token.
    ///
    /// # Errors
    /// The token is refused.
    pub async fn identify(&self, token: &str) -> Result<Viewer, TokenFault> {
        let issuers = self.all();
        if issuers.is_empty() {
            return Err(TokenFault::NoToken);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(viewer) = issuers.iter().find_map(|issuer| issuer.known(hash)) {
            return Ok(viewer);
        }
        let issuer = self.issuer_of(token).inspect_err(|fault| self.count_unknown(fault))?;
        let result = issuer.verify(token, hash).await;
        let outcome = if result.is_ok() { "verified" } else { "refused" };
        metrics::counter!("sluice_tokens_total", "issuer" => issuer.settings.name.clone(), "result" => outcome)
            .increment(1);
        if let Err(fault) = &result {
            issuer.log_refusal(fault);
        }
        result
    }

    /// Counts and logs a token of no configured issuer.
    fn count_unknown(&self, fault: &TokenFault) {
        metrics::counter!("sluice_tokens_total", "issuer" => "unknown", "result" => "refused").increment(1);
        // Any unknown text comes here if no issuer's tokens are accepted.
        if self.accept_tokens() && self.0.refusals.is_due(fault) {
            let configured: Vec<_> =
                self.names_and_urls().into_iter().map(|(name, url)| format!("{name} ({url})")).collect();
            let configured = configured.join(", ");
            tracing::warn!(configured, %fault, "refused a token of no configured issuer; others for the same reason within a minute are only counted");
        }
    }

    /// Returns the issuer that a token names.
    ///
    /// # Errors
    /// No such issuer is configured.
    fn named(&self, name: &str) -> Result<Arc<Issuer>, TokenFault> {
        let all = self.all();
        let find = |is_found: &dyn Fn(&str) -> bool| {
            all.iter().find(|issuer| is_found(&issuer.settings.conditions.issuer)).map(Arc::clone)
        };
        if let Some(issuer) = find(&|url| url == name) {
            return Ok(issuer);
        }
        let plain = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
        let (found, plain_name) = (shortened(name), plain(name));
        if let Some(similar) = find(&|url| plain(url) == plain_name) {
            let IssuerSettings { name: issuer, conditions, .. } = &similar.settings;
            return Err(TokenFault::Issuer { found, expected: conditions.issuer.clone(), issuer: issuer.clone() });
        }
        let org_server = format!("{plain_name}/oauth2/");
        Err(find(&|url| url.starts_with(&org_server))
            .map_or(TokenFault::UnknownIssuer(found), |custom| TokenFault::OrgServer(custom.settings.name.clone())))
    }

    /// Refreshes the keys of all issuers every 10 minutes, and soon after a failure. Ends only when it is dropped.
    pub async fn keep_keys_fresh(self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, REFRESH_INTERVAL);
        loop {
            let issuers = self.all();
            let refreshed = join_all(issuers.iter().map(|issuer| issuer.keys.refresh())).await;
            let pause = if refreshed.iter().all(Result::is_ok) {
                backoff = Backoff::new(FIRST_PAUSE, REFRESH_INTERVAL);
                REFRESH_INTERVAL
            } else {
                backoff.pause()
            };
            _ = timeout(pause, self.0.replaced.notified()).await;
        }
    }
}

impl Issuer {
    fn new(settings: IssuerSettings, http: Client) -> Self {
        let keys = Arc::new(IssuerKeys::new(settings.name.clone(), settings.keys.clone(), http.clone()));
        Self {
            settings,
            http,
            keys,
            verified: Mutex::new(LruCache::new(CACHE_BYTES)),
            refusals: LoggedRefusals::default(),
            revocation: Revocation::default(),
        }
    }

    /// Returns the viewer of a token that was verified before with the present keys, and has not expired.
    fn known(&self, hash: [u8; 32]) -> Option<Viewer> {
        let keys = self.keys.current()?.number;
        let viewer = self.verified.lock().get(&(hash, keys))?;
        viewer.expires.is_some_and(|expires| Timestamp::now() < expires).then(|| (*viewer).clone())
    }

    /// Returns the issuer's metadata; None if it could not be fetched.
    pub(super) async fn metadata(&self) -> Option<Arc<IssuerMetadata>> {
        self.keys.metadata().await
    }

    /// Verifies a token of the issuer that is for another audience than access tokens are, and returns its claims.
    ///
    /// # Errors
    /// The token is refused.
    pub(super) async fn verify_for(&self, audience: Audience, token: &str) -> Result<TokenClaims, TokenFault> {
        let IssuerSettings { name, conditions, .. } = &self.settings;
        let conditions = TokenConditions { audience: Some(audience), ..conditions.clone() };
        Ok(conditions.verify(name, token, &self.keys).await?.claims)
    }

    /// Returns the rights that the issuer's rules give to claims; None if no rule matches.
    pub(super) fn rights(&self, claims: &TokenClaims) -> Option<Rights> {
        rules::rights(&self.settings.rules, claims)
    }

    /// Returns the documents that the issuer's rules let claims send.
    pub(super) fn documents(&self, claims: &TokenClaims) -> AllowedDocuments {
        rules::documents(&self.settings.rules, claims)
    }

    /// Returns why no rule of the issuer matches claims, without their values.
    pub(super) fn mismatches(&self, claims: &TokenClaims) -> String {
        mismatch::mismatches(&self.settings.rules, claims)
    }

    fn log_refusal(&self, fault: &TokenFault) {
        if self.refusals.is_due(fault) {
            let issuer = &self.settings.name;
            tracing::warn!(issuer, %fault, "refused a token; others for the same reason within a minute are only counted");
        }
    }

    async fn verify(&self, token: &str, hash: [u8; 32]) -> Result<Viewer, TokenFault> {
        let IssuerSettings { name, conditions, .. } = &self.settings;
        let verified = conditions.verify(name, token, &self.keys).await?;
        let subject = subject(&verified.claims);
        let no_rights = || TokenFault::NoRights {
            issuer: name.clone(),
            subject: subject.clone(),
            mismatches: self.mismatches(&verified.claims),
        };
        let rights = self.rights(&verified.claims).ok_or_else(no_rights)?;
        let viewer = Viewer {
            credential: Credential::Token {
                issuer: name.clone(),
                share: share(subject.as_deref().unwrap_or_default()),
            },
            name: subject,
            kind: ViewerKind::Token,
            expires: Some(verified.expires),
            rights: Arc::new(rights),
            documents: self.documents(&verified.claims),
            revocation: self.revocation.clone(),
        };
        // The text of the rights is about as long as they are.
        let bytes = VIEWER_BYTES + viewer.rights.to_string().len();
        self.verified.lock().insert((hash, verified.keys), Arc::new(viewer.clone()), bytes);
        Ok(viewer)
    }
}

/// Returns the number of the share of database connections that a subject uses.
pub(super) fn share(subject: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    hasher.finish() % SHARES
}

/// Returns the name of a token's subject, for log lines and the viewer itself; None if the token names nobody.
fn subject(claims: &TokenClaims) -> Option<String> {
    let mut texts = ["sub", "client_id", "cid"].into_iter().filter_map(|claim| claims.get(claim)?.as_str());
    Some(texts.find(|text| !text.is_empty())?.chars().take(200).collect())
}
