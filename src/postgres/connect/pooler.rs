//! Detection of a pooler that gives each transaction another session. LISTEN, advisory locks and prepared statements
//! need one session for as long as a connection lives.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::session::current_backend;

/// Returns true if a connection keeps its session for one transaction only. While a second connection is in a transaction,
/// such a pooler either gives it the first connection's backend, or gives the first connection another one.
///
/// The check makes no settings and prepares no statements: a pooler would hand them on to other clients.
pub(super) async fn shares_sessions(first: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<bool> {
    let backend = current_backend(first).await?;
    let mut second = PgConnection::connect_with(options).await?;
    sqlx::raw_sql("BEGIN").execute(&mut second).await?;
    // The order matters: in a pool with one backend, the first connection would wait for that backend now.
    let shares = current_backend(&mut second).await? == backend || current_backend(first).await? != backend;
    sqlx::raw_sql("ROLLBACK").execute(&mut second).await?;
    second.close().await?;
    Ok(shares)
}
