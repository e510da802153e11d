//! A connection that its owner keeps between uses.

use super::connections::{Connections, LentConnection};

/// A connection of one's own: the set asks a connection that was given back a while ago whether it still lives, which would
/// be one more round trip for many uses. Whoever keeps one takes it from the others of its set for good.
#[derive(Debug)]
pub(super) struct KeptConnection {
    connections: Connections,
    connection: Option<LentConnection>,
}

impl KeptConnection {
    /// One that the set lends when it is needed.
    pub(super) const fn of(connections: Connections) -> Self {
        Self { connections, connection: None }
    }

    /// The connection, to be given back by [`keep`](Self::keep). After an error, or when nobody waits any more, nobody
    /// knows what it is about: it is not given back and thereby closed.
    pub(super) async fn take(&mut self) -> sqlx::Result<LentConnection> {
        match self.connection.take() {
            Some(connection) if connection.is_current() => Ok(connection),
            outdated => {
                drop(outdated);
                // Whoever keeps a connection tries again by itself.
                self.connections.lend_at_once().await
            }
        }
    }

    pub(super) fn keep(&mut self, connection: LentConnection) {
        self.connection = Some(connection);
    }
}
