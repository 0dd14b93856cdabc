//! A signup: user, intent and code in one statement, which is one transaction and one round trip.
//!
//! Takes: a parsed user with its hashed password, the policy in force, the keys. Gives: the user and the intent as
//! committed. Does not: speak to Redis or SMTP.

use super::{
    Store, StoreError, milliseconds,
    new_intent::{insert_intent, message_id},
};
use crate::{EmailAddress, FullName, Intent, Policy, Username, verification::Keys};
use jiff::Timestamp;
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
        let intent = Uuid::now_v7();
        sqlx::query_as(self.sql(CREATE_USER))
            .bind(new.username.as_str())
            .bind(&new.hashed_password)
            .bind(new.full_name.as_str())
            .bind(new.email.as_str())
            .bind(new.email.canonical())
            .bind(intent)
            .bind(milliseconds(policy.delay))
            .bind(&policy.queue)
            .bind(i64::from(policy.max_retries))
            .bind(milliseconds(policy.deadline))
            .bind(milliseconds(policy.timeout))
            .bind(&policy.public_url)
            .bind(milliseconds(policy.link_ttl))
            .bind(message_id(intent, policy))
            .bind(keys.current_id())
            .bind(&keys.current_code(intent).hash()[..])
            .fetch_one(&self.pool)
            .await
            .map_err(on_clash)
    }

    /// Waits as long as the commit of a signup takes, and changes nothing: a transaction whose only record in the
    /// write-ahead log is a message that nobody reads. A caller that hides that an address is taken calls it instead of
    /// the commit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn imitate_commit(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT pg_logical_emit_message(true, 'signup', '')").execute(&self.pool).await?;
        Ok(())
    }
}

/// Tells the two clashes apart by the name of the violated constraint.
fn on_clash(error: sqlx::Error) -> CreateError {
    match error.as_database_error().and_then(|database| database.constraint()) {
        Some("users_pkey") => CreateError::UsernameTaken,
        Some("users_email_key" | "users_email_canonical_key") => CreateError::EmailTaken,
        _ => CreateError::Unavailable(error.into()),
    }
}

const CREATE_USER: &str = concat!(
    "
WITH new_user AS (
    INSERT INTO schema.users (username, hashed_password, full_name, email, email_canonical)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING username, full_name, email, password_changed_at, created_at
), new_intent AS (
    ",
    insert_intent!(),
    "
    SELECT $6, 'verification', username, email, 1, $7::bigint * interval '1 millisecond',
           clock_timestamp() + $7::bigint * interval '1 millisecond', $8, $9::bigint,
           clock_timestamp() + ($7::bigint + $10::bigint) * interval '1 millisecond',
           $11::bigint * interval '1 millisecond', $12, $13::bigint * interval '1 millisecond', $14, $15
    FROM new_user
    RETURNING id, queue, max_retries, run_at, next_attempt_at, deadline, state
), new_code AS (
    INSERT INTO schema.verify_emails (username, email, intent_id, secret_hash, key_id, expired_at)
    SELECT username, email, $6, $16, $15, 'infinity' FROM new_user
)
SELECT new_user.username, new_user.full_name, new_user.email, new_user.password_changed_at, new_user.created_at,
       new_intent.id, new_intent.queue, new_intent.max_retries, new_intent.run_at, new_intent.next_attempt_at,
       new_intent.deadline, $11::bigint AS timeout_ms, new_intent.state
FROM new_user, new_intent"
);
