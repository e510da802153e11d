//! Enums: the severity of an event, and the ways in.

use async_graphql::Enum;

use crate::event::IngestSource;
use crate::okta::SEVERITIES;

/// How serious it is.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Severity {
    /// Of interest when looking for a fault.
    Debug,
    /// All is well.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl Severity {
    const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// Okta's name of the severity.
    pub(in crate::graphql) const fn name(self) -> &'static str {
        SEVERITIES[self as usize]
    }

    /// The severity with Okta's name; None for a name that Okta has not documented.
    pub(in crate::graphql) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// A way by which events come in.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "IngestSource", remote = "IngestSource")]
pub(super) enum IngestSourceNode {
    /// Okta's event hooks.
    EventHook,
    /// Okta's System Log API.
    SystemLog,
    /// An Okta Workflows flow.
    Workflows,
    /// Files of history.
    Import,
    /// Okta's Log Streaming, by way of Amazon EventBridge.
    LogStream,
}
