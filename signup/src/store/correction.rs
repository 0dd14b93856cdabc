//! An address that is corrected before it was verified: it was mistyped, or a mail server refused it.
//!
//! Takes: a user name whose password was compared, and the right address. Gives: the user with that address, and the
//! intent of a new mail to it; what was owed to the former one is cancelled. Does not: compare passwords, or change
//! an address that was verified.
//!
//! Where accounts are hidden, a taken address makes the user a hidden one, as at a signup (see `hiding`): its mail is
//! the notice to the owner, and nothing that whoever asked can see differs. With a free address a hidden user is one
//! like all others.

use super::{
    Store, StoreError,
    hiding::{ROUNDS, begin_alone_with},
    milliseconds,
    new_intent::{bind_intent, insert_intent, insert_link, next_intent},
    pool::Work,
    requests::{Admission, Counted, MAIL_GAP},
    users::{PLACEHOLDER_DOMAIN, User, clash},
};
use crate::{CreateError, Created, EmailAddress, Intent, Policy, Username, verification::Keys};
use uuid::Uuid;

/// The address was not corrected.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    /// The address of the user is verified, or the user is gone.
    #[error("the address of the user is verified")]
    Verified,
    /// Another user has this address, perhaps in other letter case.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The database did not answer; whether the address is corrected is unknown.
    #[error("failed to correct the address")]
    Unavailable(#[source] StoreError),
}

impl From<sqlx::Error> for CorrectionError {
    fn from(error: sqlx::Error) -> Self {
        match clash(&error) {
            Some(CreateError::EmailTaken) => Self::EmailTaken,
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl Store {
    /// The stored hash of a user's password; `None`: nobody has the name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn password_of(&self, username: &Username) -> Result<Option<String>, StoreError> {
        let statement = "SELECT hashed_password FROM schema.users WHERE username = $1";
        Ok(sqlx::query_scalar(self.sql(statement)).bind(username.as_str()).fetch_optional(&self.pool).await?)
    }

    /// Counts a mail that is about to go to a corrected address, with those that are asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn admit_mail_to(&self, email: &EmailAddress) -> Result<Admission, StoreError> {
        self.admit(Counted::Mail, email.canonical(), None).await
    }

    /// Gives a user another address and owes it a mail. With `hides` a taken address is none that shows; `user.email`
    /// of the result is what was asked for.
    ///
    /// # Errors
    ///
    /// [`CorrectionError`].
    pub async fn correct_email(
        &self,
        username: &Username,
        email: &EmailAddress,
        hides: bool,
        policy: &Policy,
        keys: &Keys,
    ) -> Result<Created, CorrectionError> {
        let mut round = 1;
        loop {
            let mut transaction = match hides {
                true => self.pool.begin_with(sqlx::AssertSqlSafe(begin_alone_with(email))).await?,
                false => self.pool.begin().await?,
            };
            let refused = match self.correct(&mut transaction, username, email, hides, policy, keys).await {
                Ok(created) => return Ok(transaction.commit().await.map(|()| created)?),
                Err(refused) => refused,
            };
            // Whoever tries again at once must not meet its locks.
            transaction.rollback().await;
            match refused {
                // A service that does not hide gave it to somebody in between.
                CorrectionError::EmailTaken if hides && round < ROUNDS => round += 1,
                refused => return Err(refused),
            }
        }
    }

    async fn correct(
        &self,
        transaction: &mut Work,
        username: &Username,
        email: &EmailAddress,
        hides: bool,
        policy: &Policy,
        keys: &Keys,
    ) -> Result<Created, CorrectionError> {
        let id = Uuid::now_v7();
        let changing = sqlx::query_as::<_, User>(self.sql(CHANGE))
            .bind(username.as_str())
            .bind(email.as_str())
            .bind(email.canonical())
            .bind(hides)
            .bind(format!("{id}@{PLACEHOLDER_DOMAIN}"));
        let user = changing.fetch_optional(&mut *transaction).await?.ok_or(CorrectionError::Verified)?;
        sqlx::query(self.sql(CANCEL)).bind(username.as_str()).execute(&mut *transaction).await?;
        sqlx::query(self.sql(PUT_BACK)).bind(username.as_str()).execute(&mut *transaction).await?;
        let owing = sqlx::query_as(self.sql(OWE))
            .bind(username.as_str())
            .bind(email.canonical())
            .bind(id)
            .bind(milliseconds(MAIL_GAP));
        let intent: Intent = bind_intent!(owing, id, policy, keys).fetch_one(&mut *transaction).await?;
        Ok(Created { user, intent })
    }
}

/// The trigger `users_void_changed_address` cancels what is owed and voids the links.
const CHANGE: &str = "
WITH asked AS MATERIALIZED (
    SELECT $4::boolean AND EXISTS (
        SELECT FROM schema.users WHERE (email_canonical = $3 OR email = $2) AND username <> $1) AS is_taken
)
UPDATE schema.users
SET email = CASE WHEN is_taken THEN $5 ELSE $2 END, email_canonical = CASE WHEN is_taken THEN $5 ELSE $3 END,
    is_hidden = is_taken
FROM asked
WHERE username = $1 AND NOT is_email_verified
RETURNING username, full_name, $2 AS email, password_changed_at, created_at";

/// Where the address is the one that there was, the trigger has nothing to do.
const CANCEL: &str = "
UPDATE schema.email_intents
SET state = 'cancelled', last_class = 'address corrected', lease_epoch = lease_epoch + 1, lease_owner = NULL,
    lease_until = NULL
WHERE username = $1 AND state IN ('waiting', 'dispatched', 'sending')";

/// Notices that were not sent because one of this user's was on its way are owed again: it is not any more.
const PUT_BACK: &str = "
UPDATE schema.email_intents AS intent
SET state = 'waiting', last_class = NULL, told_by = NULL, next_attempt_at = clock_timestamp()
FROM schema.email_intents AS cancelled
WHERE cancelled.username = $1 AND cancelled.kind = 'notice' AND cancelled.state = 'cancelled'
  AND intent.told_by = cancelled.id AND intent.state = 'cancelled'";

const OWE: &str = concat!(
    "
WITH owner AS (
    SELECT users.username, CASE WHEN is_hidden THEN 'notice' ELSE 'verification' END AS kind,
           CASE WHEN is_hidden THEN '' ELSE users.email END AS email,
           CASE WHEN is_hidden THEN $2 ELSE users.email END AS link_email,
           greatest(clock_timestamp(), last.sent_at + $4::bigint * interval '1 millisecond') AS run_at,
           last.generation, last.locale
    FROM schema.users LEFT JOIN LATERAL (
        SELECT max(generation) AS generation, (array_agg(locale ORDER BY created_at DESC))[1] AS locale,
               max(sent_at) FILTER (WHERE intent.email = users.email) AS sent_at
        FROM schema.email_intents AS intent WHERE intent.username = users.username
    ) AS last ON true
    WHERE users.username = $1
), new_intent AS (
    ",
    insert_intent!(),
    "
    SELECT $3, kind, username, email, ",
    next_intent!(),
    "
    FROM owner
    RETURNING id, username, queue, max_retries, run_at, next_attempt_at, deadline, state
), new_code AS (
    ",
    insert_link!(),
    "
    SELECT $14, username, link_email, $3, $13, $12, 'infinity' FROM owner
)
SELECT id, username, queue, max_retries, run_at, next_attempt_at, deadline, $8::bigint AS timeout_ms, state
FROM new_intent"
);
