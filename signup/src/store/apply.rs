//! The migrations that are missing, applied in a transaction that is open.
//!
//! Takes: the transaction, whose `search_path` is the schema. Gives: all of them applied, and written down as
//! `sqlx migrate run` does. Does not: use the driver's own way, which names its statements: a pooler lends the session
//! that has them to somebody else afterwards.

use super::{ours::MIGRATIONS, pool::Work};
use sqlx::migrate::{MigrateError, Migration};
use std::time::Instant;

/// As the driver makes it (sqlx-postgres 0.9, `migrate.rs`).
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(),
    success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL
)";

/// Applies what is missing, in order. Migrations of a newer program are left as they are.
///
/// # Errors
///
/// [`MigrateError::Dirty`] and [`MigrateError::VersionMismatch`] for what somebody else left; else PostgreSQL's.
pub(super) async fn missing(transaction: &mut Work) -> Result<(), MigrateError> {
    sqlx::raw_sql(TABLE).execute(&mut *transaction).await?;
    let applied: Vec<(i64, bool, Vec<u8>)> =
        sqlx::query_as("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *transaction)
            .await?;
    if let Some((version, ..)) = applied.iter().find(|(_, success, _)| !success) {
        return Err(MigrateError::Dirty(*version));
    }
    for migration in MIGRATIONS.iter() {
        match applied.iter().find(|(version, ..)| *version == migration.version) {
            None => one(transaction, migration).await?,
            Some((version, _, checksum)) if **checksum != *migration.checksum => {
                return Err(MigrateError::VersionMismatch(*version));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn one(transaction: &mut Work, migration: &Migration) -> Result<(), MigrateError> {
    let (version, start) = (migration.version, Instant::now());
    let failed = |error| MigrateError::ExecuteMigration(error, version);
    sqlx::raw_sql(migration.sql.clone()).execute(&mut *transaction).await.map_err(failed)?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, $2, true, $3, $4)",
    )
    .bind(version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .bind(i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX))
    .execute(transaction)
    .await?;
    Ok(())
}
