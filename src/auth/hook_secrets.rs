//! The secrets with which an org's event hooks prove themselves.

use secrecy::SecretString;

use super::is_secret;

/// An org's hook secrets: any of them is accepted, so that one can be rotated. Without any, hooks are open: `serve`
/// allows that on a loopback address only.
#[derive(Clone, Debug)]
pub struct HookSecrets {
    /// The header that bears the secret, in lower case.
    pub header: String,
    secrets: Vec<SecretString>,
}

impl HookSecrets {
    /// These secrets, in this header.
    pub fn new(header: &str, secrets: Vec<SecretString>) -> Self {
        Self { header: header.to_ascii_lowercase(), secrets }
    }

    /// Whether anybody may deliver.
    pub const fn is_open(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Whether a header's whole value is one of the secrets.
    pub fn accept(&self, value: Option<&[u8]>) -> bool {
        let value = value.unwrap_or_default();
        self.is_open() || self.secrets.iter().fold(false, |accepted, secret| accepted | is_secret(secret, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_secrets_and_nothing_else() {
        let secrets = HookSecrets::new("Authorization", vec!["old".into(), "new".into()]);
        assert_eq!(secrets.header, "authorization");
        assert!(secrets.accept(Some(b"old")) && secrets.accept(Some(b"new")));
        for bad in [None, Some(&b""[..]), Some(b"ol"), Some(b"old "), Some(b"Bearer old")] {
            assert!(!secrets.accept(bad), "{bad:?}");
        }
        assert!(HookSecrets::new("authorization", Vec::new()).accept(None));
    }
}
