//! The reasons why the sender of a request is unknown, or has no rights.

use std::fmt;

use super::api_keys::KeyFault;
use super::issuers::TokenFault;
use super::sessions::SessionFault;

/// The error for a request whose sender is unknown, or has no rights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The request has no token.
    #[error("{}", .0.required())]
    NoToken(AcceptedCredentials),
    /// The request has a token that nobody has.
    #[error("the token is unknown: this gateway accepts {0}")]
    UnknownToken(AcceptedCredentials),
    /// The request has an API key that opens nothing.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// No token is required unless there are API keys, and they were not read from the database yet.
    #[error("the gateway is starting, and has not read the API keys from its database yet; send the request again")]
    KeysUnread,
    /// The request has the cookie of a session that opens nothing.
    #[error("{0}")]
    Session(#[from] SessionFault),
    /// The request has several `Authorization` headers, of which somebody on the way might take another one.
    #[error("the request has several authorization headers: send one")]
    SeveralHeaders,
    /// The request has a token that no issuer vouches for.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenFault),
    /// The request has a token that no reader has, and that no issuer can have issued.
    #[error("the token is refused: no reader has it, and as a token of an issuer, {0}")]
    OfNoReader(TokenFault),
}

/// The kinds of credentials that a gateway accepts. Whoever has none is told of them, so they name nobody.
#[expect(clippy::struct_excessive_bools, reason = "each kind is accepted or not, whatever the others are")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedCredentials {
    /// True if there are readers.
    pub readers: bool,
    /// True if there are API keys.
    pub keys: bool,
    /// True if an issuer's tokens are accepted.
    pub tokens: bool,
    /// True if people can sign in.
    pub sign_in: bool,
}

impl Denied {
    /// Returns true if the sender could not be identified for want of something that the gateway lacks, so that it must retry.
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::KeysUnread | Self::Session(SessionFault::Unavailable) | Self::Token(TokenFault::NoKeys { .. })
        )
    }

    /// Returns true if the sender is known, and has no rights.
    pub const fn is_without_rights(&self) -> bool {
        matches!(self, Self::Token(TokenFault::NoRights { .. }) | Self::Session(SessionFault::NoRights { .. }))
    }

    /// Returns the issuer and the name of the sender, as far as the refused credential proves them.
    pub fn proven(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Key(fault) => (None, fault.key()),
            Self::Token(TokenFault::NoRights { issuer, subject, .. }) => (Some(issuer), subject.as_deref()),
            Self::Session(SessionFault::NoRights { issuer, subject, .. }) => (Some(issuer), Some(subject)),
            _ => (None, None),
        }
    }

    /// Returns true if the request has a credential that is refused, as opposed to none.
    pub const fn is_of_credential(&self) -> bool {
        !matches!(self, Self::NoToken(_) | Self::KeysUnread)
    }
}

impl AcceptedCredentials {
    /// Returns the kinds that are sent as a bearer token. Keys can be added at any time, so they are among them if nothing else is.
    fn bearers(self) -> Vec<&'static str> {
        let has_others = self.readers || self.tokens || self.sign_in;
        let kinds = [
            (self.readers, "a reader's token"),
            (self.keys || !has_others, "an API key"),
            (self.tokens, "a token of an issuer"),
        ];
        kinds.into_iter().filter(|(is_accepted, _)| *is_accepted).map(|(_, kind)| kind).collect()
    }

    fn required(self) -> String {
        if self.bearers().is_empty() {
            return format!("{self} is required: sign in at /auth/login");
        }
        let tokens = Self { sign_in: false, ..self };
        let sign_in = if self.sign_in { "; people can also sign in at /auth/login" } else { "" };
        format!(
            "{tokens} is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`{sign_in}"
        )
    }
}

impl fmt::Display for AcceptedCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = self.bearers();
        if self.sign_in {
            kinds.push("the session of a person who has signed in");
        }
        match &kinds[..] {
            [others @ .., before, last] if !others.is_empty() => {
                write!(formatter, "{}, {before} or {last}", others.join(", "))
            }
            _ => formatter.write_str(&kinds.join(" or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_token_is_told_which_kinds_there_are() {
        let accepted =
            |[readers, keys, tokens, sign_in]: [bool; 4]| AcceptedCredentials { readers, keys, tokens, sign_in };
        let how = "is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`";
        for (kinds, required, listed) in [
            ([true, false, false, false], format!("a reader's token {how}"), "a reader's token"),
            ([false, true, false, false], format!("an API key {how}"), "an API key"),
            ([false, false, false, false], format!("an API key {how}"), "an API key"),
            (
                [true, true, false, false],
                format!("a reader's token or an API key {how}"),
                "a reader's token or an API key",
            ),
            (
                [true, true, true, true],
                format!(
                    "a reader's token, an API key or a token of an issuer {how}; people can also sign in at /auth/login"
                ),
                "a reader's token, an API key, a token of an issuer or the session of a person who has signed in",
            ),
            (
                [false, false, false, true],
                "the session of a person who has signed in is required: sign in at /auth/login".to_owned(),
                "the session of a person who has signed in",
            ),
        ] {
            let accepted = accepted(kinds);
            assert_eq!((Denied::NoToken(accepted).to_string(), accepted.to_string().as_str()), (required, listed));
        }
    }
}
