//! The newest events, in memory, bounded by their bytes.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::event::{Position, SyncEvent};

/// The newest stretch of the log. Whoever comes too late for an event reads it from the store.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    tail: RwLock<Tail>,
    through: watch::Sender<Position>,
}

#[derive(Debug)]
struct Tail {
    /// Every event after this is in the window.
    start: Position,
    /// Through where the log was read.
    through: Position,
    events: VecDeque<Arc<SyncEvent>>,
    bytes: usize,
}

/// A part of the log.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its events, in order.
    pub events: Vec<Arc<SyncEvent>>,
    /// Through where it goes.
    pub through: Position,
}

impl Window {
    /// A window that starts after a position and holds so many bytes of events.
    pub fn new(start: Position, limit: usize) -> Self {
        let tail = Tail { start, through: start, events: VecDeque::new(), bytes: 0 };
        Self { limit, tail: RwLock::new(tail), through: watch::Sender::new(start) }
    }

    /// Through where the log was read; changes with every push.
    pub fn through(&self) -> watch::Receiver<Position> {
        self.through.subscribe()
    }

    /// How many bytes of events it holds.
    pub fn bytes(&self) -> usize {
        self.tail.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Adds what comes next, and lets go of the oldest.
    pub fn push(&self, events: Vec<Arc<SyncEvent>>, through: Position) {
        {
            let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                tail.bytes += event.size();
                tail.events.push_back(event);
            }
            tail.through = through;
            while tail.bytes > self.limit
                && let Some(oldest) = tail.events.pop_front()
            {
                tail.bytes -= oldest.size();
                tail.start = oldest.position;
            }
        }
        self.through.send_replace(through);
    }

    /// Starts anew after a position, as when the database was replaced by an older one.
    pub fn reset(&self, start: Position) {
        {
            let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
            *tail = Tail { start, through: start, events: VecDeque::new(), bytes: 0 };
        }
        self.through.send_replace(start);
    }

    /// At most `limit` events after a position. None where the window does not go back so far, or not yet so far
    /// ahead.
    pub fn after(&self, position: Position, limit: usize) -> Option<Part> {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        if position < tail.start || position > tail.through {
            return None;
        }
        let from = tail.events.partition_point(|event| event.position <= position);
        let events: Vec<_> = tail.events.range(from..).take(limit).cloned().collect();
        let is_all = from + events.len() == tail.events.len();
        let through = if is_all { tail.through } else { events.last().map_or(tail.through, |last| last.position) };
        Some(Part { events, through })
    }
}
