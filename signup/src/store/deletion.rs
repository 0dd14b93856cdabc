//! A user who goes, with everything that names the user or the address.
//!
//! Takes: a user name, and who deletes. Gives: what went. Does not: remove what `users_audit` says of the user, or rows
//! of other applications; where such a row refers to the user, nothing is changed.

use super::{Store, StoreError, is_storable, pool::Work};

/// What went with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Deleted {
    /// Mails that were owed and are cancelled.
    pub owed: i64,
    /// Mails that were over; their rows stay, without name and address.
    pub over: i64,
    /// Links, which work no more.
    pub links: i64,
    /// The address was verified.
    pub was_verified: bool,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is made; or it would be, when it was only tried.
    Made(Deleted),
    /// Nobody has the name.
    Unknown,
    /// Rows of this other table refer to the user.
    Referenced(String),
}

/// Who deletes, as `users_audit` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doer {
    Purge,
    Command,
}

impl Store {
    /// Deletes a user: cancels the mails that are owed, and takes name and address out of those that are over. With
    /// `dry_run` nothing is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete_user(&self, username: &str, dry_run: bool) -> Result<Deletion, StoreError> {
        if !is_storable(username) {
            return Ok(Deletion::Unknown);
        }
        let mut transaction = self.begin_deletion(Doer::Command).await?;
        let going = sqlx::query_as(self.sql(GOING)).bind(username).fetch_optional(&mut transaction).await?;
        let Some(deleted) = going else { return Ok(Deletion::Unknown) };
        let deleting = sqlx::query(self.sql("DELETE FROM schema.users WHERE username = $1")).bind(username);
        match deleting.execute(&mut transaction).await {
            Ok(_) => {}
            Err(error) => {
                return match error.as_database_error().filter(|error| error.is_foreign_key_violation()) {
                    Some(refused) => Ok(Deletion::Referenced(refused.table().unwrap_or_default().to_owned())),
                    None => Err(error.into()),
                };
            }
        }
        if !dry_run {
            transaction.commit().await?;
        }
        Ok(Deletion::Made(deleted))
    }

    /// A transaction whose deletions are recorded as the doer's.
    pub(super) async fn begin_deletion(&self, doer: Doer) -> Result<Work, sqlx::Error> {
        self.pool
            .begin_with(match doer {
                Doer::Purge => "SET LOCAL signup.done_by = 'purge'",
                Doer::Command => "SET LOCAL signup.done_by = 'worker users delete'",
            })
            .await
    }
}

/// The lock keeps mails from being asked for until the user is gone.
const GOING: &str = "
SELECT (SELECT count(*) FROM schema.email_intents AS intent
        WHERE intent.username = locked.username AND intent.state IN ('waiting', 'dispatched', 'sending')) AS owed,
       (SELECT count(*) FROM schema.email_intents AS intent
        WHERE intent.username = locked.username AND intent.state NOT IN ('waiting', 'dispatched', 'sending')) AS over,
       (SELECT count(*) FROM schema.verify_emails AS code WHERE code.username = locked.username) AS links,
       locked.is_email_verified AS was_verified
FROM (SELECT username, is_email_verified FROM schema.users WHERE username = $1 FOR UPDATE) AS locked";
