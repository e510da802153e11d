//! The verification of a token: its form, its signature and its claims.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::claims::TokenClaims;
use super::issuer_keys::{IssuerKeys, NoKey};
use super::token_fault::{TokenFault, shortened};
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

impl Audience {
    /// The setting that has the audience of access tokens.
    pub const OF_ACCESS_TOKENS: &str = "audience";
}

/// A verified token.
#[derive(Debug)]
pub(super) struct VerifiedToken {
    pub(super) claims: TokenClaims,
    pub(super) expires: Timestamp,
    /// The number of the keys with which it was verified.
    pub(super) keys: u64,
}

/// The parts of the claims that are looked at before the signature, to find the issuer.
#[derive(Deserialize)]
struct UnverifiedClaims {
    #[serde(default)]
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
    let claims: UnverifiedClaims = unverified(token)?;
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
    unverified(token)
}

/// Returns the claims of a token whose header may be anything.
fn unverified<T: DeserializeOwned>(token: &str) -> Result<T, TokenFault> {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    claims.and_then(|claims| serde_json::from_slice(&claims).ok()).ok_or(TokenFault::NoToken)
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
        let other_algorithm = |algorithm| TokenFault::Algorithm(algorithm, name.to_owned());
        let header = decode_header(token).map_err(|_| match named_algorithm(token) {
            Some(none) if none.eq_ignore_ascii_case("none") => TokenFault::Unsigned(name.to_owned()),
            Some(algorithm) => other_algorithm(algorithm),
            None => TokenFault::NoToken,
        })?;
        if !self.algorithms.contains(&header.alg) {
            return Err(other_algorithm(format!("{:?}", header.alg)));
        }
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let Some(audience) = &self.audience else { return Err(TokenFault::NoAudience(name.to_owned())) };
        let is_access_token = audience.setting == Audience::OF_ACCESS_TOKENS;
        if let Some(other) = header.typ.as_ref().filter(|typ| is_access_token && !is_access_token_type(typ)) {
            return Err(TokenFault::Type(shortened(other)));
        }
        let validation = self.validation(header.alg, audience);
        let decoded =
            keys.with_key(header.kid.as_deref(), header.alg, |key| decode::<TokenClaims>(token, key, &validation));
        let (claims, keys) = match decoded.await {
            Err(NoKey::Unknown) => return Err(TokenFault::UnknownKey(name.to_owned())),
            Err(NoKey::NoKeys) => return Err(TokenFault::NoKeys(name.to_owned())),
            Ok((Ok(decoded), keys)) => (decoded.claims, keys),
            Ok((Err(error), _)) => return Err(self.fault(name, audience, token, error.kind())),
        };
        // A token that is bound to a key is no bearer token: sluice cannot check that its sender has the key.
        if claims.get("cnf").is_some_and(|bound_to| !bound_to.is_null()) {
            return Err(TokenFault::SenderConstrained);
        }
        if is_access_token {
            self.check_issue(name, &claims)?;
        }
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

    /// Checks that a token was not issued in the future. The ID and logout tokens of sign-in have checks of their own.
    fn check_issue(&self, name: &str, claims: &TokenClaims) -> Result<(), TokenFault> {
        let now = Timestamp::now();
        let leeway = i64::try_from(self.leeway_seconds).unwrap_or(i64::MAX);
        let latest = (now.millis() / 1000).saturating_add(leeway);
        let Some(issued) = claims.get("iat").and_then(whole_seconds).filter(|issued| *issued > latest) else {
            return Ok(());
        };
        let at = Timestamp::from_millis(issued.saturating_mul(1000));
        let at = at.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
        Err(TokenFault::IssuedLater { at, now: now.to_string(), issuer: name.to_owned() })
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

    /// Returns the reason of a refusal. The claims that it names are the token's own, which its sender knows.
    fn fault(&self, name: &str, audience: &Audience, token: &str, error: &ErrorKind) -> TokenFault {
        let claim = |claim: &str| claimed(token).ok().and_then(|claims| claims.get(claim).cloned()).unwrap_or_default();
        let time = |name: &str| {
            let time =
                whole_seconds(&claim(name)).and_then(|seconds| Timestamp::from_millis(seconds.checked_mul(1000)?));
            time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
        };
        let (issuer, now) = (name.to_owned(), Timestamp::now().to_string());
        match error {
            ErrorKind::ExpiredSignature => TokenFault::Expired { at: time("exp"), now, issuer },
            ErrorKind::ImmatureSignature => TokenFault::NotYetValid { from: time("nbf"), now, issuer },
            ErrorKind::InvalidAudience => TokenFault::Audience {
                found: shortened(&claim("aud").to_string()),
                expected: audience.name.clone(),
                setting: audience.setting,
                issuer,
            },
            ErrorKind::InvalidIssuer => match claim("iss") {
                Value::String(found) => {
                    TokenFault::Issuer { found: shortened(&found), expected: self.issuer.clone(), issuer }
                }
                _ => TokenFault::Claim("iss".to_owned()),
            },
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                TokenFault::Claim(claim.clone())
            }
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenFault::Signature(issuer),
            _ => TokenFault::NoToken,
        }
    }
}

/// Returns true for the types of access tokens (RFC 9068); others, such as logout tokens, are for something else.
fn is_access_token_type(typ: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ))
}

/// Returns the whole seconds of a time in claims, which may have a fraction.
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64()?.trunc().to_string().parse().ok())
}

/// Returns the algorithm in a token's header, of which nothing is verified.
fn named_algorithm(token: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| shortened(algorithm))
}
