//! What gateways over one log need of each other: which log it is, who leads, and hints that it has grown.

use super::Log;
use crate::event::Position;
use crate::store::{HeadListener, Lead, LogIdentity, StoreError};

impl Log {
    /// Returns the identity of the log, by which gateways recognise that they have the same one.
    ///
    /// # Errors
    /// The database's.
    pub async fn identity(&self) -> Result<LogIdentity, StoreError> {
        self.0.store.identity().await
    }

    /// Waits until this gateway is the only one, of all over the database, that leads in something.
    ///
    /// # Errors
    /// The database's: try again.
    pub async fn lead(&self, what: &str) -> Result<Lead, StoreError> {
        self.0.store.lead(what).await
    }

    /// Listens to the gateways that announce that the log has grown.
    ///
    /// # Errors
    /// The database's.
    pub async fn listen(&self) -> Result<HeadListener, StoreError> {
        self.0.store.listen().await
    }

    /// Notes that some gateway has read a position of the log. Returns the furthest position that is known to be read.
    pub fn note_read(&self, position: Position) -> Position {
        self.0.store.note_read(position).max(self.0.store.furthest())
    }

    /// Begins a new era where positions cannot continue in the current one: after a restore, or where this gateway has read
    /// further than the log goes.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_era(&self) -> Result<(), StoreError> {
        self.0.store.check_era().await
    }
}
