//! The schema: the migrations, and the function that appends.

use std::sync::LazyLock;

use rust_embed::Embed;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _};

use super::append::install_append_function;
use super::{Store, StoreError};

/// The files of `migrations/`, each named `NUMBER_description.sql`.
#[derive(Embed)]
#[folder = "migrations"]
struct MigrationFiles;

/// The migrations in order. sqlx has a macro for them; with it, sqlx and its TLS are compiled twice.
static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| Migrator::with_migrations(MigrationFiles::iter().filter_map(|name| migration(&name)).collect()));

/// Returns the migration of a file, or None if its name is not that of a migration.
fn migration(name: &str) -> Option<Migration> {
    let (version, description) = name.strip_suffix(".sql")?.split_once('_')?;
    let sql = String::from_utf8(MigrationFiles::get(name)?.data.into_owned()).ok()?;
    let sql = AssertSqlSafe(sql).into_sql_str();
    Some(Migration::new(version.parse().ok()?, description.replace('_', " ").into(), MigrationType::Simple, sql, false))
}

impl Store {
    /// Brings the database's schema up to date, and installs this version's function that appends. Many gateways may do so
    /// at once.
    ///
    /// # Errors
    /// The database cannot be reached, its schema is newer than this program's or was made before 0.1.0, or the user may
    /// not create tables or functions.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        // `Migrator::run` does the same, but the compiler does not see that its future on a connection is `Send`.
        if let Err(error) = MIGRATIONS.run_direct(None, &mut session.connection, false).await {
            return Err(migration_error(&mut session.connection, error).await);
        }
        if let Err(error) = install_append_function(&mut session.connection).await {
            return Err(privilege_error(&mut session.connection, error).await);
        }
        session.close().await;
        Ok(())
    }

    /// Brings the schema of an existing log up to date; with `create`, that of any database.
    ///
    /// # Errors
    /// The errors of [`migrate`](Self::migrate); or the database has no log, and none may be created.
    pub async fn prepare(&self, create: bool) -> Result<(), StoreError> {
        if create || self.has_log().await? { self.migrate().await } else { Err(StoreError::NoLog) }
    }
}

/// Returns the cause of a failed migration.
async fn migration_error(connection: &mut PgConnection, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            privilege_error(connection, error).await
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => match is_made_before(connection).await {
            Ok(true) => StoreError::MadeBefore,
            Ok(false) => StoreError::Migration(error.to_string()),
            Err(error) => error.into(),
        },
        other => StoreError::Migration(other.to_string()),
    }
}

/// Returns true if the first migration of the database is not that of this program: there were others before 0.1.0.
async fn is_made_before(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let first = MIGRATIONS.iter().next().map(|first| (first.version, &*first.checksum));
    let Some((version, checksum)) = first else { return Ok(false) };
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version = $1 AND checksum <> $2)")
        .bind(version)
        .bind(checksum)
        .fetch_one(connection)
        .await
}

/// Returns the error of a statement that creates something. If the user lacks the privilege, the error says which one.
async fn privilege_error(connection: &mut PgConnection, error: sqlx::Error) -> StoreError {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    if code.as_deref() != Some(INSUFFICIENT_PRIVILEGE) {
        return error.into();
    }
    let grant =
        "SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', coalesce(current_schema(), 'public'), current_user)";
    // The transaction of a failed migration is still open.
    _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
    match sqlx::query_scalar(grant).fetch_one(connection).await {
        Ok(grant) => StoreError::NoPrivilege { grant, cause: error },
        Err(_) => error.into(),
    }
}
