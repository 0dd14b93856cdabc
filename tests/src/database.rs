//! What is stored.
//!
//! Takes: the database's URI. Gives: each user with its verification mail's intent, counts, and free SQL for faults.
//! Does not: use the service's own SQL, which is under test.

use anyhow::{Context as _, Result, ensure};
use sqlx::{
    AssertSqlSafe, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{process::Command, time::Duration};

/// A user and the intent of its mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The user.
    pub username: String,
    /// Where the mail goes.
    pub email: String,
    /// Clicked.
    pub is_verified: bool,
    /// `None`: the user has no intent, which must not happen.
    pub intent: Option<Intent>,
}

/// The intent's columns that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Without angle brackets.
    pub message_id: String,
    /// One of the seven states.
    pub state: String,
    /// When the mail was due, Unix time in nanoseconds.
    pub run_at_unix_ns: i64,
    /// When the mail server's acceptance was recorded, Unix time in nanoseconds.
    pub sent_at_unix_ns: Option<i64>,
    /// Dialogues begun.
    pub attempts: i32,
    /// Failures that count against `max_retries`.
    pub failures: i32,
    /// Workers that vanished with the mail.
    pub crash_count: i32,
    /// The policy's copy.
    pub max_retries: i32,
    /// The policy's copy.
    pub queue: String,
    /// Why the last attempt failed.
    pub last_class: Option<String>,
    /// What the mail server said last.
    pub last_reply: Option<String>,
}

/// A few connections to the pipeline's database.
#[derive(Debug, Clone)]
pub struct Database(PgPool);

impl Database {
    /// Connects at the first use.
    ///
    /// # Errors
    ///
    /// That of a URI that cannot be read.
    pub fn new(uri: &str) -> Result<Self> {
        Self::in_schema(uri, None)
    }

    /// The same, with the tables in that schema.
    pub(crate) fn in_schema(uri: &str, schema: Option<&str>) -> Result<Self> {
        let mut options: PgConnectOptions = uri.parse()?;
        if let Some(schema) = schema {
            options = options.options([("search_path", format!("\"{schema}\""))]);
        }
        let pool = PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(5));
        Ok(Self(pool.connect_lazy_with(options)))
    }

    /// All users in the order of their names.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn rows(&self) -> Result<Vec<Row>> {
        let rows = sqlx::query(
            "SELECT users.username, users.email, is_email_verified, id, message_id, state, attempts, failures,
                    crash_count, max_retries, queue, last_class, last_reply,
                    (extract(epoch FROM run_at) * 1000000)::bigint * 1000 AS run_at_unix_ns,
                    (extract(epoch FROM sent_at) * 1000000)::bigint * 1000 AS sent_at_unix_ns
             FROM users LEFT JOIN email_intents ON email_intents.username = users.username
             ORDER BY users.username",
        )
        .fetch_all(&self.0)
        .await?;
        rows.iter().map(|row| Ok(self::row(row)?)).collect()
    }

    /// Intents in a state that still owes a mail; an error while the database is down or has no schema yet.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn owed(&self) -> Result<i64> {
        let owed = "SELECT count(*) FROM email_intents WHERE state IN ('waiting', 'dispatched', 'sending')";
        Ok(sqlx::query_scalar(owed).fetch_one(&self.0).await?)
    }

    /// Runs statements of a test.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn run(&self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.0).await?;
        Ok(())
    }

    /// The one number that a query of a test gives.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.0).await?)
    }

    /// A connection of its own, for a lock that lives as long as it.
    pub(crate) async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>> {
        Ok(self.0.acquire().await?)
    }
}

/// Sets a neighbour's tables up, and gives its schema `public` as it is then.
pub(crate) fn set_up(uri: &str, statements: &str) -> Result<String> {
    run(Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", uri, "-c", statements]))?;
    dump(uri)
}

/// The schema `public` with its rows, without the word that newer versions of `pg_dump` draw for each dump.
pub(crate) fn dump(uri: &str) -> Result<String> {
    let text = run(Command::new("pg_dump").args(["--schema=public", "-d", uri]))?;
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context("the clients of PostgreSQL run; install them with `make setup`")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn row(row: &sqlx::postgres::PgRow) -> Result<Row, sqlx::Error> {
    let intent = match row.try_get::<Option<String>, _>("message_id")? {
        None => None,
        Some(message_id) => Some(Intent {
            message_id: message_id.trim_matches(['<', '>']).to_owned(),
            state: row.try_get("state")?,
            run_at_unix_ns: row.try_get("run_at_unix_ns")?,
            sent_at_unix_ns: row.try_get("sent_at_unix_ns")?,
            attempts: row.try_get("attempts")?,
            failures: row.try_get("failures")?,
            crash_count: row.try_get("crash_count")?,
            max_retries: row.try_get("max_retries")?,
            queue: row.try_get("queue")?,
            last_class: row.try_get("last_class")?,
            last_reply: row.try_get("last_reply")?,
        }),
    };
    Ok(Row {
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        is_verified: row.try_get("is_email_verified")?,
        intent,
    })
}
