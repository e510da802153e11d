//! The verification of a logout token, by OpenID Connect Back-Channel Logout 1.0.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::Duration as SignedDuration;

use super::fault::LogoutFault;
use super::id_token::{audience, seconds_from_now, text};
use crate::access::IssuerLogout;
use crate::auth::issuers::{Issuer, SignInSettings, TokenFault};
use crate::event::Timestamp;

/// The claim's member that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The age from which on a logout token is refused, in seconds.
const MAX_AGE: i64 = 300;

/// Verifies a logout token of an issuer.
pub(super) async fn verify(
    issuer: &Issuer,
    settings: &SignInSettings,
    token: &str,
) -> Result<IssuerLogout, LogoutFault> {
    let claims = issuer.verify_for(audience(settings), token).await?;
    let is_logout = claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
    if !is_logout {
        return Err(LogoutFault::NoLogoutToken("it has no event backchannel-logout in its claim events"));
    }
    // An ID token has a nonce, and must not pass for a logout token.
    if claims.contains_key("nonce") {
        return Err(LogoutFault::NoLogoutToken("it has a nonce"));
    }
    let missing = |claim: &str| LogoutFault::Token(TokenFault::Claim(claim.to_owned()));
    let iat = claims.get("iat").and_then(Value::as_f64).ok_or_else(|| missing("iat"))?;
    let seconds = seconds_from_now(iat);
    let leeway = i64::try_from(issuer.settings.conditions.leeway_seconds).unwrap_or_default();
    if !(-MAX_AGE - leeway..=leeway).contains(&seconds) {
        return Err(LogoutFault::NoLogoutToken("it was issued too long ago, or in the future"));
    }
    let id = text(&claims, "jti").ok_or_else(|| missing("jti"))?;
    let (subject, sid) = (text(&claims, "sub"), text(&claims, "sid"));
    let is_named = |claim: &str, found: &Option<String>| !claims.contains_key(claim) || found.is_some();
    if (subject.is_none() && sid.is_none()) || !is_named("sub", &subject) || !is_named("sid", &sid) {
        return Err(missing("sub or sid"));
    }
    let now = Timestamp::now();
    let name = &issuer.settings.name;
    Ok(IssuerLogout {
        issuer: name.clone(),
        subject,
        sid,
        // Clocks may differ.
        at: now.plus(SignedDuration::seconds(seconds + leeway)),
        token: Sha256::new().chain_update(name).chain_update([0]).chain_update(id).finalize().into(),
        forget_at: now.plus(SignedDuration::seconds(MAX_AGE + 2 * leeway)),
    })
}
