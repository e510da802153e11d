//! What one can wait for.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::Field;
use async_graphql::{Context, Result, Subscription as SubscriptionObject, Variables};
use async_graphql_value::Value;
use futures_util::{Stream, StreamExt as _, stream};

use super::error::from_resume;
use super::filter::SyncEventFilterInput;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use super::writer::{EventWriter, WrittenEvent};
use crate::event::{EventColumn, Position, SyncEvent};
use crate::live::{FeedRequest, Live, Member, Outlet, Progress, TellOnDemand, Teller};

/// Events as they happen.
pub(super) struct Subscription;

/// In the data of a subscription's request: where it goes on, and what becomes of it.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// Where to go on, whatever the document says.
    pub(super) after: Option<Position>,
    /// What sends its events while it waits for them.
    pub(super) outlet: Option<Arc<dyn Outlet>>,
    /// How far the subscriber was told.
    pub(super) progress: Progress,
    /// Where the subscription leaves its key in the answers and its part in a feed, which tells the events.
    pub(super) member: Arc<Mutex<Option<(String, Member)>>>,
}

/// In the data of a subscription's request: how its events are told that need more than themselves.
pub(super) struct OnDemand {
    /// The same text for whoever asks by the same operation.
    pub(super) likeness: String,
    pub(super) variables: Variables,
    pub(super) tell: TellOnDemand,
}

/// In the data of a subscription's request that is executed to tell one event.
pub(super) struct OneEvent(pub(super) Arc<SyncEvent>);

impl OnDemand {
    /// The same text for whoever is told the same: where somebody starts is not part of it.
    fn key(&self, field: &Field) -> String {
        let mut key = self.likeness.clone();
        let after = field.get_argument("after").and_then(|value| match &value.node {
            Value::Variable(name) => Some(name),
            _ => None,
        });
        for (name, value) in self.variables.iter().filter(|(name, _)| Some(*name) != after) {
            // Names and values are told apart, whatever they are.
            _ = write!(key, "\n{name}:{value}");
        }
        key
    }
}

/// What one can wait for.
#[SubscriptionObject]
impl Subscription {
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
            return Ok(stream::once(std::future::ready(Ok(event))).left_stream());
        }
        let place = context.data::<Place>()?;
        let filter = filter.unwrap_or_default().read()?;
        let field = &context.item.node;
        let key = field.response_key().node.as_str();
        let writer = EventWriter::of_events(context, &field.selection_set.node);
        let (told, teller, with_details) = if let Some(writer) = writer {
            let with_details = writer.columns().has(EventColumn::Details);
            (format!("{writer:?}"), Teller::AtOnce(writer.into_teller(key)), with_details)
        } else {
            let on_demand = context.data::<OnDemand>()?;
            let with_details = context.look_ahead().field("eventDetails").exists();
            (on_demand.key(field), Teller::OnDemand(Arc::clone(&on_demand.tell)), with_details)
        };
        let feed = FeedRequest { key: format!("{key} {filter:?} {told}"), filter, teller, with_details };
        let after = place.after.or(after.map(|position| position.0));
        let joined = context.data::<Live>()?.join(feed, after, place.progress.clone(), place.outlet.clone()).await;
        let member = joined.map_err(|error| from_resume(&error))?;
        *place.member.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.to_owned(), member));
        Ok(stream::empty().right_stream())
    }
}
