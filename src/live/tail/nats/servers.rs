//! The NATS servers that an operator has configured.

use std::fmt;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

/// The servers of a NATS cluster, any of which will do, and the login. Debug output has no secrets.
#[derive(Clone)]
pub struct NatsServers {
    addresses: Vec<ServerAddr>,
    login: Login,
}

#[derive(Clone)]
enum Login {
    None,
    Token(SecretString),
    Password(String, SecretString),
}

/// The text names no servers of NATS. It may hold a password and is not shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the NATS URL cannot be read; expected nats://user:password@host:4222, or several with commas between")]
pub struct NatsServersError;

impl NatsServers {
    /// Reads URLs separated by commas: `nats://` or, with TLS, `tls://`. A user and a password, or a token, may stand in the
    /// first URL that has any. The default port is 4222.
    ///
    /// # Errors
    /// The text has another form.
    pub fn parse(text: &str) -> Result<Self, NatsServersError> {
        let mut login = Login::None;
        let mut addresses = Vec::new();
        for text in text.split(',').map(str::trim) {
            let address: ServerAddr = text.parse().map_err(|_| NatsServersError)?;
            let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
            if address.host().is_empty() || address.is_websocket() {
                return Err(NatsServersError);
            }
            login = match (login, address.username(), address.password()) {
                (Login::None, Some(user), Some(password)) => Login::Password(decoded(user), decoded(password).into()),
                (Login::None, Some(token), None) => Login::Token(decoded(token).into()),
                (login, _, _) => login,
            };
            // The library prints addresses in its error messages.
            let mut url = address.into_inner();
            url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| NatsServersError)?;
            addresses.push(ServerAddr::from_url(url).map_err(|_| NatsServersError)?);
        }
        Ok(Self { addresses, login })
    }

    pub(super) fn addresses(&self) -> &[ServerAddr] {
        &self.addresses
    }

    /// Connection options with the login.
    pub(super) fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new();
        match &self.login {
            Login::None => options,
            Login::Token(token) => options.token(token.expose_secret().to_owned()),
            Login::Password(user, password) => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
        }
    }
}

impl fmt::Debug for NatsServers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.addresses.iter().map(ServerAddr::host)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_secrets_are_not_shown() {
        for (text, hosts) in [
            ("nats://one", "[\"one\"]"),
            ("one:4222,tls://two", "[\"one\", \"two\"]"),
            ("nats://user:hunter2@one, nats://user:hunter2@two", "[\"one\", \"two\"]"),
            ("nats://hunter2@one", "[\"one\"]"),
        ] {
            let servers = NatsServers::parse(text).unwrap();
            assert_eq!(format!("{servers:?}"), hosts);
            assert!(servers.addresses().iter().all(|address| !address.has_user_pass()), "{text}");
            assert_eq!(!matches!(servers.login, Login::None), text.contains("hunter2"), "{text}");
        }
        for bad in ["", "nats://", "http://one", "wss://one", "one,,two", "nats://one:hunter2"] {
            let error = NatsServers::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn what_a_url_cannot_hold_is_written_with_percents() {
        let servers = NatsServers::parse("nats://us%40er:p%2Fss@one").unwrap();
        assert!(matches!(&servers.login, Login::Password(user, password)
            if user == "us@er" && password.expose_secret() == "p/ss"));
    }
}
