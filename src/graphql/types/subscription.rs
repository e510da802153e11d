//! The subscription: new events, as they are appended to the log.

use std::fmt::Write as _;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::{Context, Result, Subscription as SubscriptionObject, Variables};
use async_graphql_value::Value;
use parking_lot::Mutex;
use tokio_stream::Stream;

use super::event_lists::WrittenEvent;
use super::filter::SyncEventFilterInput;
use super::nodes::SyncEventNode;
use super::scalars::LogPosition;
use crate::event::{EventColumn, Position, SyncEvent};
use crate::graphql::answer::error::from_resume;
use crate::graphql::answer::writer::EventWriter;
use crate::live::{FeedRequest, Live, OnDemandRenderer, Outlet, Progress, Renderer, Rendering, Subscriber};
use crate::log::View;

/// The root of subscriptions.
pub(in crate::graphql) struct SubscriptionRoot;

/// Data of a subscription's request: where the subscription starts, and where the resolver leaves the subscriber.
#[derive(Clone, Default)]
pub(in crate::graphql) struct SubscriptionStart {
    /// The position to resume from, which takes precedence over the document's `after`.
    pub(in crate::graphql) after: Option<Position>,
    /// Sends events while the subscriber waits for them.
    pub(in crate::graphql) outlet: Option<Arc<dyn Outlet>>,
    /// The subscriber's progress.
    pub(in crate::graphql) progress: Progress,
    /// The subscriber, with the key of the subscription's field in the answers. The resolver sets it; None before.
    pub(in crate::graphql) subscriber: Arc<Mutex<Option<(String, Subscriber)>>>,
}

/// Data of a subscription's request: renders events for which more must be read.
pub(in crate::graphql) struct OnDemand {
    /// A key that requests with the same operation have in common.
    pub(in crate::graphql) cache_key: String,
    pub(in crate::graphql) variables: Variables,
    pub(in crate::graphql) renderer: OnDemandRenderer,
}

/// Data of a subscription's request that is executed to render one event.
pub(in crate::graphql) struct OneEvent(pub(in crate::graphql) Arc<SyncEvent>);

impl OnDemand {
    /// A key that requests have in common if their events are rendered to the same text. The position at which a subscriber
    /// starts is no part of the key.
    fn feed_key(&self, field: &Field) -> String {
        let mut key = self.cache_key.clone();
        let after = field.get_argument("after").and_then(|value| match &value.node {
            Value::Variable(name) => Some(name),
            _ => None,
        });
        for (name, value) in self.variables.iter().filter(|(name, _)| Some(*name) != after) {
            // Names cannot contain the separators, so no two sets of variables have the same text.
            _ = write!(key, "\n{name}:{value}");
        }
        key
    }
}

/// The root of subscriptions.
#[SubscriptionObject(name = "Subscription")]
impl SubscriptionRoot {
    /// Every event that matches, in the order of the log, each exactly once: from just after `after` where it is
    /// given (history first, then live, with no seam), else from now. Keep the last event's position and give it as
    /// `after` to go on without a gap. A position that cannot be resumed from is an error: POSITION_AHEAD, or
    /// POSITION_LOST (of an era that a restore ended).
    async fn sync_events(
        &self,
        context: &Context<'_>,
        filter: Option<SyncEventFilterInput>,
        after: Option<LogPosition>,
    ) -> Result<impl Stream<Item = Result<WrittenEvent>>> {
        if let Some(OneEvent(event)) = context.data_opt::<OneEvent>() {
            let event = WrittenEvent(SyncEventNode(Arc::clone(event)));
            return Ok(tokio_stream::iter(Some(Ok(event))));
        }
        let start = context.data::<SubscriptionStart>()?;
        let filter = filter.unwrap_or_default().read()?;
        let field = &context.item.node;
        let key = field.response_key().node.as_str();
        let writer = EventWriter::of_events(context, &field.selection_set.node);
        let (text_key, renderer, with_details) = if let Some(writer) = writer {
            let with_details = writer.columns().has(EventColumn::Details);
            (format!("{writer:?}"), Renderer::Immediate(writer.into_renderer(key)), with_details)
        } else {
            let on_demand = context.data::<OnDemand>()?;
            let with_details = context.look_ahead().field("eventDetails").exists();
            (on_demand.feed_key(field), Renderer::OnDemand(Arc::clone(&on_demand.renderer)), with_details)
        };
        let rendering = Rendering { key: format!("{key} {text_key}"), renderer, with_details };
        let feed = FeedRequest::new(context.data::<View>()?, filter, rendering);
        let after = start.after.or(after.map(|position| position.0));
        let joined = context.data::<Live>()?.join(feed, after, start.progress.clone(), start.outlet.clone()).await;
        let subscriber = joined.map_err(|error| from_resume(&error))?;
        *start.subscriber.lock() = Some((key.to_owned(), subscriber));
        // The feed renders the events, and none comes by this stream.
        Ok(tokio_stream::iter(None))
    }
}
