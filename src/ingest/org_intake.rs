//! The settings of an org for its events and deliveries.

use super::headers::KeptHeaders;
use crate::event::EventTypePattern;
use crate::okta::Privacy;

/// The settings of an org for its events and deliveries.
#[derive(Clone, Debug, Default)]
pub struct OrgIntake {
    /// The event types that are kept; events of other types are counted and dropped.
    pub event_types: Vec<EventTypePattern>,
    /// The headers of deliveries that are stored.
    pub headers: KeptHeaders,
    /// The members of events that are removed or hashed before anything is stored.
    pub privacy: Option<Privacy>,
}

impl OrgIntake {
    /// Returns true for an event type that the org keeps.
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}
