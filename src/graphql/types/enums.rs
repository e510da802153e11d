//! Enums: the severity of an event, the ways in and their states, and the status of an application instance.

use async_graphql::Enum;
use async_graphql::resolver_utils::EnumType as _;

use crate::event::{IngestSource, SourceState};
use crate::okta::SEVERITIES;

/// Okta's severity of an event. System Log: `severity`.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Severity {
    /// Details for troubleshooting.
    Debug,
    /// Normal activity.
    Info,
    /// A possible problem, such as a failed sign-in.
    Warn,
    /// A failure.
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

/// The status of an application instance in Okta.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApplicationInstanceStatus {
    /// The instance is active.
    Active,
    /// An admin has deactivated the instance.
    Inactive,
    /// Okta no longer lists the instance.
    Deleted,
}

impl ApplicationInstanceStatus {
    /// The status with this name; None for a name that Okta has not documented.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::items().iter().find(|item| item.name == name).map(|item| item.value)
    }
}

/// The state of a source of events.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "IngestState", remote = "SourceState")]
pub(super) enum IngestStateNode {
    /// No event has come from the source yet.
    Waiting,
    /// Events have come from the source.
    Receiving,
    /// The System Log has been read to its end, and new events are read as they appear.
    Following,
    /// The System Log is being read for the first time: `backfill` has the progress.
    Backfilling,
    /// The last attempt failed: `lastError` has the reason.
    Failing,
}

/// A source of events: a way by which they reach sluice.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "IngestSource", remote = "IngestSource")]
pub(super) enum IngestSourceNode {
    /// Okta's event hooks.
    EventHook,
    /// Okta's System Log API.
    SystemLog,
    /// A flow of Okta Workflows that posts its card's outputs.
    Workflows,
    /// Files that were imported.
    Import,
    /// Okta's Log Streaming, by way of Amazon EventBridge.
    LogStream,
}
