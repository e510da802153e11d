//! The messages between gateways: parts of the log, signed. `docs/scale-out.md` describes their format.

mod event;

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::inbox::TailUpdate;
use crate::event::{EventColumn, Position, SyncEvent};
use crate::live::tail::window::WindowPart;
use crate::store::LogIdentity;
use event::WireEvent;

/// The version of the message format. The columns of events are a part of the subject, too: gateways of different versions
/// or columns use different subjects, and so read the database.
const FORM: u32 = 3;

/// Largest size of a message, in bytes. An event that does not fit is announced by its position.
pub(super) const MAX_BYTES: usize = 128 << 10;

/// Size of the signature at a message's start, in bytes.
const SIGNATURE: usize = 32;

/// Space for the text around the events, in bytes.
const FRAME: usize = 128;

/// The subject and the signature key of one log in one era.
#[derive(Debug)]
pub(super) struct Channel {
    identity: LogIdentity,
    subject: String,
    /// The keyed state after the subject, so that a message of another log or era has another signature.
    mac: Hmac<Sha256>,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageRefused {
    #[error("it is too big")]
    Size,
    #[error("it is not signed by a gateway of this log")]
    Signature,
    #[error("it cannot be read")]
    Form,
}

/// The JSON of a message.
#[derive(Deserialize)]
struct Notice<'a> {
    after: u128,
    through: u128,
    #[serde(borrow, default)]
    events: Vec<WireEvent<'a>>,
}

impl Channel {
    pub(super) fn of(identity: LogIdentity) -> Self {
        let subject = format!("sluice.{FORM}-{}.{}.{}", columns_digest(), identity.database, identity.era);
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

    /// Writes a part of the log after a position as messages.
    pub(super) fn write(&self, after: Position, part: &WindowPart) -> Vec<Bytes> {
        let mut messages = Vec::new();
        let mut pending = PendingMessage::after(after);
        for event in &part.events {
            let text = WireEvent::text(event).filter(|text| text.len() <= MAX_BYTES - FRAME);
            let fits = text.as_ref().is_some_and(|text| pending.takes(event.position, text));
            if !fits && !pending.is_empty() {
                messages.push(self.sign(&pending.finish()));
            }
            if let Some(text) = text {
                if !fits {
                    pending = PendingMessage::after(event.position.previous());
                }
                pending.push(event.position, &text);
            } else {
                messages.push(self.sign(&PendingMessage::position_only(event.position)));
                pending = PendingMessage::after(event.position);
            }
        }
        if !pending.is_empty() {
            messages.push(self.sign(&pending.finish()));
        }
        messages
    }

    /// Reads a message, if a gateway of this log has signed it.
    pub(super) fn read(&self, message: &[u8]) -> Result<TailUpdate, MessageRefused> {
        if message.len() > MAX_BYTES {
            return Err(MessageRefused::Size);
        }
        let (signature, text) = message.split_at_checked(SIGNATURE).ok_or(MessageRefused::Signature)?;
        self.mac.clone().chain_update(text).verify_slice(signature).map_err(|_| MessageRefused::Signature)?;
        let notice: Notice<'_> = serde_json::from_slice(text).map_err(|_| MessageRefused::Form)?;
        let (after, through) = (Position::new(notice.after), Position::new(notice.through));
        if after >= through || after < self.era() || through.era_start() != self.era() {
            return Err(MessageRefused::Form);
        }
        if notice.events.is_empty() {
            return Ok(TailUpdate::Through(through));
        }
        if usize::try_from(through.get() - after.get()) != Ok(notice.events.len()) {
            return Err(MessageRefused::Form);
        }
        let events = (after.next().get()..).zip(notice.events);
        let events: Option<Vec<Arc<SyncEvent>>> =
            events.map(|(position, event)| event.into_event(Position::new(position)).map(Arc::new)).collect();
        Ok(TailUpdate::Events(events.ok_or(MessageRefused::Form)?.into()))
    }

    fn sign(&self, text: &str) -> Bytes {
        let signature = self.mac.clone().chain_update(text).finalize().into_bytes();
        [&signature[..], text.as_bytes()].concat().into()
    }
}

/// A message that is being written.
struct PendingMessage {
    after: Position,
    through: Position,
    events: String,
}

impl PendingMessage {
    const fn after(after: Position) -> Self {
        Self { after, through: after, events: String::new() }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// True if an event comes right after those in the message, and fits beside them.
    fn takes(&self, position: Position, text: &str) -> bool {
        position == self.through.next() && self.events.len() + text.len() + FRAME <= MAX_BYTES
    }

    fn push(&mut self, position: Position, text: &str) {
        if !self.events.is_empty() {
            self.events.push(',');
        }
        self.events.push_str(text);
        self.through = position;
    }

    /// Returns the text, and begins the next message after it.
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

/// Returns a digest of the columns whose values a message has.
fn columns_digest() -> String {
    let mut digest = Sha256::new();
    for name in EventColumn::texts().filter_map(|column| column.spec().sql_name()) {
        digest.update(name);
        digest.update([0]);
    }
    digest.finalize().iter().take(4).fold(String::new(), |mut text, byte| {
        // A text in memory takes everything.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
