//! Committed intents on their way to Redis.
//!
//! Takes: how many, and how far ahead. Gives: a [`Claim`] on rows that no other relay sees meanwhile. Does not: talk to
//! Redis; the caller does, between claiming and marking. A crash between the two leaves the rows waiting.

use super::{Store, StoreError, milliseconds, schema::Schema};
use crate::Intent;
use sqlx::{Postgres, Transaction};
use std::time::Duration;
use uuid::Uuid;

/// Waiting intents, locked by an open transaction. Dropping it gives them back unmarked.
#[derive(Debug)]
pub struct Claim {
    transaction: Transaction<'static, Postgres>,
    intents: Vec<Intent>,
    schema: Schema,
}

/// A relay that stops between claiming and marking with its connection open (a paused process, a lost machine) loses
/// its locks after this time; nobody could lease or claim its rows otherwise until TCP gives up, hours later.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'";

impl Store {
    /// Claims up to `limit` waiting intents that are due within `horizon`, the earliest first. Rows claimed by another
    /// relay are skipped. A claim that is not marked within 5 s is lost: its rows are free again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn claim_waiting(&self, limit: u32, horizon: Duration) -> Result<Claim, StoreError> {
        let mut transaction = self.pool.begin_with(BEGIN).await?;
        let intents = sqlx::query_as(self.sql(
            "SELECT id, username, queue, max_retries, run_at, next_attempt_at, deadline,
                    (extract(epoch FROM timeout) * 1000)::bigint AS timeout_ms, state
             FROM schema.email_intents
             WHERE state = 'waiting' AND due_at <= (SELECT clock_timestamp() + $2::bigint * interval '1 millisecond')
             ORDER BY due_at
             LIMIT $1
             FOR UPDATE SKIP LOCKED",
        ))
        .bind(i64::from(limit))
        .bind(milliseconds(horizon))
        .fetch_all(&mut *transaction)
        .await?;
        Ok(Claim { transaction, intents, schema: self.schema.clone() })
    }
}

impl Claim {
    /// The claimed intents.
    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    /// Marks all of them as handed to the Redis of that incarnation, and ends the claim.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; the intents are then waiting still.
    pub async fn dispatched(mut self, incarnation: &str) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = self.intents.iter().map(|intent| intent.id).collect();
        sqlx::query(self.schema.sql(
            "UPDATE schema.email_intents SET state = 'dispatched', dispatched_at = clock_timestamp(), redis_epoch = $2
             WHERE id = ANY($1) AND state = 'waiting'",
        ))
        .bind(ids)
        .bind(incarnation)
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await?;
        Ok(())
    }
}
