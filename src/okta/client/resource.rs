//! The APIs of an org that sluice reads.

/// An API of an org. Each API has its own rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `/api/v1/logs`.
    Logs,
    /// `/api/v1/apps`.
    Apps,
}

impl Resource {
    /// Returns the URL path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Logs => "/api/v1/logs",
            Self::Apps => "/api/v1/apps",
        }
    }
}
