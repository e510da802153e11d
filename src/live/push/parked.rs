//! A parked subscriber: it waits for its feed, and the workers send new events to its client without waking it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};

use crate::event::Position;
use crate::live::feed::payload::Payload;
use crate::live::measures::HandedOut;
use crate::live::reached::Reached;

/// The way to a client that takes events at once. A subscriber with an outlet parks only after its client's task has sent
/// everything that the subscriber had handed out, so that the outlet's bytes never overtake others.
pub trait Outlet: Send + Sync {
    /// Equal for outlets that write the same bytes for a payload, which is then written once for all of them.
    fn format_key(&self) -> &[u8];

    /// Writes a payload in the client's format.
    fn write(&self, payload: &Payload, out: &mut Vec<u8>);

    /// Sends bytes without waiting.
    fn send(&self, bytes: &[u8]) -> Sent;
}

/// The amount that an outlet has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All bytes.
    All,
    /// A part. The rest is kept, and goes out when the client's own task flushes the connection.
    Part,
    /// Nothing: the client takes no bytes now.
    Nothing,
}

/// The place where a subscriber parks.
pub(in crate::live) struct ParkedSubscriber {
    outlet: Option<Arc<dyn Outlet>>,
    /// The subscriber's progress, which the workers move while it is parked.
    progress: Arc<Reached>,
    /// Largest number of events in a payload.
    batch: usize,
    state: Mutex<ParkState>,
    task: AtomicWaker,
}

/// The state of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParkState {
    /// The subscriber reads on by itself.
    Running,
    /// The subscriber waits; it was sent every matching event through this position.
    Parked(Position),
    /// The subscriber is to read on from this position.
    Woken(Position, WakeReason),
}

/// Why a subscriber reads on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum WakeReason {
    /// Something is new that was not sent, or the subscriber is needed for another reason.
    ReadOn,
    /// The socket has taken a part of the last batch only (backpressure): the client's task must flush the rest first.
    Flush,
}

impl fmt::Debug for ParkedSubscriber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ParkedSubscriber").field("state", &*self.state.lock()).finish_non_exhaustive()
    }
}

impl ParkedSubscriber {
    pub(in crate::live) fn new(outlet: Option<Arc<dyn Outlet>>, progress: Arc<Reached>, batch: usize) -> Self {
        Self { outlet, progress, batch, state: Mutex::new(ParkState::Running), task: AtomicWaker::new() }
    }

    fn move_to(&self, position: Position, events: usize) {
        self.progress.add_events(events);
        self.progress.position.set(position);
    }

    /// Parks the subscriber after a position.
    pub(in crate::live) fn park(&self, position: Position) {
        *self.state.lock() = ParkState::Parked(position);
    }

    /// Wakes the subscriber if it is parked.
    pub(in crate::live) fn wake(&self) {
        if let Some(parked) = self.lock_parked() {
            parked.wake();
        }
    }

    /// Ends the wait. Returns the subscriber's position and why it was woken; None if it had not been parked.
    pub(in crate::live) fn unpark(&self) -> Option<(Position, WakeReason)> {
        match std::mem::replace(&mut *self.state.lock(), ParkState::Running) {
            ParkState::Running => None,
            ParkState::Parked(position) => Some((position, WakeReason::ReadOn)),
            ParkState::Woken(position, reason) => Some((position, reason)),
        }
    }

    /// Waits until the subscriber is woken.
    pub(in crate::live) fn poll_woken(&self, context: &mut Context<'_>) -> Poll<()> {
        self.task.register(context.waker());
        if matches!(*self.state.lock(), ParkState::Parked(_)) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Locks the subscriber if it is parked, so that it neither reads on nor is visited by another worker meanwhile.
    pub(super) fn lock_parked(&self) -> Option<LockedSubscriber<'_>> {
        let state = self.state.lock();
        let ParkState::Parked(position) = *state else { return None };
        Some(LockedSubscriber { subscriber: self, state, position })
    }
}

/// A parked subscriber whose state is locked.
pub(super) struct LockedSubscriber<'s> {
    subscriber: &'s ParkedSubscriber,
    state: MutexGuard<'s, ParkState>,
    position: Position,
}

impl<'s> LockedSubscriber<'s> {
    /// The position after which the subscriber waits.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Largest number of events in one of its payloads.
    pub(super) const fn batch(&self) -> usize {
        self.subscriber.batch
    }

    /// The way to its client; None if the subscriber must send everything by itself.
    pub(super) fn outlet(&self) -> Option<&'s dyn Outlet> {
        self.subscriber.outlet.as_deref()
    }

    /// Sends a batch of events. The subscriber stays parked if its client takes all of it; else it is woken. Returns true if the
    /// client receives the batch, now or after a flush.
    pub(super) fn send(mut self, batch: &[u8], events: &HandedOut) -> bool {
        let last = events.last;
        match self.outlet().map_or(Sent::Nothing, |outlet| outlet.send(batch)) {
            Sent::Nothing => {
                self.wake();
                return false;
            }
            Sent::All => {
                self.subscriber.move_to(last, events.events);
                *self.state = ParkState::Parked(last);
            }
            Sent::Part => {
                // A report of this position goes out behind the rest of the batch, so it is true when the client reads it.
                self.subscriber.move_to(last, events.events);
                self.wake_at(last, WakeReason::Flush);
            }
        }
        true
    }

    /// Wakes the subscriber, so that it reads on by itself.
    pub(super) fn wake(self) {
        let position = self.position;
        self.wake_at(position, WakeReason::ReadOn);
    }

    fn wake_at(self, position: Position, reason: WakeReason) {
        let Self { subscriber, mut state, .. } = self;
        *state = ParkState::Woken(position, reason);
        drop(state);
        subscriber.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::event::Timestamp;
    use crate::live::feed::renderer::RenderedEvent;

    /// An outlet to a client that takes so many bytes.
    struct Narrow(Mutex<usize>);

    impl Outlet for Narrow {
        fn format_key(&self) -> &'static [u8] {
            b"narrow"
        }

        fn write(&self, payload: &Payload, out: &mut Vec<u8>) {
            out.extend(payload.text.as_bytes());
        }

        fn send(&self, bytes: &[u8]) -> Sent {
            let mut room = self.0.lock();
            let taken = bytes.len().min(*room);
            *room -= taken;
            if taken == bytes.len() {
                Sent::All
            } else if taken == 0 {
                Sent::Nothing
            } else {
                Sent::Part
            }
        }
    }

    fn subscriber(room: Option<usize>) -> ParkedSubscriber {
        let outlet = room.map(|room| Arc::new(Narrow(Mutex::new(room))) as Arc<dyn Outlet>);
        ParkedSubscriber::new(outlet, Arc::new(Reached::new(Position::START)), 100)
    }

    fn one_event(position: Position) -> HandedOut {
        let event =
            RenderedEvent { position, stored_at: Timestamp::now(), texts: std::iter::empty().collect(), errors: None };
        HandedOut::history(&[event]).unwrap()
    }

    /// Sends the next event, of two bytes, as a worker does. Returns true if it was sent, and where the subscriber was
    /// parked; None if it was not.
    fn send_next(subscriber: &ParkedSubscriber) -> (bool, Option<u128>) {
        let Some(parked) = subscriber.lock_parked() else { return (false, None) };
        let position = parked.position();
        let Some(outlet) = parked.outlet() else {
            parked.wake();
            return (false, Some(position.get()));
        };
        let next = position.next();
        let payload = Payload { position: next, text: "{}".into(), errors: None };
        let mut bytes = Vec::new();
        outlet.write(&payload, &mut bytes);
        (parked.send(&bytes, &one_event(next)), Some(position.get()))
    }

    fn is_woken(subscriber: &ParkedSubscriber) -> bool {
        std::future::poll_fn(|context| subscriber.poll_woken(context)).now_or_never().is_some()
    }

    #[test]
    fn a_parked_subscriber_is_sent_events_until_its_client_takes_no_more() {
        // Room for one event and a half.
        let subscriber = subscriber(Some(3));
        assert_eq!(send_next(&subscriber), (false, None), "the subscriber is not parked yet");
        subscriber.park(Position::new(5));
        assert_eq!((send_next(&subscriber), is_woken(&subscriber)), ((true, Some(5)), false));
        assert_eq!((send_next(&subscriber), is_woken(&subscriber)), ((true, Some(6)), true));
        assert_eq!((subscriber.progress.position.get(), subscriber.progress.events()), (Position::new(7), 2));
        assert_eq!(send_next(&subscriber), (false, None), "a woken subscriber reads on by itself");
        assert_eq!(subscriber.unpark(), Some((Position::new(7), WakeReason::Flush)));
        subscriber.park(Position::new(7));
        assert_eq!((send_next(&subscriber), is_woken(&subscriber)), ((false, Some(7)), true), "there is no room");
        assert_eq!(subscriber.unpark(), Some((Position::new(7), WakeReason::ReadOn)));
        assert_eq!(subscriber.unpark(), None);
    }

    #[test]
    fn a_subscriber_without_an_outlet_is_woken() {
        let subscriber = subscriber(None);
        subscriber.park(Position::new(5));
        assert!(!is_woken(&subscriber));
        assert_eq!((send_next(&subscriber), is_woken(&subscriber)), ((false, Some(5)), true));
        assert_eq!(subscriber.unpark(), Some((Position::new(5), WakeReason::ReadOn)));
    }
}
