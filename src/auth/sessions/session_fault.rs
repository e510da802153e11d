//! The reasons why the cookie of a session opens nothing.

/// The reason why the cookie of a session opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// The session is unknown, or has ended.
    #[error("the session has ended: sign in again at /auth/login")]
    Ended,
    /// The session was not looked up, since the database is not available.
    #[error("the session could not be looked up, since the database is not available; send the request again")]
    Unavailable,
    /// No rule of the issuer gives the person any rights now.
    #[error("no rule of issuers.{0}.rules matches this session, so it has no rights")]
    NoRights(String),
    /// The cookie came with a request that a page of the gateway has not sent.
    #[error(
        "a session counts only for pages at access.public_url ({0}), by the headers Origin and Sec-Fetch-Site: send a token instead"
    )]
    ForeignPage(String),
}
