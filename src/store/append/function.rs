//! The append function in the database. Each version of the gateway installs its own, so that gateways of several versions
//! can share a database.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::template::{copied_columns, fill, names_of};
use crate::event::EventColumn;

/// The statements that create the function and describe it.
const TEXT: &str = include_str!("log_append.sql");

/// Number of bytes of the digest in the function's name.
const DIGEST_BYTES: usize = 4;

/// Number of the function's parameters beside those for the texts of events.
const OTHER_PARAMETERS: usize = 14;

/// The append function of this version.
static FUNCTION: LazyLock<AppendFunction> = LazyLock::new(|| AppendFunction::of(TEXT));

#[derive(Debug)]
struct AppendFunction {
    name: String,
    /// Statements that create and describe the function.
    definition: String,
    /// Statement that calls the function.
    call: String,
}

impl AppendFunction {
    fn of(text: &str) -> Self {
        let text = fill(
            text,
            &[
                ("parameters", names_of(EventColumn::texts(), "s text[]")),
                ("columns", names_of(copied_columns(), "")),
                ("values", of_copied_columns(|name| format!("f.{name}"))),
                ("unnested", of_copied_columns(|name| format!("unnest({name}s) AS {name}"))),
            ],
        );
        let digest = Sha256::digest(&text).iter().take(DIGEST_BYTES).fold(String::new(), |mut digest, byte| {
            // Writing to a text in memory cannot fail.
            _ = write!(digest, "{byte:02x}");
            digest
        });
        let name = format!("log_append_{digest}");
        let parameters: Vec<_> =
            (1..=EventColumn::TEXTS + OTHER_PARAMETERS).map(|number| format!("${number}")).collect();
        let call = format!("SELECT * FROM {name}({})", parameters.join(","));
        Self { definition: fill(&text, &[("function", name.clone())]), call, name }
    }
}

/// Returns a list in SQL of an expression for each text of an event.
fn of_copied_columns(expression: impl Fn(&str) -> String) -> String {
    let list = copied_columns().filter_map(|column| Some(expression(column.spec().sql_name()?)));
    list.collect::<Vec<_>>().join(", ")
}

/// Returns the statement that calls the function.
pub(super) fn call() -> &'static str {
    &FUNCTION.call
}

/// Creates the function, unless the database has it. Functions of other versions stay, since their gateways may still run.
///
/// # Errors
/// The database's, for example if the user may not create functions.
pub(in crate::store) async fn install_append_function(connection: &mut PgConnection) -> sqlx::Result<()> {
    if is_installed(connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Without the lock, several gateways might create the function at the same time, and all but one would fail.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('sluice: append'))").execute(&mut *transaction).await?;
    if !is_installed(&mut transaction).await? {
        sqlx::raw_sql(AssertSqlSafe(FUNCTION.definition.clone())).execute(&mut *transaction).await?;
        tracing::info!(function = FUNCTION.name, "installed the function that appends");
    }
    transaction.commit().await
}

async fn is_installed(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // `to_regproc` may use a cache that lacks a function that another gateway has just committed, so this reads the table.
    let exists = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = $1 AND pg_function_is_visible(oid))";
    sqlx::query_scalar(exists).bind(&*FUNCTION.name).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_depends_on_the_text() {
        let [one, other] =
            ["CREATE FUNCTION {function}() …", "CREATE FUNCTION {function}( ) …"].map(AppendFunction::of);
        assert_ne!(one.name, other.name);
        assert_eq!(one.name.len(), "log_append_".len() + 2 * DIGEST_BYTES);
        assert_eq!(one.definition, format!("CREATE FUNCTION {}() …", one.name));
    }

    #[test]
    fn every_placeholder_of_the_text_is_replaced() {
        let AppendFunction { name, definition, .. } = &*FUNCTION;
        assert!(definition.contains(&format!("CREATE FUNCTION {name}(")) && !definition.contains(['{', '}']));
        assert!(
            definition.contains(" event_types text[], messages text[], ")
                && definition.contains(" f.instance_display_name, f.debug_data")
        );
    }
}
