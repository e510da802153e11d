//! The System Log in the order in which events were persisted, which differs from the order in which they happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use uuid::Uuid;

use crate::event::LogEvent;

/// An event of the System Log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The id of the event.
    pub uuid: Uuid,
    /// The type of the event.
    pub event_type: String,
    /// The time at which the event happened.
    pub published: OffsetDateTime,
    /// The time at which the log received the event: at once, or later for a late event.
    pub persisted: OffsetDateTime,
    /// The ids of the event's targets.
    pub targets: Vec<String>,
    /// The event in the System Log API's format.
    pub json: Arc<str>,
}

/// The System Log, ordered by the time at which events were persisted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SystemLog(Arc<Mutex<Vec<LogEntry>>>);

impl SystemLog {
    /// Creates an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Persists an event now.
    pub fn record(&self, event: &LogEvent) {
        self.record_at(event, OffsetDateTime::now_utc());
    }

    /// Persists an event at a given time, but not before the last persisted event.
    pub fn record_at(&self, event: &LogEvent, persisted: OffsetDateTime) {
        let mut entries = self.lock();
        let persisted = entries.last().map_or(persisted, |last| last.persisted.max(persisted));
        entries.push(LogEntry {
            uuid: event.uuid,
            event_type: event.event_type.to_owned(),
            published: event.published,
            persisted,
            targets: event.target.iter().flatten().map(|target| target.id.clone()).collect(),
            json: event.log_json().into(),
        });
    }

    /// Returns all events in the order of the log.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().clone()
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns true if there are no events.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Passes the entries to a function.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[LogEntry]) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LogEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
