//! Enums: the severity of an event, the ways in and their states, and the status of an application instance.

use async_graphql::Enum;
use async_graphql::resolver_utils::EnumType as _;

use crate::event::{IngestSource, SourceState};
use crate::okta::SEVERITIES;

/// Okta's severity of an event.
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

/// The status of an application instance.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApplicationInstanceStatus {
    /// The instance is in use.
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
    /// Nothing has come yet.
    Waiting,
    /// Something has come.
    Receiving,
    /// The System Log has been read to its end, and is read on.
    Following,
    /// The System Log is read for the first time: `backfill` has the progress.
    Backfilling,
    /// The last attempt failed: `lastError` has the reason.
    Failing,
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
