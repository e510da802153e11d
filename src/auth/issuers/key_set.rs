//! The public keys of an issuer: a JSON Web Key Set.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The maximum number of keys of a set.
const MAX_KEYS: usize = 100;

/// The least length of an RSA key, in bits. Shorter ones can be forged.
const LEAST_RSA_BITS: usize = 2048;

/// The public keys with which an issuer's tokens are verified.
#[derive(Debug)]
pub(super) struct KeySet(Vec<VerificationKey>);

struct VerificationKey {
    id: Option<String>,
    /// The algorithms of which tokens may be verified with the key.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("VerificationKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The fault of a text that is no key set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeySetFault {
    #[error("it is no JSON object with a list `keys` ({0})")]
    NoKeySet(String),
    #[error("it has {0} keys, at most {MAX_KEYS} are allowed")]
    TooManyKeys(usize),
    #[error(
        "it has no public key with which signatures could be verified (RSA from {LEAST_RSA_BITS} bits on, P-256, P-384 or Ed25519)"
    )]
    NoUsableKey,
}

#[derive(Deserialize)]
struct KeySetJson {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set. Keys that sluice cannot use, such as those for encryption, are left out.
    ///
    /// # Errors
    /// The text is no key set, or none of its keys can be used.
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeySetFault> {
        let KeySetJson { keys } =
            serde_json::from_slice(json).map_err(|error| KeySetFault::NoKeySet(error.to_string()))?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetFault::TooManyKeys(keys.len()));
        }
        let keys: Vec<_> = keys.into_iter().filter_map(VerificationKey::read).collect();
        if keys.is_empty() { Err(KeySetFault::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// Returns the ids of the keys; those without one are left out.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.id.as_deref())
    }

    /// Returns the key of a token. A token that names no key has one only if exactly one key fits its algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits =
            |key: &&VerificationKey| key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id);
        let mut fitting = self.0.iter().filter(fits);
        let found = fitting.next()?;
        fitting.next().is_none().then_some(&found.key)
    }
}

impl VerificationKey {
    fn read(json: Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(json).ok()?;
        if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let fitting = match &key.algorithm {
            AlgorithmParameters::RSA(parameters) if bits(&parameters.n)? >= LEAST_RSA_BITS => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ][..],
            AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
                EllipticCurve::P256 => &[Algorithm::ES256][..],
                EllipticCurve::P384 => &[Algorithm::ES384][..],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA][..]
            }
            _ => return None,
        };
        // A key that names its algorithm verifies no other.
        let own = key.common.key_algorithm.as_ref().map(|algorithm| algorithm.to_string().parse::<Algorithm>().ok());
        let is_allowed = |algorithm: &&Algorithm| own.is_none_or(|own| own == Some(**algorithm));
        let algorithms: Vec<_> = fitting.iter().filter(is_allowed).copied().collect();
        let decoding_key = DecodingKey::from_jwk(&key).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { id: key.common.key_id, algorithms, key: decoding_key })
    }
}

/// Returns the length in bits of a number in base64.
fn bits(number: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(number).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some((bytes.len() - first) * 8 - bytes[first].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(bits: usize, other: &Value) -> Value {
        let mut modulus = vec![0xff_u8; bits / 8];
        modulus[0] = 0x80;
        let mut key = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"});
        key.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        key
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetFault> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_its_id_or_as_the_only_one() {
        let set = parse(&[rsa(2048, &json!({"kid": "a"})), rsa(2048, &json!({"kid": "b", "alg": "RS256"}))]).unwrap();
        assert_eq!(set.ids().collect::<Vec<_>>(), ["a", "b"]);
        for (id, algorithm, is_found) in [
            (Some("a"), Algorithm::RS256, true),
            (Some("b"), Algorithm::RS256, true),
            (Some("b"), Algorithm::PS256, false),
            (Some("a"), Algorithm::ES256, false),
            (Some("a"), Algorithm::HS256, false),
            (Some("c"), Algorithm::RS256, false),
            (Some("../a"), Algorithm::RS256, false),
            (None, Algorithm::RS256, false),
            (None, Algorithm::PS256, true),
        ] {
            assert_eq!(set.find(id, algorithm).is_some(), is_found, "{id:?} {algorithm:?}");
        }
    }

    #[test]
    fn keys_that_sign_nothing_are_left_out() {
        let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"});
        for unusable in [
            rsa(1024, &json!({})),
            rsa(2048, &json!({"use": "enc"})),
            rsa(2048, &json!({"alg": "HS256"})),
            secret.clone(),
            json!({"kty": "EC", "crv": "P-256", "x": "not base64!", "y": "AA"}),
            json!({"kty": "unheard of"}),
            json!(1),
        ] {
            assert_eq!(parse(std::slice::from_ref(&unusable)).unwrap_err(), KeySetFault::NoUsableKey, "{unusable}");
        }
        let set = parse(&[secret, rsa(2048, &json!({"kid": "r"}))]).unwrap();
        assert!(set.find(Some("s"), Algorithm::HS256).is_none() && set.find(Some("r"), Algorithm::RS256).is_some());
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for text in ["", "{}", "[]", "{\"keys\": 1}", "<html>"] {
            assert!(matches!(KeySet::parse(text.as_bytes()), Err(KeySetFault::NoKeySet(_))), "{text}");
        }
        assert_eq!(parse(&vec![rsa(2048, &json!({})); 101]).unwrap_err(), KeySetFault::TooManyKeys(101));
    }
}
