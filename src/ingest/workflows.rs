//! Okta Workflows: flows that relay their card's output.

use super::body::UnpackError;
use super::hook::{HookError, ReceivedDelivery};
use super::intake::{Intake, Receipt};
use super::record::Sorted;
use crate::event::IngestSource;
use crate::okta::{DeliveryError, RawEvent, cards_in};

impl Intake {
    /// Takes in what a flow of an org relays: a card's output, or several. When this returns without an error, every
    /// event of it is either in the log or in `rejected`, or of a type that is not wanted.
    ///
    /// # Errors
    /// See [`HookError`].
    pub async fn take_cards(&self, org: &str, received: ReceivedDelivery) -> Result<Receipt, HookError> {
        let source = IngestSource::Workflows;
        let body = match received.encoding.unpack(&received.body, self.limits.body_bytes) {
            Ok(body) => body,
            Err(error @ UnpackError::TooLarge(_)) => return Err(HookError::TooLarge(error.to_string())),
            Err(error) => return Err(self.refuse(org, source, error.to_string(), &received.body).await),
        };
        let cards = match self.cards(&body) {
            Ok(cards) => cards,
            Err(error) => return Err(self.refuse(org, source, error.to_string(), &body).await),
        };
        let reader = self.record_reader(org, source);
        let mut sorted = Sorted::default();
        for card in &cards {
            reader.read_raw(card, &mut sorted);
        }
        self.append_sorted(org, source, sorted).await
    }

    fn cards(&self, body: &[u8]) -> Result<Vec<RawEvent>, DeliveryError> {
        let cards = cards_in(body)?;
        let (number, limit) = (cards.len(), self.limits.delivery_events);
        if number > limit { Err(DeliveryError::TooManyEvents { number, limit }) } else { Ok(cards) }
    }
}
