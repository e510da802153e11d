//! The window: the newest events of the log in memory, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::event::{Position, SyncEvent};

/// The newest events of the log. Events that are older than the window are read from the store.
#[derive(Debug)]
pub struct Window {
    max_bytes: usize,
    newest: RwLock<WindowEvents>,
    through: watch::Sender<Position>,
}

#[derive(Debug)]
struct WindowEvents {
    /// Every event after this position, through `through`, is in the window.
    start: Position,
    /// The position through which the log was read.
    through: Position,
    events: VecDeque<Arc<SyncEvent>>,
    bytes: usize,
}

/// A part of the log, from the window.
#[derive(Clone, Debug)]
pub struct WindowPart {
    /// The events, in order.
    pub events: Vec<Arc<SyncEvent>>,
    /// The last position of the part; its event, if it has one, is among the events.
    pub through: Position,
}

impl Window {
    /// A window that starts after a position and holds at most so many bytes of events.
    pub fn new(start: Position, max_bytes: usize) -> Self {
        let newest = WindowEvents { start, through: start, events: VecDeque::new(), bytes: 0 };
        Self { max_bytes, newest: RwLock::new(newest), through: watch::Sender::new(start) }
    }

    /// The position through which the log was read. The value changes with every push.
    pub fn through(&self) -> watch::Receiver<Position> {
        self.through.subscribe()
    }

    /// The total size of the events, in bytes.
    pub fn bytes(&self) -> usize {
        self.newest.read().bytes
    }

    /// Adds the next events of the log, and drops the oldest ones.
    pub fn push(&self, events: Vec<Arc<SyncEvent>>, through: Position) {
        {
            let mut newest = self.newest.write();
            for event in events {
                newest.bytes += event.size();
                newest.events.push_back(event);
            }
            newest.through = through;
            while newest.bytes > self.max_bytes
                && let Some(oldest) = newest.events.pop_front()
            {
                newest.bytes -= oldest.size();
                newest.start = oldest.position;
            }
        }
        self.through.send_replace(through);
    }

    /// Drops all events and starts again after a position, as when the log was replaced by an older copy.
    pub fn reset(&self, start: Position) {
        {
            let mut newest = self.newest.write();
            *newest = WindowEvents { start, through: start, events: VecDeque::new(), bytes: 0 };
        }
        self.through.send_replace(start);
    }

    /// At most `limit` events after a position; None if the window does not reach back to the position, or has not reached
    /// it yet.
    pub fn after(&self, position: Position, limit: usize) -> Option<WindowPart> {
        let newest = self.newest.read();
        if position < newest.start || position > newest.through {
            return None;
        }
        let from = newest.events.partition_point(|event| event.position <= position);
        let events: Vec<_> = newest.events.range(from..).take(limit).cloned().collect();
        let is_all = from + events.len() == newest.events.len();
        let through = if is_all { newest.through } else { events.last().map_or(newest.through, |last| last.position) };
        Some(WindowPart { events, through })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::feed::router::tests::event;

    fn events(positions: std::ops::RangeInclusive<u128>) -> Vec<Arc<SyncEvent>> {
        positions.map(|position| event(position, "0oa1", None, "a")).collect()
    }

    /// Returns the positions of a part of the window, and the position through which it goes.
    fn part(window: &Window, after: u128, limit: usize) -> Option<(Vec<u128>, u128)> {
        let part = window.after(Position::new(after), limit)?;
        Some((part.events.iter().map(|event| event.position.get()).collect(), part.through.get()))
    }

    #[test]
    fn a_part_begins_after_its_position_and_tells_how_far_it_goes() {
        let window = Window::new(Position::new(2), 1 << 20);
        assert_eq!(part(&window, 2, 10), Some((vec![], 2)));
        window.push(events(3..=5), Position::new(5));
        for (after, limit, expected) in [
            (1, 10, None),
            (2, 10, Some((vec![3, 4, 5], 5))),
            (2, 2, Some((vec![3, 4], 4))),
            (4, 1, Some((vec![5], 5))),
            (5, 10, Some((vec![], 5))),
            (6, 10, None),
        ] {
            assert_eq!(part(&window, after, limit), expected, "{limit} after {after}");
        }
        // The log may go on without an event, as at the end of a read that finds none that is new.
        window.push(Vec::new(), Position::new(9));
        for (after, limit, expected) in
            [(2, 3, (vec![3, 4, 5], 9)), (2, 2, (vec![3, 4], 4)), (7, 10, (vec![], 9)), (9, 10, (vec![], 9))]
        {
            assert_eq!(part(&window, after, limit), Some(expected), "{limit} after {after}");
        }
    }

    #[test]
    fn the_oldest_events_are_dropped_beyond_the_bytes_and_a_reset_drops_all() {
        let size = events(1..=1)[0].size();
        let window = Window::new(Position::START, 3 * size);
        let through = window.through();
        window.push(events(1..=2), Position::new(2));
        window.push(events(3..=3), Position::new(3));
        assert_eq!((part(&window, 0, 10), window.bytes()), (Some((vec![1, 2, 3], 3)), 3 * size), "they just fit");
        window.push(events(4..=5), Position::new(5));
        assert_eq!((part(&window, 1, 10), window.bytes()), (None, 3 * size));
        assert_eq!(part(&window, 2, 10), Some((vec![3, 4, 5], 5)));
        assert_eq!(*through.borrow(), Position::new(5));
        window.reset(Position::new(1000));
        assert_eq!((window.bytes(), *through.borrow()), (0, Position::new(1000)));
        assert_eq!((part(&window, 5, 10), part(&window, 1000, 10)), (None, Some((vec![], 1000))));
    }

    #[test]
    fn an_event_larger_than_the_window_is_left_to_the_store() {
        let window = Window::new(Position::START, 1);
        window.push(events(1..=2), Position::new(3));
        assert_eq!((window.bytes(), part(&window, 1, 10)), (0, None));
        assert_eq!(part(&window, 2, 10), Some((vec![], 3)));
    }
}
