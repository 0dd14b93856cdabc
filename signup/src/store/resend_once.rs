//! A request for another mail under a key of its client's, which is admitted once however often it is sent.
//!
//! Takes: what [`Store::ask_for_mail`] takes, and the key. Gives: whether it was admitted now, or which request was
//! admitted under the key within the last day, or the shorter time that the key is known for. Does not: keep a request
//! that came too early; it may be sent again under its key. Nor does it look whether anybody has the address.

use super::{
    Once, Store, StoreError, milliseconds,
    once::{FIRST, KNOWN_FOR, Keyed, is_refused},
    pool::Work,
    requests::{Admission, Counted},
};
use crate::EmailAddress;

/// Separates these locks from those of signups: one key may be used for both.
const LOCK_PURPOSE: &[u8] = b"resend idempotency key lock v1";

/// What became of a request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedOnce {
    /// None was admitted under the key before.
    Now(Admission),
    /// One was admitted before.
    Before(Keyed),
    /// The same key is in another transaction right now.
    Running,
}

/// Why a request under a key has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The database did not answer, and nothing was counted.
    #[error("failed to ask for a mail")]
    Unavailable(#[source] StoreError),
    /// The COMMIT was sent, and its answer never came. The same request again tells.
    #[error("whether the mail was asked for is unknown")]
    OutcomeUnknown(#[source] StoreError),
}

impl Store {
    /// Asks for another mail as [`ask_for_mail`](Self::ask_for_mail) does, once under a key.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub async fn ask_for_mail_once(&self, email: &EmailAddress, once: &Once) -> Result<AskedOnce, AskError> {
        let mut transaction = self.pool.begin_with(FIRST).await.map_err(refused)?;
        let asked = self.ask_in(&mut transaction, email.canonical(), once).await;
        if !matches!(asked, Ok(AskedOnce::Now(Admission::Admitted))) {
            // Whoever sends it again at once must find the key free.
            transaction.rollback().await;
            return asked.map_err(refused);
        }
        match transaction.commit().await {
            Err(error) if !is_refused(&error) => Err(AskError::OutcomeUnknown(error.into())),
            Err(error) => Err(refused(error)),
            Ok(()) => asked.map_err(refused),
        }
    }

    async fn ask_in(&self, transaction: &mut Work, canonical: &str, once: &Once) -> Result<AskedOnce, sqlx::Error> {
        if !once.lock(LOCK_PURPOSE, transaction).await? {
            return Ok(AskedOnce::Running);
        }
        let forgotten_earlier = KNOWN_FOR.saturating_sub(once.known_for);
        let before =
            sqlx::query_as(self.sql(ADMITTED_BEFORE)).bind(&once.key[..]).bind(milliseconds(forgotten_earlier));
        if let Some(before) = before.fetch_optional(&mut *transaction).await? {
            return Ok(AskedOnce::Before(before));
        }
        let admission = self.admit_in(transaction, Counted::Mail, canonical, Some(canonical)).await?;
        if admission == Admission::Admitted {
            sqlx::query(self.sql(KEEP))
                .bind(&once.key[..])
                .bind(&once.fingerprint[..])
                .bind(&once.key_id)
                .execute(transaction)
                .await?;
        }
        Ok(AskedOnce::Now(admission))
    }
}

fn refused(error: sqlx::Error) -> AskError {
    AskError::Unavailable(StoreError::Database(error))
}

const ADMITTED_BEFORE: &str = "
SELECT fingerprint, key_id FROM schema.resend_keys
WHERE key = $1 AND expires_at > clock_timestamp() + $2::bigint * interval '1 millisecond'";

/// A row that expired and is not swept yet, or is too old for this request, is taken over.
const KEEP: &str = "
INSERT INTO schema.resend_keys (key, fingerprint, key_id) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE
SET fingerprint = excluded.fingerprint, key_id = excluded.key_id, expires_at = excluded.expires_at";
