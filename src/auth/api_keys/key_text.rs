//! The text of an API key: `slk_`, a public id of 10 characters, `_`, a secret of 43 and a checksum of 6, all in base 62.
//!
//! The checksum tells a mistyped key from an unknown one without any look-up. It needs no secret, so it proves nothing.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::key_fault::KeyFault;

/// The beginning of every key, by which scanners of source code can recognise one.
pub(in crate::auth) const PREFIX: &str = "slk_";

/// The length of the id: enough that two keys hardly ever have the same.
const ID: usize = 10;

/// The length of the secret, which has 256 random bits.
const SECRET: usize = 43;

/// The length of the checksum, which has 32 bits.
const CHECKSUM: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key. Its text is known here only, and stored nowhere.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The public id.
    pub id: String,
    /// The whole text.
    pub text: SecretString,
    /// The SHA-256 of the secret.
    pub hash: [u8; 32],
}

/// The error for a machine without random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random numbers for a key")]
pub struct NoRandomNumbers;

/// The parts of a key that a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedKey<'a> {
    pub(super) id: &'a str,
    pub(super) hash: [u8; 32],
}

impl GeneratedKey {
    /// Generates a key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, NoRandomNumbers> {
        let id = random_digits(ID)?;
        let secret = SecretString::from(random_digits(SECRET)?);
        let hash = Sha256::digest(secret.expose_secret()).into();
        let body = format!("{PREFIX}{id}_{}", secret.expose_secret());
        let text = SecretString::from(format!("{body}{}", checksum(&body)));
        Ok(Self { id, text, hash })
    }
}

/// Returns the parts of a key.
///
/// # Errors
/// The text is no key, or was changed by mistake.
pub(super) fn parse(text: &str) -> Result<ParsedKey<'_>, KeyFault> {
    let (id, rest) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(KeyFault::Malformed)?;
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if id.len() != ID || rest.len() != SECRET + CHECKSUM || !are_digits(id) || !are_digits(rest) {
        return Err(KeyFault::Malformed);
    }
    let (body, sum) = text.split_at(text.len() - CHECKSUM);
    if checksum(body) != sum {
        return Err(KeyFault::Checksum);
    }
    Ok(ParsedKey { id, hash: Sha256::digest(&rest.as_bytes()[..SECRET]).into() })
}

/// Returns the id of a text that begins like a key, also if the rest of it is no secret of a key.
pub(super) fn public_id(text: &str) -> Option<&str> {
    let (id, _) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(id)
}

/// Returns random digits, each of them equally likely.
fn random_digits(length: usize) -> Result<String, NoRandomNumbers> {
    let mut digits = String::with_capacity(length);
    let mut bytes = [0; 64];
    while digits.len() < length {
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomNumbers)?;
        // 248 is the largest multiple of 62 in a byte.
        let usable = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| DIGITS.get(usize::from(byte % 62)));
        digits.extend(usable.take(length - digits.len()).map(|digit| char::from(*digit)));
    }
    Ok(digits)
}

/// Returns the CRC-32 of a text in base 62.
fn checksum(text: &str) -> String {
    let mut number = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get(usize::try_from(number % 62).unwrap_or_default()).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_read_and_each_changed_character_is_noticed() {
        let key = GeneratedKey::generate().unwrap();
        let text = key.text.expose_secret();
        assert_eq!(text.len(), 64);
        assert_eq!(parse(text), Ok(ParsedKey { id: &key.id, hash: key.hash }));
        assert_eq!(public_id(text), Some(&*key.id));
        for no_id in ["", "slk_", "slk_0123456789", "slk_012345678_9", "slk_01234 6789_x", "0123456789_x"] {
            assert_eq!(public_id(no_id), None, "{no_id}");
        }
        for at in 0..text.len() {
            for other in ["0", "1", "_", "-", "é", ""] {
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                if changed != text {
                    assert!(matches!(parse(&changed), Err(KeyFault::Malformed | KeyFault::Checksum)), "{changed}");
                }
            }
        }
        for no_key in
            ["", "slk_", "slk__", "slk_0123456789", "SLK_0123456789_", &format!("{text} "), &format!("{text}0")]
        {
            assert_eq!(parse(no_key), Err(KeyFault::Malformed), "{no_key}");
        }
        assert!(!format!("{key:?}").contains(&text[16..]));
    }

    #[test]
    fn the_checksum_is_that_of_the_document() {
        // CRC-32 of `slk_0000000000_` and 43 zeros, by Python's zlib.crc32.
        let body = format!("slk_0000000000_{}", "0".repeat(43));
        assert_eq!(checksum(&body), EXAMPLE);
        assert!(parse(&format!("{body}{EXAMPLE}")).is_ok());
    }

    const EXAMPLE: &str = "07os5Z";

    #[test]
    fn random_digits_are_all_used_and_never_repeat() {
        let digits = random_digits(20_000).unwrap();
        let counts = DIGITS.map(|digit| digits.bytes().filter(|byte| *byte == digit).count());
        // Of 20,000 digits, about 323 are expected to be the same; the standard deviation is 18.
        assert!(counts.iter().all(|count| (200..450).contains(count)), "{counts:?}");
        assert_ne!(random_digits(SECRET), random_digits(SECRET));
    }
}
