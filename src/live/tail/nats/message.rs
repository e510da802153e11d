//! What goes over NATS: a stretch of the log, signed. `docs/scale-out.md` describes it for whoever looks at it.

mod event;

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sha2::Sha256;

use super::News;
use crate::event::{Position, SyncEvent};
use crate::live::tail::window::Part;
use crate::store::LogIdentity;
use event::WireEvent;

/// The number of this form of messages. Whoever changes what an event says, changes it: gateways of different forms do
/// not hear each other, and read the database.
const FORM: u32 = 2;

/// Bytes of a message at most. An event that does not fit travels as its position.
pub(super) const MOST_BYTES: usize = 128 << 10;

/// Bytes of the signature at a message's start.
const SIGNATURE: usize = 32;

/// Room for what stands around the events.
const FRAME: usize = 128;

/// Where the messages of one log, in one era, go.
#[derive(Debug)]
pub(super) struct Channel {
    identity: LogIdentity,
    subject: String,
    /// Has the key and the subject in it: a message of another log or era is none of this one.
    mac: Hmac<Sha256>,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is too big")]
    Size,
    #[error("it is not signed by a gateway of this log")]
    Signature,
    #[error("it cannot be read")]
    Form,
}

/// The text of a message.
#[derive(Deserialize)]
struct Notice<'a> {
    after: u128,
    through: u128,
    #[serde(borrow, default)]
    events: Vec<WireEvent<'a>>,
}

impl Channel {
    pub(super) fn of(identity: LogIdentity) -> Self {
        let subject = format!("sluice.{FORM}.{}.{}", identity.database, identity.era);
        let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in key.iter_mut().zip(identity.key.expose_secret()) {
            *to = *from;
        }
        let mac = Hmac::new(&key).chain_update(subject.as_bytes()).chain_update([0]);
        Self { identity, subject, mac }
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) const fn era(&self) -> Position {
        self.identity.era
    }

    pub(super) fn is_of(&self, identity: &LogIdentity) -> bool {
        self.identity.is_same(identity)
    }

    /// A stretch of the log after a position, as messages.
    pub(super) fn write(&self, after: Position, stretch: &Part) -> Vec<Bytes> {
        let mut messages = Vec::new();
        let mut pending = Pending::after(after);
        for event in &stretch.events {
            let text = WireEvent::text(event).filter(|text| text.len() <= MOST_BYTES - FRAME);
            let fits = text.as_ref().is_some_and(|text| pending.takes(event.position, text));
            if !fits && !pending.is_empty() {
                messages.push(self.sign(&pending.finish()));
            }
            if let Some(text) = text {
                if !fits {
                    pending = Pending::after(event.position.previous());
                }
                pending.push(event.position, &text);
            } else {
                messages.push(self.sign(&Pending::position_only(event.position)));
                pending = Pending::after(event.position);
            }
        }
        if !pending.is_empty() {
            messages.push(self.sign(&pending.finish()));
        }
        messages
    }

    /// What a message tells.
    pub(super) fn read(&self, message: &[u8]) -> Result<News, Refused> {
        if message.len() > MOST_BYTES {
            return Err(Refused::Size);
        }
        let (signature, text) = message.split_at_checked(SIGNATURE).ok_or(Refused::Signature)?;
        self.mac.clone().chain_update(text).verify_slice(signature).map_err(|_| Refused::Signature)?;
        let notice: Notice<'_> = serde_json::from_slice(text).map_err(|_| Refused::Form)?;
        let (after, through) = (Position::new(notice.after), Position::new(notice.through));
        if after >= through || after < self.era() || through.era_start() != self.era() {
            return Err(Refused::Form);
        }
        if notice.events.is_empty() {
            return Ok(News::Through(through));
        }
        if usize::try_from(through.get() - after.get()) != Ok(notice.events.len()) {
            return Err(Refused::Form);
        }
        let events = (after.next().get()..).zip(notice.events);
        let events: Option<Vec<Arc<SyncEvent>>> =
            events.map(|(position, event)| event.into_event(Position::new(position)).map(Arc::new)).collect();
        Ok(News::Events(events.ok_or(Refused::Form)?.into()))
    }

    fn sign(&self, text: &str) -> Bytes {
        let signature = self.mac.clone().chain_update(text).finalize().into_bytes();
        [&signature[..], text.as_bytes()].concat().into()
    }
}

/// A message that is being written.
struct Pending {
    after: Position,
    through: Position,
    events: String,
}

impl Pending {
    const fn after(after: Position) -> Self {
        Self { after, through: after, events: String::new() }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether an event comes right after those that are there, and has room beside them.
    fn takes(&self, position: Position, text: &str) -> bool {
        position == self.through.next() && self.events.len() + text.len() + FRAME <= MOST_BYTES
    }

    fn push(&mut self, position: Position, text: &str) {
        if !self.events.is_empty() {
            self.events.push(',');
        }
        self.events.push_str(text);
        self.through = position;
    }

    /// The text; what comes next is to come after it.
    fn finish(&mut self) -> String {
        let events = std::mem::take(&mut self.events);
        let text = format!(r#"{{"after":{},"through":{},"events":[{events}]}}"#, self.after, self.through);
        self.after = self.through;
        text
    }

    fn position_only(position: Position) -> String {
        format!(r#"{{"after":{},"through":{position}}}"#, position.previous())
    }
}

#[cfg(test)]
mod tests;
