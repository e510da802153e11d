//! A look-up of the events that imports have brought.

use std::collections::HashSet;

use uuid::Uuid;

use super::Ledger;
use crate::store::StoreError;

impl Ledger {
    /// Returns the uuids of those events of an org that an import has brought before.
    ///
    /// # Errors
    /// The database's.
    pub async fn imported(&self, org: &str, uuids: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        // Connections that write have plans that suit tables of any size, and the import makes the table grow.
        let statement = "SELECT uuid FROM arrival WHERE org = $1 AND uuid = ANY($2) AND import_at IS NOT NULL";
        let found = sqlx::query_scalar(statement).bind(org).bind(uuids).fetch_all(&self.writes).await?;
        Ok(found.into_iter().collect())
    }
}
