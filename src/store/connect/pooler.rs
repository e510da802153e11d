//! Finding out that a pooler gives each transaction another session: listening, advisory locks and prepared statements need
//! one session for as long as a connection lives.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::session::current_backend;

/// True where a connection's session belongs to its transactions only: while a second connection is in a transaction, either
/// that one has got the first one's backend, or the first one gets another.
///
/// Nothing is set and nothing prepared here: in such a pool it would stay behind for others.
pub(super) async fn shares_sessions(first: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<bool> {
    let backend = current_backend(first).await?;
    let mut second = PgConnection::connect_with(options).await?;
    sqlx::raw_sql("BEGIN").execute(&mut second).await?;
    // Where there is one backend for all, the first one would wait for it now: so the order matters.
    let shares = current_backend(&mut second).await? == backend || current_backend(first).await? != backend;
    sqlx::raw_sql("ROLLBACK").execute(&mut second).await?;
    second.close().await?;
    Ok(shares)
}
