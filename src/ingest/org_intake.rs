//! The settings of an org for what comes from it.

use super::headers::KeptHeaders;
use crate::event::EventTypePattern;

/// The settings of an org for its events and deliveries.
#[derive(Clone, Debug, Default)]
pub struct OrgIntake {
    /// Event types that are kept; others are counted and dropped.
    pub event_types: Vec<EventTypePattern>,
    /// The headers of its deliveries that are kept.
    pub headers: KeptHeaders,
}

impl OrgIntake {
    /// True for an event type that is wanted.
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}
