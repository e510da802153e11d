//! Renderers: they turn an event into the text that the subscribers of a feed receive, and events into payloads.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;

use crate::event::{Position, SyncEvent, Timestamp};

/// An event as its subscribers receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// The event's position in the log.
    pub position: Position,
    /// The time at which it was stored.
    pub stored_at: Timestamp,
    /// The event as JSON; the whole answer if the event has errors.
    pub texts: RenderedTexts,
    /// The errors, as a JSON list. A subscription ends with its first event that has errors.
    pub errors: Option<Arc<str>>,
}

/// An event as JSON, once for each place that a payload has for events. Almost every payload has one.
pub type RenderedTexts = SmallVec<[Arc<str>; 1]>;

/// Renders the events of a feed.
#[derive(Clone)]
pub enum Renderer {
    /// Renders an event as soon as it comes.
    Immediate(ImmediateRenderer),
    /// Renders an event when the first subscriber asks for it, because more must be read for it.
    OnDemand(OnDemandRenderer),
}

/// Renders an event from what the event itself holds.
pub type ImmediateRenderer = Arc<dyn Fn(&SyncEvent) -> RenderedTexts + Send + Sync>;

/// Renders an event with what must be read for it.
pub type OnDemandRenderer = Arc<dyn Fn(Arc<SyncEvent>) -> BoxFuture<'static, RenderedEvent> + Send + Sync>;

/// Joins rendered events without errors to the text of a payload.
pub type PayloadWriter = Arc<dyn Fn(&[RenderedEvent], PayloadEnds) -> Arc<str> + Send + Sync>;

/// The two positions of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadEnds {
    /// The position from which a client that has the payload resumes.
    pub position: Position,
    /// The position through which the gateway knows the log.
    pub head: Position,
}
