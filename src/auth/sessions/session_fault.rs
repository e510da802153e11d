//! The reasons why the cookie of a session opens nothing.

use crate::event::Timestamp;

/// The reason why the cookie of a session opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// The session is unknown: it has never begun, or ended some time ago.
    #[error("the session has ended: sign in again at /auth/login")]
    Ended,
    /// The session has expired.
    #[error("the session expired at {0}: sign in again at /auth/login")]
    Expired(Timestamp),
    /// The person, the issuer or an operator has ended the session.
    #[error("the session was ended at {0}: sign in again at /auth/login")]
    Revoked(Timestamp),
    /// People cannot sign in any more at the issuer with this name in the settings, or it has another URL now.
    #[error(
        "the session is of an issuer that issuers.{0}.url and sign_in no longer name: sign in again at /auth/login"
    )]
    NoSignIn(String),
    /// The session was not looked up, since the database is not available.
    #[error("the session could not be looked up, since the database is not available; send the request again")]
    Unavailable,
    /// No rule of the issuer gives the person any rights now.
    #[error("no rule of issuers.{issuer}.rules matches this session, so it has no rights: {mismatches}")]
    NoRights {
        /// The issuer's name in the settings.
        issuer: String,
        /// The subject of the person.
        subject: String,
        /// The claims that the rules look at, and why none of them does.
        mismatches: String,
    },
    /// The cookie came with a request that a page of the gateway has not sent.
    #[error(
        "a session counts only for pages at access.public_url ({0}), by the headers Origin and Sec-Fetch-Site: send a token instead"
    )]
    ForeignPage(String),
}
