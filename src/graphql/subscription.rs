//! What one can wait for.

use async_graphql::{Context, Result, Subscription as SubscriptionObject};
use futures_util::{Stream, StreamExt as _, stream};

use super::error::from_resume;
use super::filter::SyncEventFilterInput;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use super::writer::WrittenEvent;
use crate::event::Position;
use crate::live::{FollowRequest, Live, Progress};

/// Events as they happen.
pub(super) struct Subscription;

/// In the data of a subscription's request: what its transport says, and is told, of its place in the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Where to go on, whatever the document says.
    pub(super) after: Option<Position>,
    /// How far the subscriber was told.
    pub(super) progress: Progress,
    /// The event that is being told.
    pub(super) event: Progress,
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
        let told = context.data_opt::<Told>().cloned().unwrap_or_default();
        let request = FollowRequest {
            filter: filter.unwrap_or_default().read()?,
            after: told.after.or(after.map(|position| position.0)),
            with_details: context.look_ahead().field("eventDetails").exists(),
            progress: told.progress.clone(),
        };
        let follower = context.data::<Live>()?.follow(request).await.map_err(|error| from_resume(&error))?;
        Ok(stream::unfold(Some((follower, told)), |following| async {
            let (mut follower, told) = following?;
            match follower.next().await {
                Ok(event) => {
                    told.event.set(event.position);
                    Some((Ok(WrittenEvent(SyncEventNode(event))), Some((follower, told))))
                }
                Err(error) => Some((Err(from_resume(&error)), None)),
            }
        })
        .boxed())
    }
}
