//! How many intents there are, by state.
//!
//! Takes: nothing. Gives: sums that the database keeps (migration 16), and what is due. Does not: read intents that are
//! over or not due, of which there may be millions.

use super::{Store, StoreError, rows::Milliseconds};
use crate::State;
use std::{collections::BTreeMap, time::Duration};

/// How many intents there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// By state; every state is there.
    pub by_state: BTreeMap<State, u64>,
    /// Owed, not being sent, and due.
    pub due: u64,
    /// How long ago the longest waiting of those became due; zero when none is.
    pub oldest_due_age: Duration,
}

/// Intents in one state.
#[derive(sqlx::FromRow)]
struct InState {
    #[sqlx(try_from = "String")]
    state: State,
    intents: i64,
}

/// Rows that the sum may have before some of them are added together.
const MANY_ROWS: i64 = 100;

/// Rows that are added together in one statement.
const ADDED_TOGETHER: i64 = 10_000;

impl Store {
    /// Counts the intents. Its cost grows with those that are due or handed to Redis.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut by_state: BTreeMap<State, u64> = State::ALL.into_iter().map(|state| (state, 0)).collect();
        let counted = sqlx::query_as(self.sql(
            "SELECT state, sum(change)::bigint AS intents FROM schema.email_intent_counts
             GROUP BY state HAVING sum(change) <> 0",
        ));
        for InState { state, intents } in counted.fetch_all(&self.pool).await? {
            by_state.insert(state, u64::try_from(intents).unwrap_or(0));
        }
        let due: (i64, Milliseconds) = sqlx::query_as(self.sql(DUE)).fetch_one(&self.pool).await?;
        Ok(Counts { by_state, due: u64::try_from(due.0).unwrap_or(0), oldest_due_age: due.1.into() })
    }

    /// Adds rows of the sum together, where they are many; the sum stays. Several at once are harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn add_counts_together(&self) -> Result<(), StoreError> {
        let adding = sqlx::query(self.sql(ADD_TOGETHER)).bind(MANY_ROWS).bind(ADDED_TOGETHER);
        adding.execute(&self.pool).await?;
        Ok(())
    }
}

/// Each part is one that an index serves. Of those handed to Redis all are read: they are due within a minute.
const DUE: &str = "
SELECT count(*), coalesce(1000 * extract(epoch FROM clock_timestamp() - min(due_at)), 0)::bigint
FROM (
    SELECT due_at FROM schema.email_intents
    WHERE state = 'waiting' AND due_at <= (SELECT clock_timestamp())
    UNION ALL
    SELECT due_at FROM schema.email_intents
    WHERE state = 'dispatched' AND due_at <= (SELECT clock_timestamp())
) AS due";

/// A row has no key but its place, which nobody changes while it is locked.
const ADD_TOGETHER: &str = "
WITH many AS (
    SELECT ctid FROM schema.email_intent_counts
    WHERE (SELECT count(*) FROM schema.email_intent_counts) > $1
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM schema.email_intent_counts WHERE ctid = ANY(ARRAY(SELECT ctid FROM many)) RETURNING state, change
)
INSERT INTO schema.email_intent_counts (state, change)
SELECT state, sum(change) FROM taken GROUP BY state HAVING sum(change) <> 0";
