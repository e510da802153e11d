//! What one can wait for.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Context, Result, Subscription as SubscriptionObject};
use futures_util::{Stream, StreamExt as _, stream};

use super::error::from_resume;
use super::filter::SyncEventFilterInput;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use super::writer::{EventWriter, WrittenEvent};
use crate::event::{EventColumn, Position};
use crate::live::{FeedRequest, FollowRequest, Live, Member, Progress};

/// Events as they happen.
pub(super) struct Subscription;

/// In the data of a subscription's request: what its transport says, and is told, of its place in the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Where to go on, whatever the document says.
    pub(super) after: Option<Position>,
    /// How far the subscriber was told.
    pub(super) progress: Progress,
    /// The event that is being told.
    pub(super) event: Progress,
    /// Where a subscription leaves its key and its part in a feed, if it is told by one: then nothing comes of its stream.
    pub(super) member: Arc<Mutex<Option<(String, Member)>>>,
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
        let place = context.data_opt::<Place>().cloned().unwrap_or_default();
        let filter = filter.unwrap_or_default().read()?;
        let after = place.after.or(after.map(|position| position.0));
        let live = context.data::<Live>()?;
        let field = &context.item.node;
        if let Some(writer) = EventWriter::of_events(context, &field.selection_set.node) {
            let with_details = writer.columns().has(EventColumn::Details);
            let key = field.response_key().node.as_str();
            let feed = FeedRequest {
                key: format!("{key} {filter:?} {writer:?}"),
                filter,
                tell: writer.into_teller(key),
                with_details,
            };
            let member = live.join(feed, after, place.progress).await.map_err(|error| from_resume(&error))?;
            *place.member.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.to_owned(), member));
            return Ok(stream::empty().boxed());
        }
        let request = FollowRequest {
            filter,
            after,
            with_details: context.look_ahead().field("eventDetails").exists(),
            progress: place.progress.clone(),
        };
        let follower = live.follow(request).await.map_err(|error| from_resume(&error))?;
        Ok(stream::unfold(Some((follower, place)), |following| async {
            let (mut follower, place) = following?;
            match follower.next().await {
                Ok(event) => {
                    place.event.set(event.position);
                    Some((Ok(WrittenEvent(SyncEventNode(event))), Some((follower, place))))
                }
                Err(error) => Some((Err(from_resume(&error)), None)),
            }
        })
        .boxed())
    }
}
