//! Intents for tasks that name none.
//!
//! Takes: a user name from the task of a Go producer. Gives: the intent to lease. Does not: send or lease anything.

use super::{
    Store, StoreError, is_storable,
    new_intent::{bind_intent, insert_intent, insert_link},
};
use crate::{Policy, verification::Keys};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The intent behind a task that names only a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentFor {
    /// An intent that is there: owed, or made for an earlier run of this very task.
    Owed(Uuid),
    /// A new one, due at once.
    Created(Uuid),
    /// The user needs no mail.
    AlreadyVerified,
    /// There is no such user (yet).
    UnknownUser,
}

/// One round to create, one to find what a faster task created, one in case that was settled at once.
const CREATE_ROUNDS: u32 = 3;

impl Store {
    /// Finds or makes the intent for the task `task_id`, whose payload has only a user name. The same task gets the
    /// same intent however often it runs, so it never causes a second mail.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn intent_for(
        &self,
        username: &str,
        task_id: &str,
        policy: &Policy,
        keys: &Keys,
    ) -> Result<IntentFor, StoreError> {
        if !is_storable(username) {
            return Ok(IntentFor::UnknownUser);
        }
        let id = intent_id_of(task_id, username);
        for _ in 0..CREATE_ROUNDS {
            if let Some(found) = self.find_intent(id, username).await? {
                return Ok(found);
            }
            // Nothing is created when another task of this user was faster; then that one's intent is found.
            if self.create_intent(id, username, policy, keys).await? {
                return Ok(IntentFor::Created(id));
            }
        }
        // The id is taken by the cancelled intent of a deleted user of this name: this task was for that one.
        Ok(IntentFor::Owed(id))
    }

    /// `None`: the user is there and needs an intent.
    async fn find_intent(&self, id: Uuid, username: &str) -> Result<Option<IntentFor>, StoreError> {
        let row: Option<(bool, Option<Uuid>)> = sqlx::query_as(self.sql(
            "SELECT users.is_email_verified,
                    (SELECT intent.id FROM schema.email_intents AS intent
                     WHERE intent.username = users.username
                       AND (intent.id = $2 OR intent.state IN ('waiting', 'dispatched', 'sending'))
                     ORDER BY intent.id = $2 DESC, intent.generation DESC LIMIT 1) AS intent_id
             FROM schema.users WHERE users.username = $1",
        ))
        .bind(username)
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        Ok(match row {
            None => Some(IntentFor::UnknownUser),
            Some((_, Some(found))) => Some(IntentFor::Owed(found)),
            Some((is_verified, None)) => is_verified.then_some(IntentFor::AlreadyVerified),
        })
    }

    /// The delay is over already: the producer's task waited for it. The lock waits for a change of the address under
    /// way, which would not see the new intent, and then reads the new address.
    async fn create_intent(&self, id: Uuid, username: &str, policy: &Policy, keys: &Keys) -> Result<bool, StoreError> {
        let creating = sqlx::query(self.sql(CREATE_INTENT)).bind(id).bind(username);
        let done = bind_intent!(creating, id, policy, keys).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}

/// The same task and user always give the same id: the first 16 bytes of a SHA-256, as a UUID of version 8 (RFC 9562).
fn intent_id_of(task_id: &str, username: &str) -> Uuid {
    let digest = Sha256::new().chain_update(task_id).chain_update([0]).chain_update(username).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

const CREATE_INTENT: &str = concat!(
    "
WITH new_intent AS (
    ",
    insert_intent!(),
    "
    SELECT $1, 'verification', username, email,
           (SELECT coalesce(max(generation), 0) + 1 FROM schema.email_intents
            WHERE username = $2 AND kind = 'verification'),
           interval '0', clock_timestamp(), $3, $4::bigint, clock_timestamp() + $5::bigint * interval '1 millisecond',
           $6::bigint * interval '1 millisecond', $7, $8::bigint * interval '1 millisecond', $9, $10,
           (SELECT locale FROM schema.email_intents WHERE username = $2 AND kind = 'verification'
            ORDER BY generation DESC LIMIT 1)
    FROM schema.users
    WHERE username = $2 AND NOT EXISTS (
        SELECT FROM schema.email_intents WHERE username = $2 AND state IN ('waiting', 'dispatched', 'sending'))
    FOR KEY SHARE OF users
    ON CONFLICT DO NOTHING
    RETURNING id, username, email
)
",
    insert_link!(),
    "
SELECT $12, username, email, id, $11, $10, 'infinity' FROM new_intent"
);
