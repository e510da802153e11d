//! The System Log as it is kept: in the order in which events were persisted, which is not that in which they happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use uuid::Uuid;

use crate::event::LogEvent;

/// An event of the System Log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its identity.
    pub uuid: Uuid,
    /// What happened.
    pub event_type: String,
    /// When it happened.
    pub published: OffsetDateTime,
    /// When the log had it: at once, or, if it is late, some time after it happened.
    pub persisted: OffsetDateTime,
    /// The ids of its targets.
    pub targets: Vec<String>,
    /// The event as the System Log API prints it.
    pub json: Arc<str>,
}

/// The System Log. Its order is that in which events were persisted. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct SystemLog(Arc<Mutex<Vec<LogEntry>>>);

impl SystemLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Persists an event now, whenever it happened.
    pub fn record(&self, event: &LogEvent) {
        self.record_at(event, OffsetDateTime::now_utc());
    }

    /// Persists an event at a moment; where others were persisted later already, at the same moment as the last one.
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

    /// Every event, in the order of the log.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().clone()
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Looks at the entries.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[LogEntry]) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LogEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
