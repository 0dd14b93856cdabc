//! Committed intents on their way to Redis.
//!
//! Takes: how many, and how far ahead. Gives: a [`Claim`] on rows that no other relay sees meanwhile. Does not: talk to
//! Redis; the caller does, between claiming and marking, and no connection is held while it waits. A crash between the
//! two leaves the rows waiting; they are free again a few seconds later.

use super::{Store, StoreError, milliseconds};
use crate::Intent;
use std::time::Duration;
use uuid::Uuid;

/// Waiting intents that other relays leave alone until the claim ends. Dropped, it ends in the background.
#[derive(Debug)]
pub struct Claim {
    store: Store,
    intents: Vec<Intent>,
    is_marked: bool,
}

/// A relay that stops between claiming and marking (a paused process, a lost machine) loses its claim after this time.
const CLAIM: Duration = Duration::from_secs(5);

impl Store {
    /// Claims up to `limit` waiting intents that are due within `horizon`, the earliest first. Rows claimed by another
    /// relay are skipped. A claim that is not marked within 5 s is lost: its rows are free again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn claim_waiting(&self, limit: u32, horizon: Duration) -> Result<Claim, StoreError> {
        let mut intents: Vec<Intent> = sqlx::query_as(self.sql(CLAIM_WAITING))
            .bind(i64::from(limit))
            .bind(milliseconds(horizon))
            .bind(milliseconds(CLAIM))
            .fetch_all(&self.pool)
            .await?;
        intents.sort_by_key(Intent::due_at);
        Ok(Claim { store: self.clone(), intents, is_marked: false })
    }
}

impl Claim {
    /// The claimed intents.
    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    /// Marks them as handed to the Redis of that incarnation, and ends the claim. What somebody leased or marked
    /// meanwhile is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; the intents are then waiting still.
    pub async fn dispatched(mut self, incarnation: &str) -> Result<(), StoreError> {
        sqlx::query(self.store.sql(
            "UPDATE schema.email_intents
             SET state = 'dispatched', dispatched_at = clock_timestamp(), redis_epoch = $2, claimed_until = NULL
             WHERE id = ANY($1) AND state = 'waiting'",
        ))
        .bind(self.ids())
        .bind(incarnation)
        .execute(&self.store.pool)
        .await?;
        self.is_marked = true;
        Ok(())
    }

    fn ids(&self) -> Vec<Uuid> {
        self.intents.iter().map(|intent| intent.id).collect()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_marked || self.intents.is_empty() {
            return;
        }
        // Without a runtime the process is ending, and the claim with it, 5 s later.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, ids) = (self.store.clone(), self.ids());
            runtime.spawn(async move {
                drop(sqlx::query(store.sql(GIVE_BACK)).bind(ids).execute(&store.pool).await);
            });
        }
    }
}

const CLAIM_WAITING: &str = "
UPDATE schema.email_intents AS intent
SET claimed_until = clock_timestamp() + $3::bigint * interval '1 millisecond'
FROM (
    SELECT id FROM schema.email_intents
    WHERE state = 'waiting' AND due_at <= (SELECT clock_timestamp() + $2::bigint * interval '1 millisecond')
      AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) AS free
WHERE intent.id = free.id
RETURNING intent.id, username, queue, max_retries, run_at, next_attempt_at, deadline,
          (extract(epoch FROM timeout) * 1000)::bigint AS timeout_ms, state";

const GIVE_BACK: &str = "UPDATE schema.email_intents SET claimed_until = NULL WHERE id = ANY($1) AND state = 'waiting'";
