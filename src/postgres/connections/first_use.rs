//! The check of a connection before its first use.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

/// A check that each new connection has to pass before its first use. Clones share it.
#[derive(Clone)]
pub(crate) struct FirstUse(Arc<Check>);

type Check = dyn for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<()>> + Send + Sync;

impl FirstUse {
    pub(crate) fn new(
        check: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<()>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(check))
    }

    /// Checks a connection.
    ///
    /// # Errors
    /// The connection must not be used.
    pub(super) fn check<'c>(&self, connection: &'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<()>> {
        (self.0)(connection)
    }
}

impl fmt::Debug for FirstUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FirstUse")
    }
}
