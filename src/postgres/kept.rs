//! A connection that its owner keeps between uses.

use super::connections::{ConnectionPool, PooledConnection};

/// A connection that its owner keeps between uses. A pool checks a connection that was idle for a while, which costs
/// one more round trip. A kept connection is no longer available to the pool's other users.
#[derive(Debug)]
pub(crate) struct KeptConnection {
    connections: ConnectionPool,
    connection: Option<PooledConnection>,
}

impl KeptConnection {
    /// Creates a kept connection, which is taken from the pool when it is first needed.
    pub(crate) const fn of(connections: ConnectionPool) -> Self {
        Self { connections, connection: None }
    }

    /// Returns the connection, which the caller gives back by [`keep`](Self::keep). After an error or a cancellation the state
    /// of the connection is unknown, so the caller drops it, which closes it.
    pub(crate) async fn take(&mut self) -> sqlx::Result<PooledConnection> {
        match self.connection.take() {
            Some(connection) if connection.is_current() => Ok(connection),
            outdated => {
                drop(outdated);
                // One attempt to connect is enough, as the connection's owner retries by itself.
                self.connections.acquire_without_retry().await
            }
        }
    }

    /// Gives the connection back. No statement and no transaction may be open on it.
    pub(crate) fn keep(&mut self, connection: PooledConnection) {
        self.connection = Some(connection);
    }
}
