//! Requests for feeds: which events, and how each of them is rendered.

use std::fmt;
use std::sync::Arc;

use super::rendered::FeedEntry;
use super::renderer::{PayloadWriter, Renderer};
use crate::event::{Filter, SyncEvent};
use crate::log::{MatchingEvents, View};
use crate::store::Credential;

/// A request for a feed. [`FeedRequest::new`] alone makes one, so that every feed has the rights of a view:
///
/// ```compile_fail,E0451
/// use sluice::live::{FeedRequest, Rendering};
/// use sluice::log::MatchingEvents;
///
/// fn request(key: String, events: MatchingEvents, rendering: Rendering) -> FeedRequest {
///     FeedRequest { key, events, rendering }
/// }
/// ```
///
/// ```
/// use sluice::live::{FeedRequest, Rendering};
/// use sluice::log::View;
///
/// fn request(view: &View, rendering: Rendering) -> FeedRequest {
///     FeedRequest::new(view, sluice::event::Filter::default(), rendering)
/// }
/// ```
#[derive(Clone)]
pub struct FeedRequest {
    /// Equal for two requests if and only if they have the same rights, select the same events and render them to the same
    /// text: their subscribers share one feed.
    pub(in crate::live) key: String,
    /// Selects the events, and reads those of the past.
    pub(in crate::live) events: MatchingEvents,
    pub(in crate::live) rendering: Rendering,
}

/// The way in which a feed renders its events.
#[derive(Clone)]
pub struct Rendering {
    /// Equal for two renderings if and only if they render an event, and write a payload, to the same text.
    pub key: String,
    /// Renders each event.
    pub renderer: Renderer,
    /// Joins rendered events to payloads.
    pub payload_writer: PayloadWriter,
    /// True if the renderer needs the events as Okta sent them.
    pub with_details: bool,
}

impl FeedRequest {
    /// Makes a request for the events that match a filter, of those that a view shows. The key begins with the view's
    /// rights, so that all subscribers of the feed have the same rights. The feed outlives the operation that began it, and
    /// reads on behalf of all subscriptions.
    pub fn new(view: &View, filter: Filter, rendering: Rendering) -> Self {
        let events = view.for_credential(&Credential::Subscriptions).matching(filter);
        let key = format!("{} {:?} {}", view.rights(), **events.filter(), rendering.key);
        Self { key, events, rendering }
    }

    /// Returns the entry for an event, whose renderer gets only the values that the view shows.
    pub(in crate::live) fn entry(&self, event: &Arc<SyncEvent>) -> FeedEntry {
        FeedEntry::new(&self.rendering.renderer, &self.view().rights().masked(event))
    }

    /// The view through which the feed's subscribers read the log.
    pub(in crate::live) const fn view(&self) -> &View {
        self.events.view()
    }
}

impl fmt::Debug for FeedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FeedRequest").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::feed::renderer::RenderedTexts;

    #[test]
    fn a_key_begins_with_the_rights_and_tells_filters_and_renderings_apart() {
        let view = View::without_database();
        let request = |orgs: Option<Vec<String>>, key: &str| {
            let renderer = Renderer::Immediate(Arc::new(|_: &SyncEvent| RenderedTexts::new()));
            let payload_writer: PayloadWriter = Arc::new(|_, _| Arc::from(""));
            let rendering = Rendering { key: key.to_owned(), renderer, payload_writer, with_details: false };
            FeedRequest::new(&view, Filter { orgs, ..Filter::default() }, rendering).key
        };
        let everything = request(None, "a");
        assert!(everything.starts_with(&format!("{} ", view.rights())), "{everything}");
        assert_eq!(everything, request(None, "a"));
        assert_ne!(everything, request(None, "b"));
        assert_ne!(everything, request(Some(vec!["acme".to_owned()]), "a"));
    }
}
