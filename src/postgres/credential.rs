//! The credential for which the database is read.

use std::fmt;

/// The party for which the database is read. Each credential has a share of the connections that read, and the time for
/// which it uses them is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The gateway itself, for reads that serve all clients, such as the log's tail and its end.
    Gateway,
    /// All subscriptions together, for catching up and for fields of events that only the database has.
    Subscriptions,
    /// All clients that query a gateway without configured readers.
    Open,
    /// A reader, by its configured name.
    Reader(String),
    /// An API key, by its name.
    ApiKey(String),
    /// Some of the people who have signed in at an issuer.
    Session {
        /// The issuer's configured name.
        issuer: String,
        /// The number of the share, which the person decides.
        share: u64,
    },
    /// Some of an issuer's tokens.
    Token {
        /// The issuer's configured name.
        issuer: String,
        /// The number of the share, which the token's subject decides. It has a bound, so that subjects that never come again
        /// leave nothing behind.
        share: u64,
    },
}

impl fmt::Display for Credential {
    /// Writes the credential as metrics and log lines name it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => formatter.write_str("gateway"),
            Self::Subscriptions => formatter.write_str("subscriptions"),
            Self::Open => formatter.write_str("open"),
            Self::Reader(name) => write!(formatter, "reader:{name}"),
            Self::ApiKey(name) => write!(formatter, "key:{name}"),
            Self::Session { issuer, .. } => write!(formatter, "session:{issuer}"),
            Self::Token { issuer, .. } => write!(formatter, "issuer:{issuer}"),
        }
    }
}
