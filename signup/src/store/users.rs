//! A signup: user, intent and code in one statement, which is one transaction and one round trip.
//!
//! Takes: a parsed user with its hashed password, the policy in force, the keys. Gives: the user and the intent as
//! committed. Does not: speak to Redis or SMTP.

use super::{
    Store, StoreError, milliseconds,
    new_intent::{bind_intent, insert_intent, insert_link},
};
use crate::{EmailAddress, FullName, Intent, Locale, Policy, Username, verification::Keys};
use jiff::Timestamp;
use sqlx::PgExecutor;
use std::fmt;
use uuid::Uuid;

/// A user to create.
pub struct NewUser {
    /// User name.
    pub username: Username,
    /// Full name.
    pub full_name: FullName,
    /// Where the verification mail goes.
    pub email: EmailAddress,
    /// PHC string of the password.
    pub hashed_password: String,
    /// Language of the mails, where one was given.
    pub locale: Option<Locale>,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A user as clients see it.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct User {
    /// User name.
    pub username: String,
    /// Full name.
    pub full_name: String,
    /// Address as the user wrote it.
    pub email: String,
    /// `0001-01-01T00:00:00Z` when never changed.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub password_changed_at: Timestamp,
    /// When the transaction that created it began.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub created_at: Timestamp,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a signup committed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Created {
    /// The user.
    #[sqlx(flatten)]
    pub user: User,
    /// The mail owed. Its times are those of the insert; a slow commit moved the row's by its own duration.
    #[sqlx(flatten)]
    pub intent: Intent,
}

/// The user was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another user has this name.
    #[error("the username is taken")]
    UsernameTaken,
    /// Another user has this address, perhaps in other letter case.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The same key is in another transaction right now.
    #[error("a signup under this key is under way")]
    KeyRunning,
    /// A user was made under this key, or another request was answered.
    #[error("the key is used")]
    KeyUsed,
    /// The COMMIT was sent, and its answer never came. Of [`Store::create_user_once`] alone.
    #[error("whether the user exists is unknown")]
    OutcomeUnknown(#[source] StoreError),
    /// The database did not answer; whether the user exists now is unknown.
    #[error("failed to create the user")]
    Unavailable(#[source] StoreError),
}

impl Store {
    /// Creates a user together with the intent to send its verification mail and the hash of the mail's code.
    ///
    /// `run_at` and `deadline` are stamped again inside a COMMIT that is slow (trigger `email_intents_stamp`), so the
    /// delay counts from there. The code expires only after the first accepted send.
    ///
    /// # Errors
    ///
    /// [`CreateError::UsernameTaken`] (also when both are taken), [`CreateError::EmailTaken`], else
    /// [`CreateError::Unavailable`].
    pub async fn create_user(&self, new: &NewUser, policy: &Policy, keys: &Keys) -> Result<Created, CreateError> {
        let created = self.create(&self.pool, new, policy, keys, false).await;
        created.map_err(|error| clash(&error).unwrap_or_else(|| CreateError::Unavailable(error.into())))
    }

    /// Inserts the rows of a signup; with `hides` a taken address is no clash (see `hiding`), unless somebody gets it
    /// during the statement.
    pub(super) async fn create(
        &self,
        database: impl PgExecutor<'_>,
        new: &NewUser,
        policy: &Policy,
        keys: &Keys,
        hides: bool,
    ) -> Result<Created, sqlx::Error> {
        let intent = Uuid::now_v7();
        let creating = sqlx::query_as(self.sql(CREATE_USER))
            .bind(new.username.as_str())
            .bind(&new.hashed_password)
            .bind(new.full_name.as_str())
            .bind(new.email.as_str())
            .bind(new.email.canonical())
            .bind(intent)
            .bind(milliseconds(policy.delay));
        bind_intent!(creating, intent, policy, keys)
            .bind(hides)
            .bind(format!("{intent}@{PLACEHOLDER_DOMAIN}"))
            .bind(new.locale.as_ref().map(Locale::as_str))
            .fetch_one(database)
            .await
    }
}

/// Under this domain, which nobody can have (RFC 2606), are the addresses of hidden signups in `users`: unique as the
/// column demands, and a dead end for whatever else writes to users.
pub(super) const PLACEHOLDER_DOMAIN: &str = "hidden.invalid";

/// Tells the two clashes apart by the name of the violated constraint.
pub(super) fn clash(error: &sqlx::Error) -> Option<CreateError> {
    match error.as_database_error()?.constraint()? {
        "users_pkey" => Some(CreateError::UsernameTaken),
        "users_email_key" | "users_email_canonical_key" => Some(CreateError::EmailTaken),
        _ => None,
    }
}

/// The same writes whether the address is free or hidden: which of the two it was must not show in the time.
const CREATE_USER: &str = concat!(
    "
WITH asked AS MATERIALIZED (
    SELECT $18::boolean AND EXISTS (SELECT FROM schema.users WHERE email_canonical = $5 OR email = $4) AS is_taken
), new_user AS (
    INSERT INTO schema.users (username, hashed_password, full_name, email, email_canonical, is_hidden)
    SELECT $1, $2, $3, CASE WHEN is_taken THEN $19 ELSE $4 END, CASE WHEN is_taken THEN $19 ELSE $5 END, is_taken
    FROM asked
    RETURNING username, full_name, password_changed_at, created_at, is_hidden
), new_intent AS (
    ",
    insert_intent!(),
    "
    SELECT $6, CASE WHEN is_hidden THEN 'notice' ELSE 'verification' END, username,
           CASE WHEN is_hidden THEN '' ELSE $4 END, 1, $7::bigint * interval '1 millisecond',
           clock_timestamp() + $7::bigint * interval '1 millisecond', $8, $9::bigint,
           clock_timestamp() + ($7::bigint + $10::bigint) * interval '1 millisecond',
           $11::bigint * interval '1 millisecond', $12, $13::bigint * interval '1 millisecond', $14, $15, $20
    FROM new_user
    RETURNING id, queue, max_retries, run_at, next_attempt_at, deadline, state
), new_code AS (
    ",
    insert_link!(),
    "
    SELECT $17, username, CASE WHEN is_hidden THEN $5 ELSE $4 END, $6, $16, $15, 'infinity' FROM new_user
)
SELECT new_user.username, new_user.full_name, $4 AS email, new_user.password_changed_at, new_user.created_at,
       new_intent.id, new_intent.queue, new_intent.max_retries, new_intent.run_at, new_intent.next_attempt_at,
       new_intent.deadline, $11::bigint AS timeout_ms, new_intent.state
FROM new_user, new_intent"
);
