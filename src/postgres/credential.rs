//! The credential for which the database is read.

use std::fmt;

/// The party for which the database is read. Each credential has a share of the connections that read, and the time for
/// which it uses them is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The gateway itself, which reads for everybody: the log's tail and its end, among others.
    Gateway,
    /// All subscriptions together, where they catch up or complete the events that they push.
    Subscriptions,
    /// Everybody who queries a gateway without readers.
    Open,
    /// A reader, by its configured name.
    Reader(String),
}

impl fmt::Display for Credential {
    /// Writes the credential as metrics and log lines name it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => formatter.write_str("gateway"),
            Self::Subscriptions => formatter.write_str("subscriptions"),
            Self::Open => formatter.write_str("open"),
            Self::Reader(name) => write!(formatter, "reader:{name}"),
        }
    }
}
