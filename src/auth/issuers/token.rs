//! The verification of a token: its form, its signature and its claims.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::claims::TokenClaims;
use super::issuer_keys::{IssuerKeys, NoKey};
use crate::event::Timestamp;

/// The maximum length of a token, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 16 << 10;

/// The conditions that a token must meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConditions {
    /// The issuer that the token must name.
    pub issuer: String,
    /// The audience that the token must be for; None if the issuer is for sign-in only, and no token is accepted.
    pub audience: Option<Audience>,
    /// The algorithms with which a token may be signed: none with a shared secret.
    pub algorithms: Vec<Algorithm>,
    /// The tolerance for differences between clocks, in seconds.
    pub leeway_seconds: u64,
    /// The longest time for which a token may be valid, in seconds.
    pub max_token_seconds: u64,
}

/// An audience of tokens, and the setting that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// The audience.
    pub name: String,
    /// The key of the setting in `[[issuers]]`.
    pub setting: &'static str,
}

/// A verified token.
#[derive(Debug)]
pub(super) struct VerifiedToken {
    pub(super) claims: TokenClaims,
    pub(super) expires: Timestamp,
    /// The number of the keys with which it was verified.
    pub(super) keys: u64,
}

/// The reason why a token is refused. It is told to the client, so it has nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The text is no JSON Web Token.
    #[error(
        "it is no signed JSON Web Token: an Okta org's own authorization server gives opaque tokens, a custom authorization server gives these"
    )]
    NoToken,
    /// No configured issuer has the name that the token has.
    #[error("no issuer {0:?} is configured (issuers.url)")]
    UnknownIssuer(String),
    /// The token is signed with an algorithm that is not allowed.
    #[error("it is signed with {0}, which issuers.{1}.algorithms does not allow")]
    Algorithm(String, String),
    /// The token has a header that sluice would have to understand.
    #[error("its header names critical extensions, which sluice does not know")]
    Critical,
    /// The issuer's keys do not have the token's key.
    #[error("it is signed with a key that the issuer does not have")]
    UnknownKey,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys could not be fetched; the gateway's log has the reason")]
    NoKeys,
    /// The signature does not belong to the token.
    #[error("its signature is wrong")]
    Signature,
    /// The token is for another audience.
    #[error("it is for the audience {found}, but issuers.{issuer}.{setting} is {expected:?}")]
    Audience {
        /// The token's audience, as JSON.
        found: String,
        /// The configured audience.
        expected: String,
        /// The setting that has it.
        setting: &'static str,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// No audience is configured: the issuer is for sign-in only.
    #[error("issuers.{0}.audience is not set, so people may sign in there, and tokens are not accepted")]
    NoAudience(String),
    /// The token has expired.
    #[error("it expired at {0}: get a new one")]
    Expired(String),
    /// The token is not valid yet.
    #[error(
        "it is valid from {from} on, and this machine's clock says {now}: compare the clocks (issuers.leeway_seconds)"
    )]
    NotYetValid {
        /// The time from which the token is valid.
        from: String,
        /// The time of the gateway's clock.
        now: String,
    },
    /// The token is valid for longer than allowed.
    #[error("it is valid for {0} s, but issuers.{1}.max_token_seconds is {2}")]
    TooLong(i64, String, u64),
    /// A claim is missing, or has a wrong type.
    #[error("its claim {0:?} is missing or has a wrong type")]
    Claim(String),
    /// No rule of the issuer gives the token any rights.
    #[error("no rule of issuers.{0}.rules matches it, so it has no rights")]
    NoRights(String),
}

/// The parts of the claims that are looked at before the signature, to find the issuer.
#[derive(Deserialize)]
struct UnverifiedClaims {
    iss: Value,
}

/// Returns the issuer that a token names. Nothing is verified yet.
///
/// # Errors
/// The text is no token.
pub(super) fn named_issuer(token: &str) -> Result<String, TokenFault> {
    if token.len() > MAX_TOKEN_BYTES || token.split('.').count() != 3 {
        return Err(TokenFault::NoToken);
    }
    let claims: UnverifiedClaims =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| TokenFault::NoToken)?;
    match claims.iss {
        Value::String(issuer) => Ok(issuer),
        _ => Err(TokenFault::Claim("iss".to_owned())),
    }
}

/// Returns the claims of a token, of which nothing is verified.
///
/// # Errors
/// The text is no token.
pub(super) fn claimed(token: &str) -> Result<TokenClaims, TokenFault> {
    jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| TokenFault::NoToken)
}

impl TokenConditions {
    /// Verifies a token of the issuer with this name in the settings.
    ///
    /// # Errors
    /// The token is refused.
    pub(super) async fn verify(
        &self,
        name: &str,
        token: &str,
        keys: &Arc<IssuerKeys>,
    ) -> Result<VerifiedToken, TokenFault> {
        let header = decode_header(token).map_err(|_| TokenFault::NoToken)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenFault::Algorithm(format!("{:?}", header.alg), name.to_owned()));
        }
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let Some(audience) = &self.audience else { return Err(TokenFault::NoAudience(name.to_owned())) };
        let validation = self.validation(header.alg, audience);
        let decoded =
            keys.with_key(header.kid.as_deref(), header.alg, |key| decode::<TokenClaims>(token, key, &validation));
        let (claims, keys) = match decoded.await {
            Err(NoKey::Unknown) => return Err(TokenFault::UnknownKey),
            Err(NoKey::NoKeys) => return Err(TokenFault::NoKeys),
            Ok((Ok(decoded), keys)) => (decoded.claims, keys),
            Ok((Err(error), _)) => return Err(fault((name, audience), token, error.kind())),
        };
        let expires = self.expiry(name, &claims)?;
        Ok(VerifiedToken { claims, expires, keys })
    }

    fn validation(&self, algorithm: Algorithm, audience: &Audience) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&audience.name]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = self.leeway_seconds;
        validation
    }

    /// Returns the time until which a token is accepted, which must not be later than allowed.
    fn expiry(&self, name: &str, claims: &TokenClaims) -> Result<Timestamp, TokenFault> {
        let wrong = || TokenFault::Claim("exp".to_owned());
        let seconds = |claim: &str| claims.get(claim).and_then(whole_seconds);
        let expires = seconds("exp").ok_or_else(wrong)?;
        let now = Timestamp::now().millis() / 1000;
        // A token without a time of issue counts from now on.
        let lifetime = expires.saturating_sub(seconds("iat").unwrap_or(now).min(now));
        if lifetime > i64::try_from(self.max_token_seconds + self.leeway_seconds).unwrap_or(i64::MAX) {
            return Err(TokenFault::TooLong(lifetime, name.to_owned(), self.max_token_seconds));
        }
        let end = expires.saturating_add(i64::try_from(self.leeway_seconds).unwrap_or(i64::MAX));
        Timestamp::from_millis(end.saturating_mul(1000)).ok_or_else(wrong)
    }
}

/// Returns the reason of a refusal. The claims that it names are the token's own, which its sender knows.
fn fault((name, audience): (&str, &Audience), token: &str, error: &ErrorKind) -> TokenFault {
    let claim = |claim: &str| claimed(token).ok().and_then(|claims| claims.get(claim).cloned()).unwrap_or_default();
    let time = |name: &str| {
        let time = whole_seconds(&claim(name)).and_then(|seconds| Timestamp::from_millis(seconds.checked_mul(1000)?));
        time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
    };
    match error {
        ErrorKind::ExpiredSignature => TokenFault::Expired(time("exp")),
        ErrorKind::ImmatureSignature => {
            TokenFault::NotYetValid { from: time("nbf"), now: Timestamp::now().to_string() }
        }
        ErrorKind::InvalidAudience => TokenFault::Audience {
            found: claim("aud").to_string().chars().take(200).collect(),
            expected: audience.name.clone(),
            setting: audience.setting,
            issuer: name.to_owned(),
        },
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            TokenFault::Claim(claim.clone())
        }
        ErrorKind::InvalidIssuer => TokenFault::Claim("iss".to_owned()),
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenFault::Signature,
        _ => TokenFault::NoToken,
    }
}
/// Returns the whole seconds of a time in claims, which may have a fraction.
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64()?.trunc().to_string().parse().ok())
}
