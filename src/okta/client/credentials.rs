//! The credentials with which a client authenticates: an API token, or the key of a service app.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::OktaError;

/// The lifetime of a client assertion, in seconds; Okta allows an hour.
const ASSERTION: i64 = 300;

/// The credentials of a client.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An admin's API token, sent as `SSWS`.
    Token(SecretString),
    /// A service app's key, for OAuth 2.
    Key(ClientKey),
}

impl Credentials {
    pub(super) const fn is_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    /// Returns true if both are the same token, or the same key of the same app.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one.expose_secret() == other.expose_secret(),
            (Self::Key(one), Self::Key(other)) => {
                (&one.client_id, &one.key_id, one.digest) == (&other.client_id, &other.key_id, other.digest)
            }
            _ => false,
        }
    }
}

/// The credentials currently in use. Clones share them, so that they can be replaced while a gateway runs.
#[derive(Clone, Debug)]
pub struct CurrentCredentials(Arc<RwLock<Credentials>>);

impl From<Credentials> for CurrentCredentials {
    fn from(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(credentials)))
    }
}

impl CurrentCredentials {
    /// Returns a copy of the credentials.
    pub fn get(&self) -> Credentials {
        self.0.read().clone()
    }

    /// Replaces the credentials. Returns true if the new ones differ.
    pub fn replace(&self, fresh: &Self) -> bool {
        let fresh = fresh.get();
        let mut current = self.0.write();
        let differs = !current.is_same(&fresh);
        *current = fresh;
        differs
    }
}

/// A service app's id and private key.
#[derive(Clone)]
pub struct ClientKey {
    client_id: String,
    key_id: Option<String>,
    key: EncodingKey,
    algorithm: Algorithm,
    /// SHA-256 of the PEM text, by which two keys can be compared.
    digest: [u8; 32],
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientKey").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: Uuid,
}

impl ClientKey {
    /// Reads a private key in PEM format: RSA, P-256 or P-384. `key_id` names the key if the app has several. None for
    /// any other key.
    pub fn read(client_id: &str, key_id: Option<String>, pem: &SecretString) -> Option<Self> {
        let pem = pem.expose_secret().as_bytes();
        let digest = Sha256::digest(pem).into();
        let rsa = EncodingKey::from_rsa_pem(pem).ok().map(|key| (key, Algorithm::RS256));
        let (key, algorithm) = rsa.or_else(|| curve(&EncodingKey::from_ec_pem(pem).ok()?))?;
        // An unusable key is detected only when it signs.
        encode(&Header::new(algorithm), &"", &key).ok()?;
        Some(Self { client_id: client_id.to_owned(), key_id, key, algorithm, digest })
    }

    /// Signs a new client assertion for a token endpoint.
    pub(super) fn assertion(&self, endpoint: &str) -> Result<String, OktaError> {
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.key_id);
        let iat = OffsetDateTime::now_utc().unix_timestamp();
        let id = self.client_id.as_str();
        let claims = Assertion { iss: id, sub: id, aud: endpoint, iat, exp: iat + ASSERTION, jti: Uuid::new_v4() };
        encode(&header, &claims, &self.key).map_err(|_| OktaError::PrivateKey("it does not sign".to_owned()))
    }
}

/// Returns the algorithm with which an elliptic curve key can sign.
fn curve(key: &EncodingKey) -> Option<(EncodingKey, Algorithm)> {
    let signs = |algorithm: &Algorithm| encode(&Header::new(*algorithm), &"", key).is_ok();
    let algorithm = [Algorithm::ES256, Algorithm::ES384].into_iter().find(signs)?;
    Some((key.clone(), algorithm))
}
