//! Intents that a person puts back or gives up.
//!
//! Takes: an intent's id. Gives: whether it was changed, or why it was not. Does not: choose intents (that is
//! `listing`), or tell Redis: what is put back waits, and the relay finds it.

use super::{Store, StoreError, milliseconds};
use std::{fmt, time::Duration};
use uuid::Uuid;

/// The class of an intent that a person gave up, and may put back.
const CLASS: &str = "cancelled by hand";

/// What became of a change by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is made; or it would be, when it was only tried.
    Made,
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why an intent is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such intent.
    Unknown,
    /// Its user is gone.
    UserDeleted,
    /// Nobody needs the mail.
    Verified,
    /// The mail would go to a former address.
    AddressChanged,
    /// The mail server took the mail.
    Sent,
    /// It is going to be sent anyway.
    Owed,
    /// A worker is sending it right now.
    Sending,
    /// It is over: refused, dead or cancelled.
    Over,
    /// The service cancelled it, for a reason that has gone since.
    Cancelled,
}

impl Refusal {
    /// In words, to follow "not put back, " or "not cancelled, ".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "there is no such intent",
            Self::UserDeleted => "the user is deleted",
            Self::Verified => "the user is verified already",
            Self::AddressChanged => "the user has another address now",
            Self::Sent => "the mail server took the mail",
            Self::Owed => "the mail is owed already",
            Self::Sending => "a worker is sending the mail right now",
            Self::Over => "nothing is owed any more",
            Self::Cancelled => "the service cancelled it; only what a person cancelled can be put back",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Store {
    /// Makes a mail owed again that was refused, given up or cancelled by hand: the same id, Message-ID and code, no
    /// attempt counted, due at once, to be given up `deadline` from now. With `dry_run` nothing is written.
    ///
    /// A worker that was given up and hears of an accepted mail only now can still record that: its lease is the last
    /// one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn retry_intent(&self, id: Uuid, deadline: Duration, dry_run: bool) -> Result<Change, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let retrying =
            sqlx::query_scalar::<_, String>(self.sql(RETRY)).bind(id).bind(milliseconds(deadline)).bind(CLASS);
        let Some(verdict) = retrying.fetch_optional(&mut transaction).await? else {
            let statement = "SELECT EXISTS (SELECT FROM schema.email_intents WHERE id = $1)";
            let is_there: bool = sqlx::query_scalar(self.sql(statement)).bind(id).fetch_one(&mut transaction).await?;
            return Ok(Change::Refused(if is_there { Refusal::UserDeleted } else { Refusal::Unknown }));
        };
        if !dry_run {
            transaction.commit().await?;
        }
        Ok(change(&verdict))
    }

    /// Gives up a mail that is owed and not being sent. With `dry_run` nothing is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn cancel_intent(&self, id: Uuid, dry_run: bool) -> Result<Change, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let cancelling = sqlx::query_scalar::<_, String>(self.sql(CANCEL)).bind(id).bind(CLASS);
        let Some(verdict) = cancelling.fetch_optional(&mut transaction).await? else {
            return Ok(Change::Refused(Refusal::Unknown));
        };
        if !dry_run {
            transaction.commit().await?;
        }
        Ok(change(&verdict))
    }
}

fn change(verdict: &str) -> Change {
    Change::Refused(match verdict {
        "made" => return Change::Made,
        "sent" => Refusal::Sent,
        "owed" => Refusal::Owed,
        "sending" => Refusal::Sending,
        "verified" => Refusal::Verified,
        "address changed" => Refusal::AddressChanged,
        "cancelled" => Refusal::Cancelled,
        _ => Refusal::Over,
    })
}

/// The lock on the user waits for a change of the address under way, which would not see the intent that is put back.
/// The time of the link begins anew when the mail is accepted.
const RETRY: &str = "
WITH found AS (
    SELECT intent.id, CASE
               WHEN intent.state = 'sent' THEN 'sent'
               WHEN intent.state IN ('waiting', 'dispatched', 'sending') THEN 'owed'
               WHEN users.is_email_verified THEN 'verified'
               WHEN users.email <> intent.email AND intent.kind <> 'notice' THEN 'address changed'
               WHEN intent.state = 'cancelled' AND intent.last_class IS DISTINCT FROM $3 THEN 'cancelled'
               ELSE 'made'
           END AS verdict
    FROM schema.users JOIN schema.email_intents AS intent ON intent.username = users.username
    WHERE intent.id = $1
    FOR KEY SHARE OF users FOR UPDATE OF intent
), put_back AS (
    UPDATE schema.email_intents AS intent
    SET state = 'waiting', attempts = 0, failures = 0, crash_count = 0, next_attempt_at = NULL,
        deadline = clock_timestamp() + $2::bigint * interval '1 millisecond'
    FROM found WHERE intent.id = found.id AND found.verdict = 'made'
    RETURNING intent.id
), link AS (
    UPDATE schema.verify_emails AS code SET expired_at = 'infinity'
    FROM put_back WHERE code.intent_id = put_back.id
)
SELECT verdict FROM found";

const CANCEL: &str = "
WITH found AS (
    SELECT id, CASE
               WHEN state = 'sent' THEN 'sent'
               WHEN state = 'sending' THEN 'sending'
               WHEN state NOT IN ('waiting', 'dispatched') THEN 'over'
               ELSE 'made'
           END AS verdict
    FROM schema.email_intents WHERE id = $1
    FOR UPDATE
), given_up AS (
    UPDATE schema.email_intents AS intent SET state = 'cancelled', last_class = $2, lease_epoch = lease_epoch + 1
    FROM found WHERE intent.id = found.id AND found.verdict = 'made'
)
SELECT verdict FROM found";
