//! Payloads: the messages of a subscription, each with a batch of rendered events and a position.

use std::sync::Arc;

use parking_lot::Mutex;

use super::renderer::{PayloadEnds, PayloadWriter, RenderedEvent};
use crate::event::Position;

/// A message of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The position through which the subscriber was given everything that matches, from which it resumes.
    pub position: Position,
    /// The answer to the subscription's operation, as JSON. Subscribers with the same batch share it.
    pub text: Arc<str>,
    /// The answer's errors, as a JSON list. A subscription ends with its first payload that has errors.
    pub errors: Option<Arc<str>>,
}

/// The payload that a feed has written last. Mostly all subscribers of a feed receive the same batch.
#[derive(Debug, Default)]
pub(super) struct LastPayload(Mutex<Option<(PayloadKey, Arc<str>)>>);

/// Equal for payloads of one feed that have the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PayloadKey {
    first: Position,
    count: usize,
    ends: PayloadEnds,
}

impl LastPayload {
    /// Writes a payload, unless it is the last one.
    fn write(&self, writer: &PayloadWriter, events: &[RenderedEvent], ends: PayloadEnds) -> Arc<str> {
        let Some(first) = events.first() else { return writer(events, ends) };
        let key = PayloadKey { first: first.position, count: events.len(), ends };
        let mut last = self.0.lock();
        if let Some((_, text)) = last.as_ref().filter(|(known, _)| *known == key) {
            return Arc::clone(text);
        }
        let text = writer(events, ends);
        *last = Some((key, Arc::clone(&text)));
        text
    }

    /// Forgets the payload.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }
}

/// Writes the payloads of one feed.
pub(super) struct Payloads<'f> {
    pub(super) writer: &'f PayloadWriter,
    pub(super) last: &'f LastPayload,
    /// The position through which the router has routed events.
    pub(super) routed: Position,
}

impl Payloads<'_> {
    /// A payload with these events, whose subscriber resumes from a position.
    pub(super) fn one(&self, events: &[RenderedEvent], position: Position) -> Payload {
        let ends = PayloadEnds { position, head: self.routed.max(position) };
        Payload { position, text: self.last.write(self.writer, events, ends), errors: None }
    }

    /// Payloads of at most `batch` events each. The first event with errors is the last payload by itself, so that no
    /// event comes in part.
    pub(super) fn of(&self, events: &[RenderedEvent], batch: usize) -> Vec<Payload> {
        let whole = events.iter().position(|event| event.errors.is_some()).unwrap_or(events.len());
        let (whole, failed) = events.split_at(whole);
        let batches = whole.chunks(batch.max(1));
        let mut payloads: Vec<_> =
            batches.filter_map(|events| Some(self.one(events, events.last()?.position))).collect();
        payloads.extend(failed.first().map(|failed| Payload {
            position: failed.position,
            text: failed.texts.first().cloned().unwrap_or_default(),
            errors: failed.errors.clone(),
        }));
        payloads
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::event::Timestamp;

    fn event(position: u128, errors: Option<&str>) -> RenderedEvent {
        let texts = std::iter::once(Arc::from(position.to_string())).collect();
        let errors = errors.map(Arc::from);
        RenderedEvent { position: Position::new(position), stored_at: Timestamp::now(), texts, errors }
    }

    /// A writer of texts such as `1,2 2/9`, which counts how often it writes.
    fn writer(written: &Arc<AtomicUsize>) -> PayloadWriter {
        let written = Arc::clone(written);
        Arc::new(move |events, PayloadEnds { position, head }| {
            written.fetch_add(1, Ordering::Relaxed);
            let events: Vec<_> = events.iter().map(|event| &*event.texts[0]).collect();
            format!("{} {position}/{head}", events.join(",")).into()
        })
    }

    #[test]
    fn batches_are_cut_and_end_before_an_event_with_errors() {
        let (written, last) = (Arc::default(), LastPayload::default());
        let payloads = Payloads { writer: &writer(&written), last: &last, routed: Position::new(4) };
        let texts = |events: &[RenderedEvent], batch| -> Vec<_> {
            payloads.of(events, batch).iter().map(|payload| payload.text.to_string()).collect()
        };
        let five: Vec<_> = (1..=5).map(|position| event(position, None)).collect();
        assert_eq!(texts(&five, 2), ["1,2 2/4", "3,4 4/4", "5 5/5"], "a head is never before its position");
        assert_eq!(texts(&five, 100), ["1,2,3,4,5 5/5"]);
        assert_eq!(texts(&[], 2), [""; 0]);
        let mut failed = five;
        failed[3] = event(4, Some("[7]"));
        assert_eq!(texts(&failed, 2), ["1,2 2/4", "3 3/4", "4"]);
        let [.., last] = &payloads.of(&failed, 2)[..] else { panic!("no payload") };
        assert_eq!(last.errors.as_deref(), Some("[7]"));
    }

    #[test]
    fn subscribers_with_the_same_batch_share_its_text() {
        let (written, last) = (Arc::<AtomicUsize>::default(), LastPayload::default());
        let writer = writer(&written);
        let payloads = Payloads { writer: &writer, last: &last, routed: Position::new(9) };
        let events = [event(1, None), event(2, None)];
        let [one, other] = [0, 1].map(|_| payloads.of(&events, 2).remove(0));
        assert!(Arc::ptr_eq(&one.text, &other.text));
        assert_eq!(written.load(Ordering::Relaxed), 1);
        payloads.of(&events[..1], 2);
        Payloads { routed: Position::new(10), ..payloads }.of(&events[..1], 2);
        assert_eq!(written.load(Ordering::Relaxed), 3);
        last.clear();
        payloads.of(&events, 2);
        assert_eq!(written.load(Ordering::Relaxed), 4);
    }
}
