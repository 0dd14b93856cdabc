//! Rows as the database gives them, and the domain's types made of them.
//!
//! Takes: rows with the columns named below. Gives: [`Intent`]. Does not: run statements.

use crate::{Intent, State};
use sqlx::{Row as _, postgres::PgRow};
use std::time::Duration;

/// Reads an [`Intent`] from the columns `id, username, queue, max_retries, run_at, next_attempt_at, deadline, timeout_ms,
/// state` (`timeout_ms` a bigint).
pub(super) fn intent(row: &PgRow) -> Result<Intent, sqlx::Error> {
    Ok(Intent {
        id: row.try_get("id")?,
        username: row.try_get::<Option<String>, _>("username")?.unwrap_or_default(),
        queue: row.try_get("queue")?,
        max_retries: count(row, "max_retries")?,
        run_at: timestamp(row, "run_at")?,
        next_attempt_at: optional_timestamp(row, "next_attempt_at")?,
        deadline: timestamp(row, "deadline")?,
        timeout: duration(row, "timeout_ms")?,
        state: state(row)?,
    })
}

/// Reads a list of intents.
pub(super) fn intents(rows: &[PgRow]) -> Result<Vec<Intent>, sqlx::Error> {
    rows.iter().map(intent).collect()
}

pub(super) fn state(row: &PgRow) -> Result<State, sqlx::Error> {
    let text: &str = row.try_get("state")?;
    text.parse().map_err(|error| sqlx::Error::ColumnDecode { index: "state".into(), source: Box::new(error) })
}

pub(super) fn timestamp(row: &PgRow, column: &str) -> Result<jiff::Timestamp, sqlx::Error> {
    Ok(row.try_get::<jiff_sqlx::Timestamp, _>(column)?.to_jiff())
}

pub(super) fn optional_timestamp(row: &PgRow, column: &str) -> Result<Option<jiff::Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)?.map(|time| time.to_jiff()))
}

/// A counter; the schema's checks keep it from being negative.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    Ok(u32::try_from(row.try_get::<i32, _>(column)?).unwrap_or(0))
}

/// A bigint of milliseconds; what is past counts as zero.
pub(super) fn duration(row: &PgRow, column: &str) -> Result<Duration, sqlx::Error> {
    Ok(Duration::from_millis(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0)))
}
