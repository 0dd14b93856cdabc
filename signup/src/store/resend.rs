//! Another mail for somebody who lost the first one.
//!
//! Takes: an address. Gives: whether one may be asked for; later and apart from that, the intent of the mail, where a
//! user has the address and has not verified it. Does not: let whoever asks learn whether one has: the answer is the
//! same, and is given before anybody looks.
//!
//! What was asked for stands in the row that counts it, so that no crash loses it; whoever settles it first takes it
//! out. A mail that is owed still is not owed twice, and no two go to one address within a minute.

use super::{
    Store, StoreError, milliseconds,
    new_intent::{bind_intent, insert_intent, insert_link, next_intent},
    requests::{Admission, Counted, MAIL_GAP},
};
use crate::{EmailAddress, Intent, Policy, verification::Keys};
use uuid::Uuid;

/// Rows looked at in one round.
const BATCH: i64 = 100;

impl Store {
    /// Asks for another mail: one a minute, 5 an hour and 20 a day are admitted for each address.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn ask_for_mail(&self, email: &EmailAddress) -> Result<Admission, StoreError> {
        self.admit(Counted::Mail, email.canonical(), Some(email.canonical())).await
    }

    /// Settles what was asked for: the intent of another mail with the same language, due at once or a minute after
    /// the last one; `None` when nobody unverified has the address, a mail is owed, or somebody else settled it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn settle_mail_asked_for(
        &self,
        canonical: &str,
        policy: &Policy,
        keys: &Keys,
    ) -> Result<Option<Intent>, StoreError> {
        let intent = Uuid::now_v7();
        let settling = sqlx::query_as(self.sql(SETTLE))
            .bind(Counted::Mail.subject(canonical).to_vec())
            .bind(canonical)
            .bind(intent)
            .bind(milliseconds(MAIL_GAP));
        let settling = bind_intent!(settling, intent, policy, keys);
        Ok(settling.fetch_optional(&self.pool).await?)
    }

    /// Addresses, canonical, for which another mail was asked and not settled: their process ended too early.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn mails_asked_for(&self) -> Result<Vec<String>, StoreError> {
        let statement = "SELECT resend_to FROM schema.email_requests WHERE resend_to IS NOT NULL LIMIT $1";
        Ok(sqlx::query_scalar(self.sql(statement)).bind(BATCH).fetch_all(&self.pool).await?)
    }
}

/// The lock on the user waits for a change of the address under way, which would not see the new intent.
const SETTLE: &str = concat!(
    "
WITH asked AS (
    UPDATE schema.email_requests SET resend_to = NULL WHERE subject = $1 AND resend_to = $2::varchar RETURNING subject
), owner AS (
    SELECT users.username, users.email
    FROM asked, schema.users
    WHERE users.email_canonical = $2 AND NOT users.is_email_verified AND users.is_hidden IS NOT TRUE
      AND NOT EXISTS (
          SELECT FROM schema.email_intents AS owed
          WHERE owed.username = users.username AND owed.state IN ('waiting', 'dispatched', 'sending'))
    FOR KEY SHARE OF users
), latest AS (
    SELECT owner.username, owner.email, last.generation, last.locale,
           greatest(clock_timestamp(), last.sent_at + $4::bigint * interval '1 millisecond') AS run_at
    FROM owner LEFT JOIN LATERAL (
        SELECT max(generation) AS generation, max(sent_at) AS sent_at,
               (array_agg(locale ORDER BY generation DESC))[1] AS locale
        FROM schema.email_intents AS intent
        WHERE intent.username = owner.username AND intent.kind = 'verification'
    ) AS last ON true
), new_intent AS (
    ",
    insert_intent!(", asked_for"),
    "
    SELECT $3, 'verification', username, email, ",
    next_intent!(),
    ", true
    FROM latest
    ON CONFLICT DO NOTHING
    RETURNING id, username, email, queue, max_retries, run_at, next_attempt_at, deadline, state
), new_code AS (
    ",
    insert_link!(),
    "
    SELECT $14, username, email, id, $13, $12, 'infinity' FROM new_intent
)
SELECT id, username, queue, max_retries, run_at, next_attempt_at, deadline, $8::bigint AS timeout_ms, state
FROM new_intent"
);
