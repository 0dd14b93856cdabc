//! How often something was asked for, by name or by address.
//!
//! Takes: what is counted, and whose name or address it is. Gives: whether it may be done once more, or when. Does not:
//! ask whether there is such a user: a name or an address that nobody has is counted in the same way, with the same
//! writes, so that neither an answer nor its time tells.

use super::{Store, StoreError, milliseconds, pool::Work, rows::Milliseconds};
use sha2::{Digest as _, Sha256};
use sqlx::PgExecutor;
use std::time::Duration;

/// Time between two mails that are asked for to one address.
pub(super) const MAIL_GAP: Duration = Duration::from_secs(60);

/// Rows forgotten in one statement.
const FORGET_LIMIT: i64 = 1_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Digits typed for a user name.
    Digits,
    /// Passwords given with a user name to correct its address.
    Correction,
    /// Mails that people asked for to an address.
    Mail,
}

impl Counted {
    /// The key of the row.
    pub(super) fn subject(self, whose: &str) -> [u8; 32] {
        let purpose: &[u8] = match self {
            Self::Digits => b"signup digits of v1",
            Self::Correction => b"signup correction of v1",
            Self::Mail => b"signup mail to v1",
        };
        Sha256::new().chain_update(purpose).chain_update([0]).chain_update(whose).finalize().into()
    }

    /// Time between two of them.
    fn gap(self) -> Duration {
        if self == Self::Mail { MAIL_GAP } else { Duration::ZERO }
    }
}

/// Whether something may be done once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, and is counted.
    Admitted,
    /// Not before so long.
    After(Duration),
}

impl Store {
    /// Counts a password that is given with a user name to correct its address: 5 an hour and 20 a day are admitted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn admit_correction(&self, username: &str) -> Result<Admission, StoreError> {
        self.admit(Counted::Correction, username, None).await
    }

    /// Counts one and admits it, or says when to come again: after the gap, 5 an hour, 20 a day. `resend_to` is kept
    /// until it is settled.
    pub(super) async fn admit(
        &self,
        counted: Counted,
        whose: &str,
        resend_to: Option<&str>,
    ) -> Result<Admission, StoreError> {
        let subject = counted.subject(whose);
        if self.count(&self.pool, counted, &subject, resend_to).await? {
            return Ok(Admission::Admitted);
        }
        Ok(self.wait(&self.pool, counted, &subject).await?)
    }

    /// The same in an open transaction, where it counts once that is committed.
    pub(super) async fn admit_in(
        &self,
        transaction: &mut Work,
        counted: Counted,
        whose: &str,
        resend_to: Option<&str>,
    ) -> Result<Admission, sqlx::Error> {
        let subject = counted.subject(whose);
        if self.count(&mut *transaction, counted, &subject, resend_to).await? {
            return Ok(Admission::Admitted);
        }
        self.wait(transaction, counted, &subject).await
    }

    /// Whether one more is admitted, which is counted then.
    async fn count(
        &self,
        on: impl PgExecutor<'_>,
        counted: Counted,
        subject: &[u8; 32],
        resend_to: Option<&str>,
    ) -> Result<bool, sqlx::Error> {
        let counting = sqlx::query(self.sql(COUNT)).bind(&subject[..]).bind(milliseconds(counted.gap()));
        Ok(counting.bind(resend_to).execute(on).await?.rows_affected() == 1)
    }

    /// When the next one is.
    async fn wait(
        &self,
        on: impl PgExecutor<'_>,
        counted: Counted,
        subject: &[u8; 32],
    ) -> Result<Admission, sqlx::Error> {
        let wait = sqlx::query_scalar(self.sql(WAIT)).bind(&subject[..]).bind(milliseconds(counted.gap()));
        let wait: Option<Milliseconds> = wait.fetch_optional(on).await?;
        Ok(Admission::After(wait.map(Duration::from).unwrap_or_default()))
    }

    /// Forgets what no limit needs any more: rows whose last request is 30 days old. Gives their number, which is
    /// bounded for each call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_requests(&self) -> Result<u64, StoreError> {
        Ok(sqlx::query(self.sql(FORGET)).bind(FORGET_LIMIT).execute(&self.pool).await?.rows_affected())
    }
}

/// When the next one is admitted. Where there were fewer than five or twenty, the subscript is outside the array and
/// gives NULL, which `greatest` leaves out.
macro_rules! free_at {
    () => {
        "greatest(known.made_at[cardinality(known.made_at)] + $2::bigint * interval '1 millisecond',
                  known.made_at[cardinality(known.made_at) - 4] + interval '1 hour',
                  known.made_at[cardinality(known.made_at) - 19] + interval '1 day')"
    };
}

/// Of several at once the row's lock lets one after the other look.
const COUNT: &str = concat!(
    "
INSERT INTO schema.email_requests AS known (subject, made_at, resend_to)
VALUES ($1, ARRAY[clock_timestamp()], $3::varchar)
ON CONFLICT (subject) DO UPDATE
SET made_at = known.made_at[greatest(1, cardinality(known.made_at) - 18):] || clock_timestamp(),
    resend_to = excluded.resend_to
WHERE ",
    free_at!(),
    " <= clock_timestamp()"
);

const WAIT: &str = concat!(
    "SELECT ceil(1000 * extract(epoch FROM ",
    free_at!(),
    " - clock_timestamp()))::bigint FROM schema.email_requests AS known WHERE subject = $1"
);

const FORGET: &str = "
DELETE FROM schema.email_requests WHERE subject IN (
    SELECT subject FROM schema.email_requests
    WHERE made_at[cardinality(made_at)] < (SELECT clock_timestamp() - interval '30 days')
    LIMIT $1
    FOR UPDATE SKIP LOCKED)";
