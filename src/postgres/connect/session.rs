//! Preparation of each connection before its use: its settings, and a check of the server behind it.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::error::ConnectFailure;

/// Statements that prepare a connection and check its server, in one round trip.
///
/// Settings are made by statements, not as startup parameters, which poolers refuse or silently drop.
#[derive(Clone, Debug)]
pub(crate) struct Setup(String);

/// The server and the backend behind a new connection.
#[derive(Clone, Debug)]
pub(super) struct ServerIdentity {
    pub(super) backend: Backend,
    /// Identity of the server, which changes with a failover, a promotion or a restart.
    pub(super) server: String,
}

/// The server process behind a connection. Its start time distinguishes it from a later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) process: i32,
    pub(crate) started: String,
}

/// SQL columns that identify a backend: the process id and the start time.
const BACKEND: &str = "pg_backend_pid(), (SELECT extract(epoch FROM a.backend_start)::text FROM \
                       pg_stat_get_activity(pg_backend_pid()) a)";

/// SQL expression that identifies a server since its last start or promotion. Its timeline is known on a primary only.
const SERVER: &str = "concat_ws('-', (SELECT system_identifier FROM pg_control_system()), \
                      CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END, \
                      extract(epoch FROM pg_postmaster_start_time()))";

/// SQL query that returns a row if the server accepts no writes.
pub(crate) const TAKES_NO_WRITES: &str =
    "SELECT WHERE pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";

impl Setup {
    /// Combines the operator's own settings, those that every connection has, and `more`. Later ones win.
    pub(super) fn new(own: &[(String, String)], timeout: Duration, more: &[(&str, &str)]) -> Self {
        let millis = timeout.as_millis().to_string();
        let common = [
            ("statement_timeout", millis.as_str()),
            ("lock_timeout", &millis),
            ("idle_in_transaction_session_timeout", &millis),
            ("default_transaction_isolation", "read committed"),
            ("synchronous_commit", "on"),
            // Notices would only report that sluice's own tables exist already.
            ("client_min_messages", "warning"),
            ("timezone", "UTC"),
            ("work_mem", "16MB"),
            ("jit", "off"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("client_connection_check_interval", "1000"),
        ];
        let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = own.chain(common).chain(more.iter().copied());
        let calls = all.map(|(name, value)| format!("set_config({}, {}, false)", quoted(name), quoted(value)));
        let mut sql = format!("SELECT {};", calls.collect::<Vec<_>>().join(", "));
        _ = write!(
            sql,
            " SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean, {BACKEND}, {SERVER}"
        );
        Self(sql)
    }

    /// Prepares a new connection. Returns the cause if its server accepts no writes.
    pub(super) async fn apply(
        &self,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Result<ServerIdentity, ConnectFailure>> {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(self.0.clone())).fetch_all(connection).await?;
        let row = rows.pop().ok_or(sqlx::Error::RowNotFound)?;
        if row.try_get(0)? {
            return Ok(Err(ConnectFailure::Standby));
        }
        if row.try_get(1)? {
            return Ok(Err(ConnectFailure::ReadOnly));
        }
        Ok(Ok(ServerIdentity { backend: backend(&row, 2)?, server: row.try_get(4)? }))
    }
}

/// Returns the backend that serves a connection at this moment.
pub(super) async fn current_backend(connection: &mut PgConnection) -> sqlx::Result<Backend> {
    let rows = sqlx::raw_sql(AssertSqlSafe(format!("SELECT {BACKEND}"))).fetch_all(connection).await?;
    backend(rows.first().ok_or(sqlx::Error::RowNotFound)?, 0)
}

fn backend(row: &PgRow, index: usize) -> sqlx::Result<Backend> {
    Ok(Backend { process: row.try_get(index)?, started: row.try_get(index + 1)? })
}

/// Returns a text as an SQL string constant that does not depend on `standard_conforming_strings`.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_constants_whatever_is_in_them() {
        let own = [("search_path".to_owned(), "a'; DROP TABLE era; --\\".to_owned())];
        let Setup(sql) = Setup::new(&own, Duration::from_secs(2), &[("jit", "on")]);
        assert!(sql.starts_with(r"SELECT set_config(E'search_path', E'a''; DROP TABLE era; --\\', false), "), "{sql}");
        assert!(sql.contains(" set_config(E'statement_timeout', E'2000', false), "), "{sql}");
        assert!(sql.rfind("'jit', E'off'") < sql.rfind("'jit', E'on'"), "{sql}");
    }
}
