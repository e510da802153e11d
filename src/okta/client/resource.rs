//! The APIs of an org that sluice reads.

/// An org's API, of which each has a rate limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `/api/v1/logs`.
    Logs,
    /// `/api/v1/apps`.
    Apps,
}

impl Resource {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Logs => "/api/v1/logs",
            Self::Apps => "/api/v1/apps",
        }
    }
}
