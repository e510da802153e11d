//! What is learned of events after they were stored.

use super::Log;
use crate::store::StoreError;

impl Log {
    /// Stores the application's name in some events that lack it, where the name has become known. Returns 0 if there were
    /// none.
    ///
    /// # Errors
    /// The database's.
    pub async fn name_events(&self) -> Result<u64, StoreError> {
        self.0.store.name_events().await
    }

    /// Stores the words of some events that lack them. Returns 0 once every event has its words.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_words(&self) -> Result<usize, StoreError> {
        self.0.store.add_words().await
    }
}
