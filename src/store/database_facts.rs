//! Facts about the database: its server, its versions, and whether it has a log.

use super::{Store, StoreError, StoreOptions};
use crate::postgres::connect::DatabaseUrl;

/// Facts about the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// The server: `host:port`, or the path of a socket.
    pub server: String,
    /// PostgreSQL's version.
    pub version: String,
    /// The number of the newest migration that was applied.
    pub schema: i64,
}

impl Store {
    /// Returns facts about the database, whose schema must be up to date.
    ///
    /// # Errors
    /// The database's.
    pub async fn facts(&self) -> Result<DatabaseFacts, StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        let server = self.connector.server_of(&session);
        let statement = "SELECT current_setting('server_version'), \
                         (SELECT max(version) FROM _sqlx_migrations WHERE success)";
        let (version, schema) = sqlx::query_as(statement).fetch_one(&mut session.connection).await?;
        session.close().await;
        Ok(DatabaseFacts { server, version, schema })
    }

    /// Returns true if the database has a log's tables.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_log(&self) -> Result<bool, StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        let statement = "SELECT to_regclass('log_head') IS NOT NULL";
        let has_log = sqlx::query_scalar(statement).fetch_one(&mut session.connection).await?;
        session.close().await;
        Ok(has_log)
    }
}

impl StoreOptions {
    /// Returns the servers that the URL names, for messages: neither user nor password nor database.
    ///
    /// # Errors
    /// Every fault of the URL.
    pub fn servers(&self) -> Result<Vec<String>, Vec<String>> {
        DatabaseUrl::parse(&self.url).map(|url| url.servers())
    }
}
