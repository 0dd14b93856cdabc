//! Intents that are over, with their links, and users who never verified: what goes after a while.
//!
//! Takes: how long each is kept, how many rows a step may have, and the pause after it. Gives: how many went. Does not:
//! take two steps at once, in whatever process: a step is one that locks the row of its chore in `signup_chores`, when
//! its time has come. That needs no session, so it passes a pooler.

use super::{Store, StoreError, deletion::Doer, milliseconds};
use std::time::Duration;

/// How a chore goes through its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows of one step at most.
    pub rows: u32,
    /// Time until the next step where there may be more.
    pub pause: Duration,
    /// Time until the next one where there is no more.
    pub interval: Duration,
}

/// What a step did; `None` of it: it was another process's turn, or nobody's yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Intents or users that are gone.
    pub removed: u64,
    /// There may be more.
    pub goes_on: bool,
}

/// How long a step may take before the next process may begin one.
const TURN: Duration = Duration::from_secs(30);

impl Store {
    /// Whether intents that are over are removed where nobody said for how long they are kept: in a database that had
    /// none when it learned of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn removes_settled_by_default(&self) -> Result<bool, StoreError> {
        let statement = "SELECT is_on_by_default FROM schema.signup_chores WHERE chore = 'retention'";
        let is_on: Option<bool> = sqlx::query_scalar(self.sql(statement)).fetch_optional(&self.pool).await?;
        Ok(is_on.unwrap_or(false))
    }

    /// Removes intents that were over `kept_for` ago, the oldest first, with their links. One whose link still works is
    /// kept. One that was not sent counts from its deadline.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remove_settled(&self, kept_for: Duration, pace: Pace) -> Result<Option<Step>, StoreError> {
        let removing = sqlx::query_scalar::<_, i64>(self.sql(REMOVE_SETTLED))
            .bind(milliseconds(kept_for))
            .bind(i64::from(pace.rows))
            .bind(milliseconds(pace.pause))
            .bind(milliseconds(pace.interval));
        let removed = removing.fetch_optional(&self.pool).await?;
        let removed = removed.map(|removed| u64::try_from(removed).unwrap_or(0));
        Ok(removed.map(|removed| Step { removed, goes_on: removed >= u64::from(pace.rows) }))
    }

    /// Looks at the next users in the order of their names, and deletes those who signed up `kept_for` ago, never
    /// verified, are owed no mail and have no link that works. Whoever another application's table refers to is kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn purge_unverified(&self, kept_for: Duration, pace: Pace) -> Result<Option<Step>, StoreError> {
        let looking = sqlx::query_as::<_, (Vec<String>, bool)>(self.sql(NEXT_UNVERIFIED))
            .bind(milliseconds(kept_for))
            .bind(i64::from(pace.rows))
            .bind(milliseconds(TURN));
        let Some((usernames, goes_on)) = looking.fetch_optional(&self.pool).await? else { return Ok(None) };
        let mut removed = 0;
        for username in usernames {
            removed += u64::from(self.purge(&username, kept_for).await?);
        }
        let pause = if goes_on { pace.pause } else { pace.interval };
        let statement = "UPDATE schema.signup_chores
             SET next_at = clock_timestamp() + $1::bigint * interval '1 millisecond' WHERE chore = 'purge'";
        sqlx::query(self.sql(statement)).bind(milliseconds(pause)).execute(&self.pool).await?;
        Ok(Some(Step { removed, goes_on }))
    }

    /// The lock comes first, so that a mail that was asked for meanwhile is seen by the statement after it.
    async fn purge(&self, username: &str, kept_for: Duration) -> Result<bool, StoreError> {
        let mut transaction = self.begin_deletion(Doer::Purge).await?;
        sqlx::query(self.sql("SELECT FROM schema.users WHERE username = $1 FOR UPDATE"))
            .bind(username)
            .execute(&mut transaction)
            .await?;
        let purging = sqlx::query(self.sql(PURGE)).bind(username).bind(milliseconds(kept_for));
        match purging.execute(&mut transaction).await {
            Ok(done) => {
                transaction.commit().await?;
                Ok(done.rows_affected() == 1)
            }
            Err(error) if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A refused mail is out nowhere, so nobody started the time of its link: it counts from the deadline.
const REMOVE_SETTLED: &str = "
WITH turn AS (
    SELECT chore FROM schema.signup_chores
    WHERE chore = 'retention' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
), old AS (
    SELECT intent.id
    FROM schema.email_intents AS intent
    WHERE EXISTS (SELECT FROM turn) AND intent.state IN ('sent', 'refused', 'dead', 'cancelled')
      AND coalesce(intent.sent_at, intent.deadline)
          < (SELECT clock_timestamp() - $1::bigint * interval '1 millisecond')
      AND NOT EXISTS (
          SELECT FROM schema.verify_emails AS code
          WHERE code.intent_id = intent.id AND code.voided_at IS NULL AND CASE
                    WHEN code.expired_at < 'infinity' OR intent.state <> 'refused' THEN code.expired_at
                    ELSE intent.deadline + intent.link_ttl
                END > clock_timestamp())
    ORDER BY coalesce(intent.sent_at, intent.deadline)
    LIMIT $2
    FOR UPDATE OF intent SKIP LOCKED
), links AS (
    DELETE FROM schema.verify_emails AS code USING old WHERE code.intent_id = old.id
), removed AS (
    DELETE FROM schema.email_intents AS intent USING old WHERE intent.id = old.id RETURNING intent.id
)
UPDATE schema.signup_chores AS chores
SET next_at = clock_timestamp() + interval '1 millisecond'
              * CASE WHEN (SELECT count(*) FROM removed) < $2 THEN $4::bigint ELSE $3::bigint END
FROM turn WHERE chores.chore = turn.chore
RETURNING (SELECT count(*) FROM removed)";

/// By name, in the order of the table's own index: users need no other index for this, which every click on a link
/// would have to keep up.
const NEXT_UNVERIFIED: &str = "
WITH turn AS (
    SELECT chore, position FROM schema.signup_chores
    WHERE chore = 'purge' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
), page AS (
    SELECT found.* FROM turn CROSS JOIN LATERAL (
        SELECT username, NOT is_email_verified AND created_at
               < (SELECT clock_timestamp() - $1::bigint * interval '1 millisecond') AS is_old
        FROM schema.users WHERE username > turn.position
        ORDER BY username LIMIT $2
    ) AS found
)
UPDATE schema.signup_chores AS chores
SET next_at = clock_timestamp() + $3::bigint * interval '1 millisecond',
    position = CASE WHEN (SELECT count(*) FROM page) < $2 THEN '' ELSE (SELECT max(username) FROM page) END
FROM turn WHERE chores.chore = turn.chore
RETURNING coalesce((SELECT array_agg(username::text) FROM page WHERE is_old), '{}'), chores.position <> ''";

const PURGE: &str = "
DELETE FROM schema.users
WHERE username = $1 AND NOT is_email_verified
  AND created_at < clock_timestamp() - $2::bigint * interval '1 millisecond'
  AND NOT EXISTS (
      SELECT FROM schema.email_intents AS owed
      WHERE owed.username = users.username AND owed.state IN ('waiting', 'dispatched', 'sending'))
  AND NOT EXISTS (
      SELECT FROM schema.verify_emails AS code
      LEFT JOIN schema.email_intents AS intent ON intent.id = code.intent_id
      WHERE code.username = users.username AND code.voided_at IS NULL AND NOT code.is_used AND CASE
                WHEN code.expired_at < 'infinity' OR intent.state IS DISTINCT FROM 'refused' THEN code.expired_at
                ELSE intent.deadline + intent.link_ttl
            END > clock_timestamp())";
