//! The subscription: events in batches, those of the past and then new ones as they are appended to the log.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition};
use async_graphql::{Context, OneofObject, Result, SimpleObject, Subscription as SubscriptionObject, Variables};
use parking_lot::Mutex;
use tokio_stream::Stream;

use super::event_lists::WrittenEvent;
use super::filter::SyncEventFilterInput;
use super::nodes::SyncEventNode;
use super::scalars::{DateTime, LogPosition};
use crate::event::{EventColumn, MAX_PAGE_SIZE, Position, SyncEvent};
use crate::graphql::answer::error::{bad_input, from_resume, from_store};
use crate::graphql::answer::payload::{PayloadPlan, renderer};
use crate::graphql::answer::writer::EventWriter;
use crate::graphql::request::variables;
use crate::live::{
    FeedRequest, Live, NewSubscriber, OnDemandRenderer, Outlet, Progress, Renderer, Rendering, Subscriber,
};
use crate::log::View;

/// The root of subscriptions.
pub(in crate::graphql) struct SubscriptionRoot;

/// Data of a subscription's request: where the subscription starts, and where the resolver leaves the subscriber.
#[derive(Clone, Default)]
pub(in crate::graphql) struct SubscriptionStart {
    /// The position to resume from, which takes precedence over the document's `from`.
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
    /// A key that requests have in common if their events are rendered to the same text.
    pub(in crate::graphql) cache_key: String,
    pub(in crate::graphql) renderer: OnDemandRenderer,
}

/// Data of a subscription's request that is executed to render one event.
pub(in crate::graphql) struct OneEvent(pub(in crate::graphql) Arc<SyncEvent>);

/// Arguments of a subscription that change neither which events match nor how they are rendered.
const PACE: [&str; 2] = ["from", "batch"];

impl OnDemand {
    /// A key that requests have in common if their events are rendered to the same text. Variables that only say where a
    /// subscriber starts, or how large its payloads are, are no part of the key.
    pub(in crate::graphql) fn key(
        number: u64,
        operation_name: Option<&str>,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        values: &Variables,
    ) -> String {
        let used: BTreeSet<_> = variables::used(document, operation, |argument| !PACE.contains(&argument));
        let mut key = format!("{number} {operation_name:?}");
        for (name, value) in values.iter().filter(|(name, _)| used.contains(name.as_str())) {
            // Names cannot contain the separators, so no two sets of variables have the same text.
            _ = write!(key, "\n{name}:{value}");
        }
        key
    }
}

/// The place where a subscription begins: give exactly one.
#[derive(OneofObject)]
enum SyncEventStart {
    /// The position after which the subscription begins: one that you have stored, or the `head` of a page.
    After(LogPosition),
    /// The moment at which it begins: with the first event that was stored then or later, by the database's clock; now, if
    /// there is none.
    ReceivedAt(DateTime),
}

/// A payload of a subscription: a batch of events, and how far the subscription has come.
#[derive(SimpleObject)]
struct SyncEventBatch {
    /// The next events, in the order of the log; empty if there is only progress to report.
    events: Vec<WrittenEvent>,
    /// The position through which everything that matches has been sent. Resume from here.
    position: LogPosition,
    /// The end of the log as this gateway knows it: `head` minus `position` is how far behind you are.
    head: LogPosition,
}

/// Subscriptions to the log, which resume from any position.
#[SubscriptionObject(name = "Subscription")]
impl SubscriptionRoot {
    /// Every event that matches, in the order of the log, each exactly once: first those after `from`, then live, without
    /// a seam.
    ///
    /// The first payload comes at once and has no events: the subscription stands, and `position` is where. While nothing
    /// matches, a payload without events comes every 25 s and moves `position` on. Store `position` after you have handled
    /// `events`, and give it as `from: {after: …}` to go on, at any gateway. A position that cannot be resumed from is an
    /// error: POSITION_AHEAD, or POSITION_LOST (of an era that a restore ended).
    ///
    #[doc = include_str!("examples/subscription.md")]
    async fn sync_events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The filter that events must match; all events, if omitted.")] filter: Option<
            SyncEventFilterInput,
        >,
        #[graphql(desc = "The place where the subscription begins; now, if omitted or null.")] from: Option<
            SyncEventStart,
        >,
        #[graphql(
            desc = "The largest number of events in a payload, 1 to 1,000. Live, a payload has what came since the last one.",
            default = 100
        )]
        batch: i32,
    ) -> Result<impl Stream<Item = Result<SyncEventBatch>> + use<>> {
        if let Some(OneEvent(event)) = context.data_opt::<OneEvent>() {
            let position = LogPosition(event.position);
            let events = vec![WrittenEvent(SyncEventNode(Arc::clone(event)))];
            return Ok(tokio_stream::iter(Some(Ok(SyncEventBatch { events, position, head: position }))));
        }
        let batch = batch_size(batch)?;
        let start = context.data::<SubscriptionStart>()?;
        let view = context.data::<View>()?;
        let filter = filter.unwrap_or_default().read()?;
        let after = match (start.after, from) {
            (Some(resumed), _) => Some(resumed),
            (None, Some(SyncEventStart::After(position))) => Some(position.0),
            (None, Some(SyncEventStart::ReceivedAt(moment))) => {
                Some(view.position_before(moment.0).await.map_err(|error| from_store(&error))?)
            }
            (None, None) => None,
        };
        let field = &context.item.node;
        let key = field.response_key().node.as_str();
        let feed = FeedRequest::new(view, filter, rendering(context, field)?);
        let new = NewSubscriber { after, batch, progress: start.progress.clone(), outlet: start.outlet.clone() };
        let joined = context.data::<Live>()?.join(feed, new).await;
        let subscriber = joined.map_err(|error| from_resume(&error))?;
        *start.subscriber.lock() = Some((key.to_owned(), subscriber));
        // The feed renders the events, and none comes by this stream.
        Ok(tokio_stream::iter(None))
    }
}

fn batch_size(batch: i32) -> Result<usize> {
    match usize::try_from(batch) {
        Ok(size @ 1..=MAX_PAGE_SIZE) => Ok(size),
        _ => Err(bad_input(format!("`batch` is {batch}; expected 1 to {MAX_PAGE_SIZE}"))),
    }
}

/// The way in which the events that a subscription selects are rendered.
fn rendering(context: &Context<'_>, field: &Field) -> Result<Rendering> {
    let plan = PayloadPlan::new(&context.query_env.fragments, field);
    let writers = plan.event_writers(context);
    let (payload_key, payload_writer) = plan.into_writer();
    let (text_key, renderer, with_details) = if let Some(writers) = writers {
        let with_details = writers.iter().any(|writer: &EventWriter| writer.columns().has(EventColumn::Details));
        (format!("{writers:?}"), Renderer::Immediate(renderer(writers)), with_details)
    } else {
        let on_demand = context.data::<OnDemand>()?;
        let events = context.look_ahead().field("events");
        let with_details = ["eventDetails", "raw"].into_iter().any(|name| events.field(name).exists());
        (on_demand.cache_key.clone(), Renderer::OnDemand(Arc::clone(&on_demand.renderer)), with_details)
    };
    Ok(Rendering { key: format!("{payload_key} {text_key}"), renderer, payload_writer, with_details })
}
