//! Coordination of the gateways over one log: its identity, the election of leaders, and notifications.

use super::Log;
use crate::event::Position;
use crate::store::{HeadListener, Lead, LogIdentity, StoreError};

impl Log {
    /// Returns the identity of the log, by which gateways recognise that they have the same log.
    ///
    /// # Errors
    /// The database's.
    pub async fn identity(&self) -> Result<LogIdentity, StoreError> {
        self.0.store.identity().await
    }

    /// Waits until this gateway is elected the leader of a task. One gateway over the database leads at a time.
    ///
    /// # Errors
    /// The database's: try again.
    pub async fn lead(&self, what: &str) -> Result<Lead, StoreError> {
        self.0.store.lead(what).await
    }

    /// Subscribes to the notifications of gateways that have appended.
    ///
    /// # Errors
    /// The database's.
    pub async fn listen(&self) -> Result<HeadListener, StoreError> {
        self.0.store.listen().await
    }

    /// Records that a gateway has read a position of the log. Returns the newest position that is known to be read.
    pub fn note_read(&self, position: Position) -> Position {
        self.0.store.note_read(position).max(self.0.store.furthest())
    }

    /// Begins a new era if positions cannot continue in the current one: after a restore, or if this gateway has read
    /// further than the log's end.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_era(&self) -> Result<(), StoreError> {
        self.0.store.check_era().await
    }
}
