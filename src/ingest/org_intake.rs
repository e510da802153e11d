//! The settings of an org for its events and deliveries.

use super::headers::KeptHeaders;
use crate::event::EventTypePattern;

/// The settings of an org for its events and deliveries.
#[derive(Clone, Debug, Default)]
pub struct OrgIntake {
    /// The event types that are kept; events of other types are counted and dropped.
    pub event_types: Vec<EventTypePattern>,
    /// The headers of deliveries that are stored.
    pub headers: KeptHeaders,
}

impl OrgIntake {
    /// Returns true for an event type that the org keeps.
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}
