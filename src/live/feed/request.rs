//! Requests for feeds: which events, and how each of them is rendered.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

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
/// fn request(key: [u8; 32], events: MatchingEvents, rendering: Rendering) -> FeedRequest {
///     let Rendering { renderer, payload_writer, with_details, .. } = rendering;
///     FeedRequest { key, rendering_key: key, events, renderer, payload_writer, with_details }
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
    /// text: their subscribers share one feed. A SHA-256, since the text itself takes kilobytes.
    pub(in crate::live) key: FeedKey,
    /// Equal for two requests if and only if they render an event, and write a payload, to the same text.
    pub(in crate::live) rendering_key: FeedKey,
    /// Selects the events, and reads those of the past.
    pub(in crate::live) events: MatchingEvents,
    pub(in crate::live) renderer: Renderer,
    pub(in crate::live) payload_writer: PayloadWriter,
    /// True if the renderer needs the events as Okta sent them.
    pub(in crate::live) with_details: bool,
}

/// The key of a feed, or of a rendering.
pub(in crate::live) type FeedKey = [u8; 32];

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
    /// Makes a request for the events that match a filter, of those that a view shows. The view's rights are part of the
    /// key, so that all subscribers of the feed have the same rights. The feed outlives the operation that began it, and
    /// reads on behalf of all subscriptions.
    pub fn new(view: &View, filter: Filter, rendering: Rendering) -> Self {
        let events = view.for_credential(&Credential::Subscriptions).matching(filter);
        let Rendering { key, renderer, payload_writer, with_details } = rendering;
        let rendering_key = Sha256::digest(&key).into();
        let key = Sha256::digest(format!("{} {:?} {key}", view.rights(), **events.filter())).into();
        Self { key, rendering_key, events, renderer, payload_writer, with_details }
    }

    /// Returns the entry for an event, whose renderer gets only the values that the view shows.
    pub(in crate::live) fn entry(&self, event: &Arc<SyncEvent>) -> FeedEntry {
        FeedEntry::new(&self.renderer, &self.view().rights().masked(event))
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
    use crate::event::{Grant, GrantedPart, Rights, Rows, Scope, Scopes};
    use crate::live::feed::renderer::RenderedTexts;
    use crate::log::Log;

    #[test]
    fn a_key_tells_rights_filters_and_renderings_apart() {
        let request = |rights: Rights, orgs: Option<Vec<String>>, key: &str| {
            let renderer = Renderer::Immediate(Arc::new(|_: &SyncEvent| RenderedTexts::new()));
            let payload_writer: PayloadWriter = Arc::new(|_, _| Arc::from(""));
            let rendering = Rendering { key: key.to_owned(), renderer, payload_writer, with_details: false };
            let view = Log::without_database().view(rights, &Credential::Gateway);
            FeedRequest::new(&view, Filter { orgs, ..Filter::default() }, rendering).key
        };
        let all = || Rights::new(Scopes::READING, Rows::All);
        let everything = request(all(), None, "a");
        assert_eq!(everything, request(all(), None, "a"));
        assert_ne!(everything, request(all(), None, "b"));
        assert_ne!(everything, request(all(), Some(vec!["acme".to_owned()]), "a"));
        let without_people = Rights::new(Scopes::READING.without(Scope::PeopleRead), Rows::All);
        assert_ne!(everything, request(without_people, None, "a"));
        let of_an_org = Rows::granted([Grant { org: "acme".to_owned(), part: GrantedPart::Whole }]);
        assert_ne!(everything, request(Rights::new(Scopes::READING, of_an_org), None, "a"));
    }
}
