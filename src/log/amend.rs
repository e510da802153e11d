//! Additions to stored events.

use super::Log;
use crate::store::StoreError;

impl Log {
    /// Stores the names of applications in some events that lack them and whose applications are known by now. Returns
    /// the number of events.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_events(&self) -> Result<u64, StoreError> {
        self.0.store.name_events().await
    }

    /// Stores the words of some events that lack them. Returns the number of events; 0 once every event has its words.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_words(&self) -> Result<usize, StoreError> {
        self.0.store.add_words().await
    }
}
