//! What one can wait for.

use async_graphql::{Context, Result, Subscription as SubscriptionObject};
use futures_util::{Stream, StreamExt as _, stream};

use super::error::from_resume;
use super::filter::SyncEventFilterInput;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use super::writer::WrittenEvent;
use crate::live::{FollowRequest, Live};

/// Events as they happen.
pub(super) struct Subscription;

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
        let request = FollowRequest {
            filter: filter.unwrap_or_default().read()?,
            after: after.map(|position| position.0),
            with_details: context.look_ahead().field("eventDetails").exists(),
        };
        let follower = context.data::<Live>()?.follow(request).await.map_err(|error| from_resume(&error))?;
        Ok(stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(event) => Some((Ok(WrittenEvent(SyncEventNode(event))), Some(follower))),
                Err(error) => Some((Err(from_resume(&error)), None)),
            }
        })
        .boxed())
    }
}
