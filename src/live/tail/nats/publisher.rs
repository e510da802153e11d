//! The publisher: publishes the log's tail while this gateway is the elected leader.

use std::time::Duration;

use async_nats::Client;
use tokio::time::{sleep, timeout};

use super::inbox::Role;
use super::message::Channel;
use super::participant::{PATIENCE, Participant};

/// Number of events of the window that are published in one go.
const BATCH: usize = 256;

/// Pause before the next attempt to be elected.
const ELECTION_PAUSE: Duration = Duration::from_secs(1);

/// Takes part in the leader election, publishes while this gateway is the leader, and takes part again.
pub(super) async fn publish(participant: &Participant, client: &Client, channel: &Channel) {
    loop {
        match participant.log.lead("the log's tail by NATS").await {
            Ok(mut lead) => {
                tracing::info!("publishing the log's tail by NATS");
                participant.set_role(Role::Publisher);
                tokio::select! {
                    () = lead.lost() => tracing::info!("no longer publishing the log's tail by NATS"),
                    () = publish_tail(participant, client, channel) => lead.resign().await,
                }
                participant.set_role(Role::Receiver);
            }
            Err(error) => tracing::debug!(%error, "could not take part in the election of who publishes"),
        }
        sleep(ELECTION_PAUSE).await;
    }
}

/// Publishes the events that the window receives: from the store, and from this gateway's own commits.
async fn publish_tail(participant: &Participant, client: &Client, channel: &Channel) {
    let mut window_through = participant.window.through();
    let mut published = *window_through.borrow_and_update();
    loop {
        // The window no longer has the position, or was reset: the other gateways read the store by themselves.
        let Some(part) = participant.window.after(published, BATCH) else {
            published = *window_through.borrow_and_update();
            tokio::task::yield_now().await;
            continue;
        };
        if part.through == published {
            if window_through.changed().await.is_err() {
                return;
            }
            continue;
        }
        for message in channel.write(published, &part) {
            match timeout(PATIENCE, client.publish(channel.subject().to_owned(), message)).await {
                Ok(Ok(())) => metrics::counter!("sluice_nats_published_total").increment(1),
                // Another gateway may have a better connection.
                Ok(Err(_)) | Err(_) => return,
            }
        }
        published = part.through;
    }
}
