//! Proofs of possession (DPoP, RFC 9449), which make a stolen access token useless without the key to which it is
//! bound.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Url;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::OktaError;

/// A key pair that is generated in memory and never stored.
pub(super) struct ProofKey {
    key: EncodingKey,
    public: Jwk,
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProofKey")
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

impl ProofKey {
    pub(super) fn new() -> Result<Self, OktaError> {
        let failed = || OktaError::NoAnswer("this machine cannot generate a key for DPoP".to_owned());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed())?;
        let der = pair.to_pkcs8v1().map_err(|_| failed())?;
        let key = EncodingKey::from_ec_der(der.as_ref());
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| failed())?;
        Ok(Self { key, public })
    }

    /// Signs a proof for one request, with the nonce that the server asked for and the access token that the request
    /// carries.
    pub(super) fn prove(
        &self,
        method: &str,
        url: &Url,
        nonce: Option<&str>,
        token: Option<&str>,
    ) -> Result<String, OktaError> {
        let mut address = url.clone();
        address.set_query(None);
        address.set_fragment(None);
        let claims = Claims {
            htm: method,
            htu: address.as_str(),
            iat: OffsetDateTime::now_utc().unix_timestamp(),
            jti: Uuid::new_v4(),
            nonce,
            ath: token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token))),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.public.clone());
        encode(&header, &claims, &self.key).map_err(|_| OktaError::NoAnswer("the key for DPoP cannot sign".to_owned()))
    }
}
