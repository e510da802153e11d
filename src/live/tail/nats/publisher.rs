//! Publishes the log's tail, where this gateway is the one to do so.

use std::time::Duration;

use async_nats::Client;
use tokio::time::{sleep, timeout};

use super::message::Channel;
use super::{PATIENCE, Post, Standing};

/// How many events of the window are taken in one go.
const STRETCH: usize = 256;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits to be elected, publishes, and, where the election is lost, waits again.
pub(super) async fn publish(post: &Post, client: &Client, channel: &Channel) {
    loop {
        match post.log.store().lead("the log's tail by NATS").await {
            Ok(mut lead) => {
                tracing::info!("publishing the log's tail by NATS");
                post.stands(Standing::Publishing);
                tokio::select! {
                    () = lead.lost() => tracing::info!("no longer publishing the log's tail by NATS"),
                    () = publish_tail(post, client, channel) => lead.resign().await,
                }
                post.stands(Standing::Served);
            }
            Err(error) => tracing::debug!(%error, "could not take part in the election of who publishes"),
        }
        sleep(PAUSE).await;
    }
}

/// Publishes what comes into the window. Who publishes reads the window from Postgres and from its own commits.
async fn publish_tail(post: &Post, client: &Client, channel: &Channel) {
    let mut through = post.window.through();
    let mut at = *through.borrow_and_update();
    loop {
        // Too late for the window, or the log was replaced: the others read the store themselves.
        let Some(stretch) = post.window.after(at, STRETCH) else {
            at = *through.borrow_and_update();
            tokio::task::yield_now().await;
            continue;
        };
        if stretch.through == at {
            if through.changed().await.is_err() {
                return;
            }
            continue;
        }
        for message in channel.write(at, &stretch) {
            match timeout(PATIENCE, client.publish(channel.subject().to_owned(), message)).await {
                Ok(Ok(())) => metrics::counter!("sluice_nats_published_total").increment(1),
                // Others may be better connected.
                Ok(Err(_)) | Err(_) => return,
            }
        }
        at = stretch.through;
    }
}
