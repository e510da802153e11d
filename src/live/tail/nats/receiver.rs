//! The receiver: hands the messages of the publisher to the tail reader.

use async_nats::Client;
use futures_util::StreamExt as _;

use super::inbox::Role;
use super::message::Channel;
use super::participant::Participant;

/// Receives until the subscription ends.
pub(super) async fn receive(participant: &Participant, client: &Client, channel: &Channel) {
    let mut subscription = match client.subscribe(channel.subject().to_owned()).await {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::warn!(%error, "could not subscribe at NATS");
            return;
        }
    };
    // Until NATS knows of the subscription, the tail reader relies on the database.
    if client.flush().await.is_ok() {
        participant.set_role(Role::Receiver);
    }
    while let Some(message) = subscription.next().await {
        metrics::counter!("sluice_nats_received_total").increment(1);
        match channel.read(&message.payload) {
            Ok(update) => {
                if participant.hand_over(update).is_err() {
                    return;
                }
            }
            Err(error) => {
                metrics::counter!("sluice_nats_refused_total").increment(1);
                tracing::debug!(%error, "refused a message from NATS");
            }
        }
    }
}
