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
