//! Requests for feeds: which events, and how each of them is rendered.

use std::fmt;

use super::renderer::Renderer;
use crate::event::Filter;

/// A request for a feed.
#[derive(Clone)]
pub struct FeedRequest {
    /// Equal for two requests if and only if they select the same events and render them to the same text: their subscribers
    /// share one feed. Once readers differ in what they may see, their rights become part of the key.
    pub key: String,
    /// Selects the events.
    pub filter: Filter,
    /// Renders each event.
    pub renderer: Renderer,
    /// True if the renderer needs the events as Okta sent them.
    pub with_details: bool,
}

impl fmt::Debug for FeedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FeedRequest").field("key", &self.key).finish_non_exhaustive()
    }
}
