//! Proofs of possession: DPoP (RFC 9449) with Okta's rules.

use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::lock;

/// The maximum difference between the time of a proof and the org's time, in seconds.
const LEEWAY: i64 = 300;

/// The nonce that the org currently requires, and the ids of used proofs.
#[derive(Debug)]
pub(super) struct Nonces {
    current: Mutex<String>,
    used: Mutex<HashSet<String>>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { current: Mutex::new(Uuid::new_v4().to_string()), used: Mutex::default() }
    }
}

impl Nonces {
    pub(super) fn current(&self) -> String {
        lock(&self.current).clone()
    }

    /// Makes the org require a new nonce.
    pub(super) fn renew(&self) {
        *lock(&self.current) = Uuid::new_v4().to_string();
    }

    /// Returns true if an id is used for the first time.
    pub(super) fn is_new(&self, identity: String) -> bool {
        lock(&self.used).insert(identity)
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    htm: Option<String>,
    htu: Option<String>,
    iat: Option<i64>,
    jti: Option<String>,
    ath: Option<String>,
    nonce: Option<String>,
}

/// The request to which a proof belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The URL without its query.
    pub(super) url: &'a str,
    /// The access token of the request, if it has one.
    pub(super) token: Option<&'a str>,
}

/// The content of a valid proof.
#[derive(Debug)]
pub(super) struct Proof {
    /// The thumbprint of the key.
    pub(super) thumbprint: String,
    /// The nonce.
    pub(super) nonce: Option<String>,
    /// The id.
    pub(super) id: Option<String>,
}

/// Checks a proof. The error is the violated rule.
pub(super) fn check(proof: &str, request: Request<'_>, now: OffsetDateTime) -> Result<Proof, String> {
    let header = decode_header(proof).map_err(|_| "the DPoP proof is not a JWT")?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err("the DPoP proof's typ must be dpop+jwt".to_owned());
    }
    if !matches!(header.alg, Algorithm::ES256 | Algorithm::ES384 | Algorithm::RS256 | Algorithm::RS384) {
        return Err("the DPoP proof's alg must be one of a key pair's, such as ES256".to_owned());
    }
    let jwk = header.jwk.ok_or("the DPoP proof's header must have its public key as jwk")?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| "the DPoP proof's jwk cannot be read")?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims =
        decode::<Claims>(proof, &key, &validation).map_err(|_| "the DPoP proof's signature is not its key's")?;
    let Claims { htm, htu, iat, jti, ath, nonce } = claims.claims;
    if htm.as_deref() != Some(request.method) {
        return Err(format!("htm of the DPoP proof must be {}", request.method));
    }
    if htu.as_deref() != Some(request.url) {
        return Err(format!("htu of the DPoP proof must be {}, without query and fragment", request.url));
    }
    let iat = iat.ok_or("the DPoP proof must have iat")?;
    if (iat - now.unix_timestamp()).abs() > LEEWAY {
        return Err("iat of the DPoP proof is too far from the server's time".to_owned());
    }
    if let Some(token) = request.token {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        if ath.as_deref() != Some(hash.as_str()) {
            return Err("ath of the DPoP proof must be the SHA-256 of the access token, base64url".to_owned());
        }
    }
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| "the DPoP proof's jwk has no thumbprint")?;
    Ok(Proof { thumbprint, nonce, id: jti })
}
