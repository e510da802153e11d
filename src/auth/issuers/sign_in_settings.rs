//! The settings with which people sign in at an issuer by OpenID Connect.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

/// The settings of sign-in at an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInSettings {
    /// The id of the gateway as a client of the issuer.
    pub client_id: String,
    /// The secret with which the gateway authenticates to the issuer.
    pub client_secret: ClientSecret,
    /// The scopes that are requested.
    pub scopes: Vec<String>,
    /// The time for which a session lasts.
    pub session: Duration,
}

/// The secret of a client. Settings with different secrets differ.
#[derive(Clone, Debug)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// Creates a secret.
    pub const fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Returns the secret's text.
    pub(in crate::auth) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for ClientSecret {}
