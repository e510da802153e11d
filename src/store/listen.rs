//! Notifications between gateways that the log has grown, or that the records about who may come in have changed (LISTEN and
//! NOTIFY). They are only hints: gateways also poll, so a lost notification is harmless.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Store, StoreError};
use crate::event::Position;
use crate::postgres::connect::Connector;
use crate::postgres::connections::ACQUIRE_TIMEOUT;
use crate::postgres::kept::KeptConnection;

/// A sender of notifications to all gateways that the log has grown.
#[derive(Debug)]
pub struct HeadNotifier(KeptConnection);

impl HeadNotifier {
    /// Announces the log's new end.
    ///
    /// # Errors
    /// The database's.
    pub async fn notify(&mut self, head: Position) -> Result<(), StoreError> {
        timeout(NOTIFY_TIMEOUT, self.send(head)).await.unwrap_or(Err(StoreError::NoAnswer))
    }

    async fn send(&mut self, head: Position) -> Result<(), StoreError> {
        let mut connection = self.0.take().await?;
        // The commit need not wait for the disk, as a notification that is lost in a crash is harmless.
        sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify('sluice_log', $1)")
            .bind(head.to_string())
            .execute(&mut *connection)
            .await?;
        self.0.keep(connection);
        Ok(())
    }
}

/// A listener for the notifications of all gateways.
#[derive(Debug)]
pub struct HeadListener {
    listener: PgListener,
    connector: Connector,
    /// Generation of the listener's connection.
    generation: u64,
    /// Notified when the records about who may come in may have changed.
    access_hints: Arc<Notify>,
}

/// Channel of notifications that the log has grown.
const LOG_CHANNEL: &str = "sluice_log";

/// Channel of notifications that the records about who may come in have changed, which a trigger in the database sends.
const ACCESS_CHANNEL: &str = "sluice_access";

/// Time limit for sending a notification.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval between checks of a connection on which no notification comes.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

impl Store {
    /// Returns a sender of notifications, which keeps a connection between uses.
    pub fn head_notifier(&self) -> HeadNotifier {
        HeadNotifier(KeptConnection::of(self.writes.clone()))
    }

    /// Starts to listen for notifications.
    ///
    /// # Errors
    /// The database's.
    pub async fn listen(&self) -> Result<HeadListener, StoreError> {
        let session = self.connector.connect(&self.direct).await?;
        let (generation, options) = (session.generation, self.connector.options_of(&session));
        session.close().await;
        let options = options.ok_or(StoreError::ConnectionLost)?;
        // sqlx's listener needs a pool. The pool connects with the options that have just led to the primary, and makes
        // the same checks as other connections.
        let (connector, direct) = (self.connector.clone(), Arc::clone(&self.direct));
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.acquire_timeout(ACQUIRE_TIMEOUT).after_connect(move |connection, _| {
            let (connector, direct) = (connector.clone(), Arc::clone(&direct));
            Box::pin(async move { connector.prepare(connection, &direct).await })
        });
        let listening = async {
            let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
            // The caller listens again instead, since the primary may then be at another address.
            listener.eager_reconnect(false);
            listener.listen_all([LOG_CHANNEL, ACCESS_CHANNEL]).await?;
            Ok::<_, StoreError>(listener)
        };
        let listener = timeout(ACQUIRE_TIMEOUT * 2, listening).await.map_err(|_| StoreError::NoAnswer)??;
        // Earlier notifications may have been lost.
        self.access_hints.notify_one();
        let (connector, access_hints) = (self.connector.clone(), self.access_hints());
        Ok(HeadListener { listener, connector, generation, access_hints })
    }

    /// Returns the hints that the records about who may come in may have changed, which come while a listener waits.
    pub(crate) fn access_hints(&self) -> Arc<Notify> {
        Arc::clone(&self.access_hints)
    }
}

impl HeadListener {
    /// Waits until the log may have grown. Returns the position in the notification; None if it holds none.
    ///
    /// # Errors
    /// The connection is lost. The caller must listen again, and read the log in between.
    pub async fn wait(&mut self) -> Result<Option<Position>, StoreError> {
        loop {
            if let Ok(received) = timeout(CHECK_INTERVAL, self.listener.try_recv()).await {
                let received = received?.ok_or(StoreError::ConnectionLost)?;
                if received.channel() == ACCESS_CHANNEL {
                    self.access_hints.notify_one();
                    continue;
                }
                return Ok(received.payload().parse().ok());
            }
            if self.generation != self.connector.generation() {
                return Err(StoreError::ConnectionLost);
            }
            let alive = sqlx::query("SELECT 1").execute(&mut self.listener);
            timeout(ACQUIRE_TIMEOUT, alive).await.map_err(|_| StoreError::NoAnswer)??;
        }
    }
}
