//! Renderers: they turn an event into the text that the subscribers of a feed receive.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::event::{Position, SyncEvent, Timestamp};

/// An event as its subscribers receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// The event's position in the log.
    pub position: Position,
    /// The time at which it was stored.
    pub stored_at: Timestamp,
    /// The answer to the subscription's operation, as JSON.
    pub text: Arc<str>,
    /// The answer's errors, as a JSON list. A subscription ends with its first event that has errors.
    pub errors: Option<Arc<str>>,
}

/// Renders the events of a feed.
#[derive(Clone)]
pub enum Renderer {
    /// Renders an event as soon as it comes.
    Immediate(ImmediateRenderer),
    /// Renders an event when the first subscriber asks for it, because more must be read for it.
    OnDemand(OnDemandRenderer),
}

/// Renders an event from what the event itself holds.
pub type ImmediateRenderer = Arc<dyn Fn(&SyncEvent) -> Arc<str> + Send + Sync>;

/// Renders an event with what must be read for it.
pub type OnDemandRenderer = Arc<dyn Fn(Arc<SyncEvent>) -> BoxFuture<'static, RenderedEvent> + Send + Sync>;
