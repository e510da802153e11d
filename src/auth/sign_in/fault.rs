//! The reasons why sign-ins and logouts fail, in words for the person and the operator.

use crate::auth::issuers::TokenFault;
use crate::store::StoreError;

/// The longest text of an issuer that a page shows, in characters.
const MAX_SHOWN: usize = 300;

/// The reason why a sign-in has failed. It is shown to the person, so it has nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInFault {
    /// No issuer has the table `sign_in`.
    #[error("Nobody can sign in here: no issuer of the settings has sign_in (docs/sign-in.md).")]
    NotConfigured,
    /// No issuer with this name has the table `sign_in`.
    #[error("There is no issuer {0:?} with issuers.sign_in in the settings.")]
    UnknownIssuer(String),
    /// The page to return to is not one of the gateway.
    #[error("The parameter `to` must be a path of this gateway, such as /graphiql.")]
    NotLocal,
    /// The client's address has begun too many sign-ins.
    #[error("From this network address, more than 1,000 sign-ins have begun within 10 minutes. Try again later.")]
    TooMany,
    /// Too many sign-ins begin at once.
    #[error("Too many people are signing in at this moment. Try again.")]
    Busy,
    /// The database is not available.
    #[error("The gateway cannot use its database at this moment. Try again.")]
    Unavailable,
    /// The sign-in is not known.
    #[error(
        "This sign-in is not known. It took longer than 10 minutes, was finished before, or has begun in another browser."
    )]
    UnknownLogin,
    /// The metadata of the issuer could not be fetched.
    #[error("The metadata of the issuer {0} could not be fetched; the gateway's log has the reason (issuers.{0}.url).")]
    NoMetadata(String),
    /// The metadata has no such endpoint, or one without TLS.
    #[error("The metadata of the issuer {0} has no {1} with https (issuers.{0}.url).")]
    NoEndpoint(String, &'static str),
    /// Another issuer has sent the browser back.
    #[error("The browser was sent back by the issuer {1:?}, not by issuers.{0}.url.")]
    OtherIssuer(String, String),
    /// The issuer has refused the sign-in.
    #[error("The issuer {0} has refused the sign-in: {1} (issuers.{0}.sign_in).")]
    Refused(String, String),
    /// The browser came back without a code.
    #[error("The issuer {0} has sent the browser back without a code.")]
    NoCode(String),
    /// The issuer accepts no client secret.
    #[error(
        "The issuer {0} accepts neither client_secret_basic nor client_secret_post, of which sluice uses one. Use another kind \
         of client at the issuer."
    )]
    NoSecretAllowed(String),
    /// The issuer does not answer when the code is exchanged.
    #[error("The issuer {0} does not answer when the code is exchanged: {1}.")]
    NoAnswer(String, String),
    /// The issuer refuses to exchange the code.
    #[error("The issuer {issuer} does not exchange the code: {reason}. {advice}")]
    NotExchanged {
        /// The issuer's name in the settings.
        issuer: String,
        /// The error, as the issuer says it.
        reason: String,
        /// The settings to look at.
        advice: String,
    },
    /// The issuer's answer has no ID token.
    #[error("The issuer {0} has answered without an ID token: {1} (issuers.{0}.sign_in.scopes must have openid).")]
    NoIdToken(String, String),
    /// The ID token is refused.
    #[error("The ID token of the issuer {0} is refused: {1}.")]
    IdToken(String, TokenFault),
    /// The ID token belongs to another sign-in.
    #[error("The ID token of the issuer {0} is refused: its nonce is of another sign-in.")]
    Nonce(String),
    /// The ID token was issued to another client.
    #[error(
        "The ID token of the issuer {0} is refused: it was issued to another client (issuers.{0}.sign_in.client_id)."
    )]
    OtherClient(String),
    /// The ID token was issued a long time ago, or in the future.
    #[error(
        "The ID token of the issuer {issuer} is refused: it was issued {seconds} s from now. Compare the clocks of this machine \
         and of the issuer (issuers.{issuer}.leeway_seconds)."
    )]
    IssuedAt {
        /// The issuer's name in the settings.
        issuer: String,
        /// The number of seconds; negative in the past.
        seconds: i64,
    },
    /// No rule of the issuer gives the person any rights.
    #[error(
        "You have signed in as {subject}, but no rule gives you rights here: {mismatches}. The ID token has the claims {claims}; \
         the rules are [[issuers.rules]] of the issuer {issuer}."
    )]
    NoRights {
        /// The issuer's name in the settings.
        issuer: String,
        /// The person, as the issuer names it.
        subject: String,
        /// The claims that the rules look at, and why none of them does.
        mismatches: String,
        /// The names of the claims that the ID token has.
        claims: String,
    },
}

impl SignInFault {
    /// Returns the configured name of the issuer at which the sign-in has failed; None if it has failed before that.
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::NotConfigured
            | Self::UnknownIssuer(_)
            | Self::NotLocal
            | Self::TooMany
            | Self::Busy
            | Self::Unavailable
            | Self::UnknownLogin => None,
            Self::NoMetadata(issuer)
            | Self::NoEndpoint(issuer, _)
            | Self::OtherIssuer(issuer, _)
            | Self::Refused(issuer, _)
            | Self::NoCode(issuer)
            | Self::NoSecretAllowed(issuer)
            | Self::NoAnswer(issuer, _)
            | Self::NotExchanged { issuer, .. }
            | Self::NoIdToken(issuer, _)
            | Self::IdToken(issuer, _)
            | Self::Nonce(issuer)
            | Self::OtherClient(issuer)
            | Self::IssuedAt { issuer, .. }
            | Self::NoRights { issuer, .. } => Some(issuer),
        }
    }

    /// Returns the subject of the person, if the issuer has proved who that is.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::NoRights { subject, .. } => Some(subject),
            _ => None,
        }
    }

    /// Returns true if the address that the browser has opened is wrong, so that nobody has tried to sign in.
    pub const fn is_of_address(&self) -> bool {
        matches!(self, Self::NotConfigured | Self::UnknownIssuer(_) | Self::NotLocal)
    }

    pub(super) fn of_database(error: &StoreError) -> Self {
        tracing::warn!(%error, "a sign-in has failed because of the database");
        Self::Unavailable
    }
}

/// The reason why a logout token of an issuer ends nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutFault {
    /// The issuer is not for sign-in.
    #[error("issuers.{0} has no sign_in")]
    NoSignIn(String),
    /// The token is refused as all others of the issuer would be.
    #[error("the logout token is refused: {0}")]
    Token(#[from] TokenFault),
    /// The token is no logout token.
    #[error("the logout token is refused: {0}")]
    NoLogoutToken(&'static str),
    /// The token was used before.
    #[error("the logout token was used before")]
    Replayed,
    /// The database is not available.
    #[error("the gateway cannot use its database at this moment; send the token again")]
    Unavailable,
}

/// Returns an issuer's error and its description, if there is one, as a part of a sentence.
pub(super) fn shown_error(error: &str, description: Option<&str>) -> String {
    let description = shown(description.unwrap_or_default());
    let description = description.trim().trim_end_matches('.');
    if description.is_empty() { shown(error) } else { format!("{}: {description}", shown(error)) }
}

/// Returns the part of a foreign text that a page may show.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_an_issuer_is_part_of_a_sentence() {
        for (description, expected) in [
            (None, "invalid_scope"),
            (Some(""), "invalid_scope"),
            (Some("Policy evaluation failed."), "invalid_scope: Policy evaluation failed"),
            (Some("unknown scope\n"), "invalid_scope: unknown scope"),
        ] {
            assert_eq!(shown_error("invalid_scope", description), expected);
        }
    }
}
