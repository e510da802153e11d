//! A subscriber's seat at its feed: where it waits, and what comes is sent to its client without waking it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::event::Position;
use crate::live::feed::Told;
use crate::live::progress::Progress;

/// What takes events for a client at once. It has sent all that its subscriber handed out by the time that the subscriber
/// waits again.
pub trait Outlet: Send + Sync {
    /// The same bytes for those that write the same.
    fn style(&self) -> &[u8];

    /// Writes an event as it is sent.
    fn write(&self, told: &Told, out: &mut Vec<u8>);

    /// Sends what was written, without waiting.
    fn send(&self, bytes: &[u8]) -> Sent;
}

/// What became of bytes that were to be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All are sent.
    Whole,
    /// They will be, but somebody has to see to it.
    Begun,
    /// None is sent: the client takes nothing now.
    Nothing,
}

/// A place where a subscriber waits for its feed.
pub(in crate::live) struct Seat {
    outlet: Option<Arc<dyn Outlet>>,
    progress: Progress,
    waiting: Mutex<Waiting>,
    task: AtomicWaker,
}

/// How a subscriber waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// It does not: it reads on by itself.
    No,
    /// From after a position on.
    After(Position),
    /// It is to read on by itself.
    Called(Called),
}

/// How a subscriber goes on that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) struct Called {
    /// What matches through here was sent.
    pub(in crate::live) at: Position,
    /// Whether some of it is still to be sent, by the client's own task.
    pub(in crate::live) is_unsent: bool,
}

impl fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seat").field("waiting", &*self.waiting()).finish_non_exhaustive()
    }
}

impl Seat {
    pub(in crate::live) fn new(outlet: Option<Arc<dyn Outlet>>, progress: Progress) -> Self {
        Self { outlet, progress, waiting: Mutex::new(Waiting::No), task: AtomicWaker::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits from after a position on.
    pub(in crate::live) fn sit(&self, at: Position) {
        *self.waiting() = Waiting::After(at);
    }

    /// Has its subscriber read on by itself, if it waits.
    pub(in crate::live) fn call(&self) {
        let mut waiting = self.waiting();
        if let Waiting::After(at) = *waiting {
            *waiting = Waiting::Called(Called { at, is_unsent: false });
            drop(waiting);
            self.task.wake();
        }
    }

    /// Reads on by itself from now on, if it has waited.
    pub(in crate::live) fn stand_up(&self) -> Option<Called> {
        match std::mem::replace(&mut *self.waiting(), Waiting::No) {
            Waiting::No => None,
            Waiting::After(at) => Some(Called { at, is_unsent: false }),
            Waiting::Called(called) => Some(called),
        }
    }

    /// Waits until it is called.
    pub(in crate::live) fn poll_called(&self, context: &mut Context<'_>) -> Poll<()> {
        self.task.register(context.waker());
        if matches!(*self.waiting(), Waiting::After(_)) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Brings what there is, where its subscriber waits; who cannot be brought it is called to read on by itself. `look`
    /// tells what there is after a position, as an outlet writes it; None where that cannot be told here. Gives whether
    /// something was sent.
    pub(in crate::live) fn bring<'t>(&self, look: impl FnOnce(Position, &dyn Outlet) -> Option<Brought<'t>>) -> bool {
        let mut waiting = self.waiting();
        let Waiting::After(at) = *waiting else { return false };
        let found = self.outlet.as_deref().and_then(|outlet| Some((outlet, look(at, outlet)?)));
        let (last, sent) = match found {
            None => (None, Sent::Nothing),
            Some((outlet, Brought { told, bytes })) => match told.last() {
                None => return false,
                last => (last, outlet.send(bytes)),
            },
        };
        let at = match last {
            Some(last) if sent != Sent::Nothing => last.position,
            _ => at,
        };
        // Also of what was only begun: whatever tells this place goes out behind the rest.
        self.progress.set(at);
        if sent == Sent::Whole {
            *waiting = Waiting::After(at);
            return true;
        }
        let is_unsent = sent == Sent::Begun;
        *waiting = Waiting::Called(Called { at, is_unsent });
        drop(waiting);
        self.task.wake();
        is_unsent
    }
}

/// Events, and how an outlet writes them.
#[derive(Clone, Copy, Debug)]
pub(in crate::live) struct Brought<'t> {
    pub(in crate::live) told: &'t [Told],
    pub(in crate::live) bytes: &'t [u8],
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::event::Timestamp;

    /// An outlet of a client that takes so many bytes.
    struct Narrow(Mutex<usize>);

    impl Outlet for Narrow {
        fn style(&self) -> &'static [u8] {
            b"narrow"
        }

        fn write(&self, told: &Told, out: &mut Vec<u8>) {
            out.extend(told.text.as_bytes());
        }

        fn send(&self, bytes: &[u8]) -> Sent {
            let mut room = self.0.lock().unwrap();
            let taken = bytes.len().min(*room);
            *room -= taken;
            if taken == bytes.len() {
                Sent::Whole
            } else if taken == 0 {
                Sent::Nothing
            } else {
                Sent::Begun
            }
        }
    }

    fn seat(room: Option<usize>) -> Seat {
        let outlet = room.map(|room| Arc::new(Narrow(Mutex::new(room))) as Arc<dyn Outlet>);
        Seat::new(outlet, Progress::default())
    }

    /// Brings the next event, of two bytes, and tells where the seat was; None where it was not looked for.
    fn bring(seat: &Seat) -> (bool, Option<u128>) {
        let mut asked = None;
        let mut told = Vec::new();
        let mut bytes = Vec::new();
        let is_sent = seat.bring(|at, outlet| {
            asked = Some(at.get());
            told = vec![Told { position: at.next(), stored_at: Timestamp::now(), text: "{}".into(), errors: None }];
            outlet.write(&told[0], &mut bytes);
            Some(Brought { told: &told, bytes: &bytes })
        });
        (is_sent, asked)
    }

    fn is_called(seat: &Seat) -> bool {
        std::future::poll_fn(|context| seat.poll_called(context)).now_or_never().is_some()
    }

    #[test]
    fn who_waits_is_brought_what_comes_and_called_when_it_cannot_be() {
        // Room for one event and a half.
        let seat = seat(Some(3));
        assert_eq!(bring(&seat), (false, None), "it does not wait yet");
        seat.sit(Position::new(5));
        assert_eq!((bring(&seat), is_called(&seat)), ((true, Some(5)), false));
        assert_eq!((bring(&seat), is_called(&seat)), ((true, Some(6)), true));
        assert_eq!(seat.progress.hold(), Some(Position::new(7)));
        assert_eq!(bring(&seat), (false, None), "it is called, and reads on by itself");
        assert_eq!(seat.stand_up(), Some(Called { at: Position::new(7), is_unsent: true }));
        seat.sit(Position::new(7));
        assert_eq!((bring(&seat), is_called(&seat)), ((false, Some(7)), true), "there is no room");
        assert_eq!(seat.stand_up(), Some(Called { at: Position::new(7), is_unsent: false }));
        assert_eq!(seat.stand_up(), None);
    }

    #[test]
    fn who_has_no_outlet_is_called() {
        let seat = seat(None);
        seat.sit(Position::new(5));
        assert!(!is_called(&seat));
        assert_eq!((bring(&seat), is_called(&seat)), ((false, None), true));
        assert_eq!(seat.stand_up(), Some(Called { at: Position::new(5), is_unsent: false }));
    }
}
