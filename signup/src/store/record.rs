//! What came of an attempt.
//!
//! Takes: the intent's id and the epoch of the lease. Gives: the row's new state, or [`RecordError::Stale`] when
//! another lease was given since (I10). Does not: count attempts (the lease did) or choose how long to wait.

mod together;

pub(crate) use together::SentRequest;

use super::{Store, StoreError, milliseconds};
use crate::State;
use std::time::Duration;
use uuid::Uuid;

/// What a failed attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOutcome {
    /// Owed still; to be tried again.
    Again,
    /// The retries are used up.
    Dead,
}

/// A result was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The lease is not this worker's any more: somebody else decides about the intent.
    #[error("the lease on the intent is lost")]
    Stale,
    /// The database did not answer; whether the result is recorded is unknown.
    #[error("failed to record the result of an attempt")]
    Unavailable(#[source] StoreError),
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Store {
    /// Records that the mail server accepted the mail, to be called only after the 250 to the final dot (I5); starts
    /// the clock of the link, the first time.
    ///
    /// A lease that expired meanwhile does not matter as long as nobody got the next one: the mail is out, and saying
    /// so spares the user a second copy. That holds, too, when the sweeper took the worker for dead and gave the intent
    /// up. It ends the row of refusals, because the server accepts something. Repeating the call is harmless. Several
    /// that come at once are recorded by one statement (see `together`).
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub async fn record_sent(&self, id: Uuid, epoch: i64, reply: &str) -> Result<(), RecordError> {
        self.record_sent_with_others(id, epoch, reply, Duration::ZERO).await
    }

    /// The same for a caller who has time: others are waited for up to `max_wait`, but for no longer than 20 ms, so
    /// that more are recorded by one statement. One who has none shows that leases that wait have none either.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub async fn record_sent_with_others(
        &self,
        id: Uuid,
        epoch: i64,
        reply: &str,
        max_wait: Duration,
    ) -> Result<(), RecordError> {
        if max_wait.is_zero() {
            self.leases.hurry(self);
        }
        let request = SentRequest { id, epoch, reply: kept(reply) };
        let _alone = match self.sent.together(self, &request, max_wait).await {
            Ok(()) => return Ok(()),
            Err(alone) => alone,
        };
        let recording = sqlx::query_scalar::<_, Uuid>(self.sql(SENT)).bind(id).bind(epoch).bind(request.reply);
        let done = recording.fetch_optional(self.pool.successive()).await?;
        if done == Some(id) { Ok(()) } else { Err(RecordError::Stale) }
    }

    /// Records an attempt that failed and may be tried again `after` a while. A `counted` failure uses up a retry;
    /// trouble of the provider's making is not counted. After the classes `unknown` and `internal` a copy may be out.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub async fn record_retry(
        &self,
        id: Uuid,
        epoch: i64,
        class: &str,
        reply: &str,
        counted: bool,
        after: Duration,
    ) -> Result<RetryOutcome, RecordError> {
        let state = sqlx::query_scalar::<_, String>(self.sql(
            "UPDATE schema.email_intents
             SET state = CASE WHEN failures + $5::integer > max_retries THEN 'dead' ELSE 'dispatched' END,
                 failures = failures + $5::integer, in_doubt = in_doubt OR $3 IN ('unknown', 'internal'),
                 last_class = $3, last_reply = $4,
                 next_attempt_at = clock_timestamp() + $6::bigint * interval '1 millisecond',
                 lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_epoch = $2 AND state = 'sending'
             RETURNING state",
        ))
        .bind(id)
        .bind(epoch)
        .bind(class)
        .bind(kept(reply))
        .bind(i32::from(counted))
        .bind(milliseconds(after))
        .fetch_optional(&self.pool)
        .await?;
        match state.as_deref() {
            Some("dead") => Ok(RetryOutcome::Dead),
            Some(_) => Ok(RetryOutcome::Again),
            None => Err(RecordError::Stale),
        }
    }

    /// The state of an intent, when the result of this very lease is recorded already: a statement whose answer was
    /// not awaited may have been carried out late. `None`: it is not, or another lease was given since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn recorded(&self, id: Uuid, epoch: i64, class: &str, reply: &str) -> Result<Option<State>, StoreError> {
        let state: Option<String> = sqlx::query_scalar(self.sql(
            "SELECT state FROM schema.email_intents
             WHERE id = $1 AND lease_epoch = $2 AND state <> 'sending' AND last_class = $3 AND last_reply = $4",
        ))
        .bind(id)
        .bind(epoch)
        .bind(class)
        .bind(kept(reply))
        .fetch_optional(&self.pool)
        .await?;
        Ok(state.and_then(|state| state.parse().ok()))
    }

    /// Gives a lease back before the dialogue started (the worker is drained): the attempt is not counted.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub async fn record_release(&self, id: Uuid, epoch: i64) -> Result<(), RecordError> {
        let done = sqlx::query(self.sql(
            "UPDATE schema.email_intents
             SET state = 'dispatched', attempts = attempts - 1, lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_epoch = $2 AND state = 'sending'",
        ))
        .bind(id)
        .bind(epoch)
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(RecordError::Stale) }
    }
}

/// What a mail that was accepted changes: `$which` are the intents that it is recorded of, `$reply` the server's words.
macro_rules! sent {
    ($reply:literal, $which:literal) => {
        concat!(
            "sent AS (
                 UPDATE schema.email_intents AS intent
                 SET state = 'sent', sent_at = coalesce(sent_at, clock_timestamp()), last_class = 'accepted',
                     lease_owner = NULL, lease_until = NULL, last_reply = ",
            $reply,
            $which,
            " AND intent.state IN ('waiting', 'dispatched', 'sending', 'dead', 'sent')
                 RETURNING intent.id, intent.link_ttl
             ), accepts AS (
                 DELETE FROM schema.refusals
             ), started AS (
                 UPDATE schema.verify_emails AS code SET expired_at = clock_timestamp() + sent.link_ttl
                 FROM sent WHERE code.intent_id = sent.id AND code.expired_at = 'infinity'
             )
             SELECT id FROM sent"
        )
    };
}
pub(super) use sent;

const SENT: &str = concat!("WITH ", sent!("$3", " WHERE intent.id = $1 AND intent.lease_epoch = $2"));

/// What is kept of a mail server's reply: no NUL, which PostgreSQL cannot hold, and at most 1000 letters.
pub(super) fn kept(reply: &str) -> String {
    reply.chars().filter(|&letter| letter != '\0').take(1000).collect()
}
