//! Authentication and authorisation of readers and event hooks.
//!
//! A [`Viewer`] has the rights with which its operations read the log. Nothing outside of this module depends on how a viewer
//! was identified.

mod access_watch;
mod api_keys;
mod authenticator;
mod denied;
mod hook_secrets;
mod issuers;
mod logged_refusals;
mod origins;
mod proxies;
mod public_url;
mod readers;
mod revocation;
mod rights_end;
mod sessions;
mod sign_in;
mod viewer;

pub use access_watch::AccessWatch;
pub use api_keys::{ApiKeys, GeneratedKey, KeyFault, NoRandomNumbers};
pub use authenticator::Authenticator;
pub use denied::{AcceptedCredentials, Denied};
pub use hook_secrets::{HookSecrets, RefusedRequest};
#[cfg(any(test, fuzzing))]
pub(crate) use issuers::fuzzing;
pub use issuers::{
    Audience, ClaimPath, ClientSecret, GrantedValues, IssuerSettings, Issuers, KeySource, Mismatch, Rule,
    RuleExplanation, RuleGrant, RulePart, SignInSettings, TokenConditions, TokenExplanation, TokenFault, is_safe,
};
pub use origins::{AllowedOrigins, NotAnOrigin, PageOrigin};
pub use proxies::{ClientHeader, Network, NotANetwork, TrustedProxies};
pub use public_url::PublicUrl;
pub use readers::{Reader, Readers};
pub use rights_end::RightsEnd;
pub use sessions::{SessionFault, SessionSummary, Sessions};
pub use sign_in::{
    BegunLogin, BegunSession, EndedSession, LOGIN_TIME, LoginAnswer, LogoutFault, SessionsEnded, SignIn, SignInFault,
};
pub use viewer::{AllowedDocuments, MissingScope, Viewer, ViewerKind};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Compares a text with a secret in constant time, so that the time does not reveal how much of it is right.
fn is_secret(secret: &SecretString, text: &[u8]) -> bool {
    bool::from(secret.expose_secret().as_bytes().ct_eq(text))
}
