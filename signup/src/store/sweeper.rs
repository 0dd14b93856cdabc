//! What nobody finished: expired leases, tasks that Redis lost, mails that are too late.
//!
//! Gives: how many rows were put right. Does not: talk to Redis; what is overdue
//! is handed to the caller, which makes sure that Redis knows.
//!
//! `clock_timestamp()` moves during a statement, so PostgreSQL would compare it with every row of an index; as a
//! subquery it is read once and bounds the scan. Statements that change many rows skip locked ones: they wait for
//! nobody, least of all for each other in a circle.

use super::{Store, StoreError};
use crate::Intent;
use uuid::Uuid;

impl Store {
    /// Makes intents whose worker vanished owed again: each counts as a failure, the third as a reason to wait an hour,
    /// so that a mail which kills its worker cannot keep the fleet down. Gives their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn expire_leases(&self) -> Result<u64, StoreError> {
        Ok(sqlx::query(self.sql(EXPIRE_LEASES)).bind(None::<Uuid>).execute(&self.pool).await?.rows_affected())
    }

    /// The same for all leases of `owner`, whose process is known to have ended, without waiting until they expire.
    /// Where that is wrong, its mail can go out twice, but what it records is refused once another has the next lease.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn end_leases(&self, owner: &str) -> Result<u64, StoreError> {
        Ok(sqlx::query(self.sql(END_LEASES)).bind(owner).execute(&self.pool).await?.rows_affected())
    }

    /// Makes everything waiting again that was handed to a Redis of another incarnation: that one lost its data. Rows
    /// that are locked are left to [`overdue`](Self::overdue). Gives the number of intents.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn reset_incarnation(&self, current: &str) -> Result<u64, StoreError> {
        let done = sqlx::query(self.sql(
            "UPDATE schema.email_intents AS intent SET state = 'waiting'
             FROM (
                 SELECT id FROM schema.email_intents WHERE state = 'dispatched' AND redis_epoch IS DISTINCT FROM $1
                 FOR UPDATE SKIP LOCKED
             ) AS lost
             WHERE intent.id = lost.id",
        ))
        .bind(current)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Takes up to `limit` dispatched intents that nobody started within 10 s of their due time, the longest neglected
    /// first. They are given once per 10 s, to one caller.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn overdue(&self, limit: u32) -> Result<Vec<Intent>, StoreError> {
        let overdue = sqlx::query_as(self.sql(
            "UPDATE schema.email_intents AS intent SET dispatched_at = clock_timestamp()
             FROM (
                 SELECT id FROM schema.email_intents
                 WHERE state = 'dispatched'
                   AND greatest(due_at, dispatched_at) < (SELECT clock_timestamp() - interval '10 seconds')
                 ORDER BY greatest(due_at, dispatched_at)
                 LIMIT $1
                 FOR UPDATE SKIP LOCKED
             ) AS late
             WHERE intent.id = late.id
             RETURNING intent.id, username, queue, max_retries, run_at, next_attempt_at, deadline,
                       (extract(epoch FROM timeout) * 1000)::bigint AS timeout_ms, state",
        ))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(overdue)
    }

    /// Gives up what could not be sent before its deadline, the earliest first; a mail being sent right now is left
    /// alone. Gives their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; some may be given up already.
    pub async fn bury_expired(&self) -> Result<u64, StoreError> {
        let mut buried = 0;
        loop {
            let done = sqlx::query(self.sql(BURY_EXPIRED)).bind(BURIED_TOGETHER).execute(&self.pool).await?;
            buried += done.rows_affected();
            if done.rows_affected() < BURIED_TOGETHER.unsigned_abs() {
                return Ok(buried);
            }
        }
    }
}

/// Intents given up in one statement.
const BURIED_TOGETHER: i64 = 1000;

/// PostgreSQL takes a third of those that wait for expired, and would read all of them but for order and limit, by
/// which it follows the index of deadlines up to now.
pub(super) const BURY_EXPIRED: &str = "
UPDATE schema.email_intents AS intent SET state = 'dead', last_class = coalesce(last_class, 'deadline')
FROM (
    SELECT id FROM schema.email_intents
    WHERE state IN ('waiting', 'dispatched') AND deadline <= (SELECT clock_timestamp())
    ORDER BY deadline
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) AS late
WHERE intent.id = late.id";

/// Ends leases as those of workers that vanished: `$which` chooses them. Rows that somebody works on are left for the
/// next time.
macro_rules! end_leases {
    ($which:literal) => {
        concat!(
            "
UPDATE schema.email_intents AS intent
SET state = CASE WHEN failures + 1 > max_retries THEN 'dead' ELSE 'waiting' END,
    failures = failures + 1, crash_count = crash_count + 1, in_doubt = true,
    last_class = 'worker lost', last_reply = NULL,
    next_attempt_at = clock_timestamp() + CASE WHEN crash_count + 1 >= 3 THEN interval '1 hour' ELSE interval '0' END,
    lease_owner = NULL, lease_until = NULL
FROM (
    SELECT id FROM schema.email_intents WHERE state = 'sending' AND ",
            $which,
            " FOR UPDATE SKIP LOCKED
) AS lapsed
WHERE intent.id = lapsed.id"
        )
    };
}

/// Ends expired leases: all of them, or that of the intent `$1`.
pub(super) const EXPIRE_LEASES: &str =
    end_leases!("lease_until <= (SELECT clock_timestamp()) AND ($1::uuid IS NULL OR id = $1)");

/// Ends the leases of the owner `$1`.
const END_LEASES: &str = end_leases!("lease_owner = $1");
