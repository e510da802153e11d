//! Receives what the gateway that publishes tells.

use async_nats::Client;
use futures_util::StreamExt as _;
use tokio::sync::mpsc::error::TrySendError;

use super::message::Channel;
use super::{Post, Standing};

/// Receives until the subscription ends.
pub(super) async fn receive(post: &Post, client: &Client, channel: &Channel) {
    let mut subscription = match client.subscribe(channel.subject().to_owned()).await {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::warn!(%error, "could not subscribe at NATS");
            return;
        }
    };
    // What NATS does not know yet of the subscription, the database tells as ever.
    if client.flush().await.is_ok() {
        post.stands(Standing::Served);
    }
    while let Some(message) = subscription.next().await {
        metrics::counter!("sluice_nats_received_total").increment(1);
        match channel.read(&message.payload) {
            Ok(news) => match post.news.try_send(news) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => metrics::counter!("sluice_nats_overflows_total").increment(1),
                Err(TrySendError::Closed(_)) => return,
            },
            Err(error) => {
                metrics::counter!("sluice_nats_refused_total").increment(1);
                tracing::debug!(%error, "refused a message from NATS");
            }
        }
    }
}
