//! Mails that the mail server refused for good, as long as that is news about their mailboxes.
//!
//! Takes: a permanent verdict under a lease. Gives: whether it stands, or was taken back with those before it. Does
//! not: know replies; whether a verdict named the mailbox by a code is told by the caller.
//!
//! A server that refuses recipients of three domains in a row without a code for the mailbox, or of ten with one, and
//! accepts nothing in between, is broken itself. Then these mails are owed again, until it accepts one: that empties
//! the row ([`Store::record_sent`]), and verdicts stand again. One domain alone proves nothing: a site whose users
//! share one never gets here.

use super::{Store, milliseconds, pool::Work, record::RecordError};
use std::time::Duration;
use uuid::Uuid;

/// Domains in a row that make it the server's state, without a code for the mailbox and with one.
const DOMAINS: (i64, i64) = (3, 10);

/// Refusals that are remembered; more of them without an accepted mail in between tell nothing new.
const MAX_REMEMBERED: i64 = 1000;

/// Names the row of refusals among PostgreSQL's advisory locks: two workers that refuse at once must see each other.
const LOCK: i64 = 0x7265_6675_7361_6c73;

/// What a permanent verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A code of the mail server's that names the mailbox (RFC 3463: 5.1.1 and the like).
    Code,
    /// Its words alone.
    Words,
    /// No verdict of the mail server: this side cannot write to the address, which says nothing of that server.
    Ours,
}

/// What a permanent verdict led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalOutcome {
    /// It stands: the mail is given up.
    Refused,
    /// The server refuses everybody: the mail is owed, and so are `others` that were given up before it.
    TakenBack {
        /// Mails given up earlier, by any worker.
        others: u64,
    },
}

impl Store {
    /// Records that the mail server refused the mail for good. `class` is a word for metrics, `reply` the server's own,
    /// `by_code` says that its code named the mailbox. A mail that is taken back is tried again `after` a while, unless
    /// its address changed, its user is verified or gone, or it is too late. Repeating the call is harmless.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub async fn record_refused(
        &self,
        id: Uuid,
        epoch: i64,
        class: &str,
        reply: &str,
        ground: Ground,
        after: Duration,
    ) -> Result<RefusalOutcome, RecordError> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        if !self.refuse(&mut transaction, id, epoch, class, reply).await? {
            return Err(RecordError::Stale);
        }
        let mut owed = Vec::new();
        if ground != Ground::Ours {
            self.remember(&mut transaction, id, ground == Ground::Code).await?;
            if self.refuses_everybody(&mut transaction).await? {
                owed = self.take_back(&mut transaction, id, after).await?;
            }
        }
        transaction.commit().await?;
        let others = owed.iter().filter(|other| **other != id).count() as u64;
        Ok(if owed.contains(&id) { RefusalOutcome::TakenBack { others } } else { RefusalOutcome::Refused })
    }
}

async fn lock(transaction: &mut Work) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    Ok(())
}

/// Steps of [`Store::record_refused`], in its transaction.
impl Store {
    /// `false`: the lease is somebody else's. An earlier call of the same lease may have come further than its answer.
    async fn refuse(
        &self,
        transaction: &mut Work,
        id: Uuid,
        epoch: i64,
        class: &str,
        reply: &str,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(self.sql(
            "UPDATE schema.email_intents
             SET state = 'refused', last_class = $3, last_reply = $4, lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_epoch = $2
               AND (state IN ('sending', 'refused') OR state IN ('waiting', 'dispatched') AND last_class = $3)",
        ))
        .bind(id)
        .bind(epoch)
        .bind(class)
        .bind(super::record::kept(reply))
        .execute(&mut *transaction)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn remember(&self, transaction: &mut Work, id: Uuid, by_code: bool) -> Result<(), sqlx::Error> {
        sqlx::query(self.sql(
            "INSERT INTO schema.refusals (intent_id, by_code)
             SELECT $1, $2 WHERE (SELECT count(*) FROM schema.refusals) < $3
             ON CONFLICT (intent_id) DO UPDATE SET by_code = EXCLUDED.by_code",
        ))
        .bind(id)
        .bind(by_code)
        .bind(MAX_REMEMBERED)
        .execute(&mut *transaction)
        .await?;
        Ok(())
    }

    async fn refuses_everybody(&self, transaction: &mut Work) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(self.sql(
            "SELECT count(DISTINCT domain) FILTER (WHERE NOT by_code) >= $1 OR count(DISTINCT domain) >= $2
             FROM (
                 SELECT by_code, lower(substring(email FROM '[^@]+$')) AS domain
                 FROM schema.refusals JOIN schema.email_intents ON email_intents.id = refusals.intent_id
                 WHERE email <> ''
             ) AS refused",
        ))
        .bind(DOMAINS.0)
        .bind(DOMAINS.1)
        .fetch_one(&mut *transaction)
        .await
    }

    /// Gives the intents that are owed again.
    async fn take_back(&self, transaction: &mut Work, id: Uuid, after: Duration) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar(self.sql(
            "UPDATE schema.email_intents AS intent
             SET state = 'waiting', next_attempt_at = clock_timestamp() + $2::bigint * interval '1 millisecond'
             FROM schema.users
             WHERE (intent.id = $1 OR intent.id IN (SELECT intent_id FROM schema.refusals)) AND intent.state = 'refused'
               AND users.username = intent.username AND (users.email = intent.email OR intent.kind = 'notice')
               AND NOT users.is_email_verified
               AND intent.deadline > clock_timestamp()
               AND NOT EXISTS (
                   SELECT FROM schema.email_intents AS newer
                   WHERE newer.username = intent.username AND newer.kind = intent.kind
                     AND newer.generation > intent.generation
               )
             RETURNING intent.id",
        ))
        .bind(id)
        .bind(milliseconds(after))
        .fetch_all(&mut *transaction)
        .await
    }
}
