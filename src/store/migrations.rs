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

/// The migrations, in order. sqlx has a macro for this, with which the build would compile sqlx and its TLS twice.
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
    /// Applies the missing migrations, and installs this version's append function. Many gateways may do so at once.
    ///
    /// # Errors
    /// The database cannot be reached, its schema is newer than this program's or older than 0.1.0, or the user may not
    /// create tables or functions.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        // The compiler cannot prove that the future of `Migrator::run` on a connection is `Send`.
        if let Err(error) = MIGRATIONS.run_direct(None, &mut session.connection, false).await {
            return Err(migration_error(&mut session.connection, error).await);
        }
        if let Err(error) = install_append_function(&mut session.connection).await {
            return Err(privilege_error(&mut session.connection, error).await);
        }
        session.close().await;
        Ok(())
    }

    /// Migrates a database that has a log; with `create`, any database.
    ///
    /// # Errors
    /// The errors of [`migrate`](Self::migrate); [`StoreError::NoLog`] for a database without a log, unless `create`.
    pub async fn prepare(&self, create: bool) -> Result<(), StoreError> {
        if create || self.has_log().await? { self.migrate().await } else { Err(StoreError::NoLog) }
    }
}

/// Returns the store's error for a failed migration.
async fn migration_error(connection: &mut PgConnection, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            privilege_error(connection, error).await
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => match is_too_old(connection).await {
            Ok(true) => StoreError::TooOld,
            Ok(false) => StoreError::Migration(error.to_string()),
            Err(error) => error.into(),
        },
        other => StoreError::Migration(other.to_string()),
    }
}

/// Returns true if the database's first migration is not this program's: versions before 0.1.0 had other migrations.
async fn is_too_old(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let first = MIGRATIONS.iter().next().map(|first| (first.version, &*first.checksum));
    let Some((version, checksum)) = first else { return Ok(false) };
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version = $1 AND checksum <> $2)")
        .bind(version)
        .bind(checksum)
        .fetch_one(connection)
        .await
}

/// Returns the store's error for a failed CREATE statement. If the user lacks the privilege, the error contains the GRANT
/// statement that helps.
async fn privilege_error(connection: &mut PgConnection, error: sqlx::Error) -> StoreError {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    if code.as_deref() != Some(INSUFFICIENT_PRIVILEGE) {
        return error.into();
    }
    let grant =
        "SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', coalesce(current_schema(), 'public'), current_user)";
    // A failed migration leaves its transaction open.
    _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
    match sqlx::query_scalar(grant).fetch_one(connection).await {
        Ok(grant) => StoreError::NoPrivilege { grant, cause: error },
        Err(_) => error.into(),
    }
}
