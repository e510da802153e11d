//! The verification of an ID token, by OpenID Connect Core 3.1.3.7.

use std::time::Duration;

use serde_json::Value;

use super::fault::SignInFault;
use crate::auth::issuers::{Audience, Issuer, SignInSettings, TokenClaims, TokenFault};
use crate::event::Timestamp;

/// The time for which a browser may take to come back from the issuer.
pub const LOGIN_TIME: Duration = Duration::from_mins(10);

/// The claims that say something about the ID token only, and that a session does not keep.
const OF_TOKEN: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// The longest name of a person or of an issuer's session, in bytes.
const MAX_NAME: usize = 255;

/// A verified ID token.
#[derive(Debug)]
pub(super) struct IdToken {
    pub(super) claims: TokenClaims,
    /// The person, as the issuer names it.
    pub(super) subject: String,
    /// The issuer's own session.
    pub(super) sid: Option<String>,
}

/// Verifies the ID token of a sign-in with a nonce.
pub(super) async fn verify(
    issuer: &Issuer,
    settings: &SignInSettings,
    token: &str,
    nonce: &str,
) -> Result<IdToken, SignInFault> {
    let name = &issuer.settings.name;
    let refused = |fault| SignInFault::IdToken(name.clone(), fault);
    let mut claims = issuer.verify_for(audience(settings), token).await.map_err(refused)?;
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(SignInFault::Nonce(name.clone()));
    }
    let is_for_several = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    let is_own = match claims.get("azp") {
        Some(party) => party.as_str() == Some(&settings.client_id),
        None => !is_for_several,
    };
    if !is_own {
        return Err(SignInFault::OtherClient(name.clone()));
    }
    let missing = |claim: &str| refused(TokenFault::Claim(claim.to_owned()));
    let iat = claims.get("iat").and_then(Value::as_f64).ok_or_else(|| missing("iat"))?;
    let seconds = seconds_from_now(iat);
    let leeway = i64::try_from(issuer.settings.conditions.leeway_seconds).unwrap_or_default();
    let earliest = -leeway - i64::try_from(LOGIN_TIME.as_secs()).unwrap_or_default();
    if !(earliest..=leeway).contains(&seconds) {
        return Err(SignInFault::IssuedAt { issuer: name.clone(), seconds });
    }
    let subject = text(&claims, "sub").ok_or_else(|| missing("sub"))?;
    let sid = text(&claims, "sid");
    claims.retain(|claim, _| !OF_TOKEN.contains(&claim.as_str()));
    Ok(IdToken { claims, subject, sid })
}

/// Returns the audience of tokens for the gateway as a client.
pub(super) fn audience(settings: &SignInSettings) -> Audience {
    Audience { name: settings.client_id.clone(), setting: "sign_in.client_id" }
}

/// Returns a claim that names somebody or something.
pub(super) fn text(claims: &TokenClaims, claim: &str) -> Option<String> {
    let text = claims.get(claim)?.as_str()?;
    let is_name = !text.is_empty() && text.len() <= MAX_NAME && !text.contains('\0');
    is_name.then(|| text.to_owned())
}

/// Returns the whole seconds from now to a time in claims; negative in the past.
#[expect(clippy::cast_possible_truncation, reason = "a time beyond the numbers is far from now all the same")]
pub(super) fn seconds_from_now(time: f64) -> i64 {
    (time as i64).saturating_sub(Timestamp::now().millis() / 1000)
}
