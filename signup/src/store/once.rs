//! A signup under a key of its client's, which makes one user however often it is sent.
//!
//! Takes: what [`Store::create_user`] takes, and the key. Gives: the user, and in the same transaction a row that says
//! what was answered; later the row. Does not: keep what was not committed: a signup that was refused may be corrected
//! and sent again under its key.

use super::{Store, StoreError, User, hiding, pool::Work, users};
use crate::{CreateError, Created, Keys, NewUser, Policy, link::number_of};
use sha2::{Digest as _, Sha256};
use std::{fmt, time::Duration};

/// Separates the locks of keys from PostgreSQL's other advisory locks.
const LOCK_PURPOSE: &[u8] = b"signup idempotency key lock v1";

/// How long the rows of keys are valid, as the tables say (`expires_at`).
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A transaction that a stopped process leaves open ends after 5 s.
pub(super) const FIRST: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// The key under which a signup is made once.
#[derive(Clone, PartialEq, Eq)]
pub struct Once {
    /// SHA-256 of the client's key.
    pub key: [u8; 32],
    pub(super) fingerprint: [u8; 32],
    pub(super) key_id: String,
    pub(super) known_for: Duration,
}

impl Once {
    /// Under a client's key, with the fingerprint of its request under the key of that id ([`Keys::fingerprint`]).
    pub fn new(key: &str, fingerprint: [u8; 32], key_id: String) -> Self {
        Self { key: Self::hash(key), fingerprint, key_id, known_for: KNOWN_FOR }
    }

    /// For a request for another mail: as a new one where the key is older than that, which is a day at most.
    #[must_use]
    pub fn known_for(self, known_for: Duration) -> Self {
        Self { known_for: known_for.min(KNOWN_FOR), ..self }
    }

    /// What is kept of a client's key.
    pub fn hash(key: &str) -> [u8; 32] {
        Sha256::digest(key).into()
    }

    /// Takes the lock of the key among requests of one purpose, until the transaction ends; false where another one
    /// has it.
    pub(super) async fn lock(&self, purpose: &[u8], transaction: &mut Work) -> Result<bool, sqlx::Error> {
        let lock = lock_number(purpose, &self.key);
        let taking = sqlx::query_scalar("SELECT pg_catalog.pg_try_advisory_xact_lock($1)").bind(lock);
        taking.fetch_one(transaction).await
    }
}

fn lock_number(purpose: &[u8], key: &[u8; 32]) -> i64 {
    number_of(purpose, key).cast_signed()
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once(hidden)")
    }
}

/// The request that came with a key first.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Keyed {
    /// Of what it said.
    pub fingerprint: Vec<u8>,
    /// Id of the key that the fingerprint was made with.
    pub key_id: String,
}

/// What a key stands for: the request that it came with first, and the user that was answered.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Answered {
    /// The request.
    #[sqlx(flatten)]
    pub request: Keyed,
    /// As answered.
    #[sqlx(flatten)]
    pub user: User,
}

/// Forgets the oldest keys of a table whose time is over, `$1` at most.
macro_rules! forget {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE key IN (
                 SELECT key FROM ",
            $table,
            " WHERE expires_at <= (SELECT clock_timestamp())
                 ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
             )"
        )
    };
}

impl Store {
    /// What was answered under a key within the last day.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn answered(&self, key: &[u8; 32]) -> Result<Option<Answered>, StoreError> {
        let row = sqlx::query_as(self.sql(
            "SELECT fingerprint, key_id, username, full_name, email, password_changed_at, created_at
             FROM schema.idempotency_keys WHERE key = $1 AND expires_at > clock_timestamp()",
        ));
        Ok(row.bind(&key[..]).fetch_optional(&self.pool).await?)
    }

    /// Whether some process has a signup of that key in a transaction right now. Only looked at, not taken: whoever
    /// signs up meanwhile finds the key as free as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn is_signup_running(&self, key: &[u8; 32]) -> Result<bool, StoreError> {
        let looking = sqlx::query_scalar(IS_LOCKED).bind(lock_number(LOCK_PURPOSE, key));
        Ok(looking.fetch_one(&self.pool).await?)
    }

    /// Creates a user as [`create_user`](Self::create_user) does, or as
    /// [`create_user_hiding`](Self::create_user_hiding) with `hides`, together with the answer under the key.
    ///
    /// # Errors
    ///
    /// As those; [`CreateError::KeyRunning`], [`CreateError::KeyUsed`], [`CreateError::OutcomeUnknown`].
    pub async fn create_user_once(
        &self,
        new: &NewUser,
        policy: &Policy,
        keys: &Keys,
        once: &Once,
        hides: bool,
    ) -> Result<Created, CreateError> {
        let mut round = 1;
        loop {
            match self.try_once(new, policy, keys, once, hides).await {
                Err(CreateError::EmailTaken) if hides && round < hiding::ROUNDS => round += 1,
                // The address changes hands all the time; that it is taken is not told.
                Err(CreateError::EmailTaken) if hides => {
                    return Err(CreateError::Unavailable(StoreError::Database(sqlx::Error::RowNotFound)));
                }
                done => return done,
            }
        }
    }

    async fn try_once(
        &self,
        new: &NewUser,
        policy: &Policy,
        keys: &Keys,
        once: &Once,
        hides: bool,
    ) -> Result<Created, CreateError> {
        let first = if hides { hiding::begin_alone_with(&new.email) } else { FIRST.to_owned() };
        let mut transaction = self.pool.begin_with(sqlx::AssertSqlSafe(first)).await.map_err(refused)?;
        match self.create_in(&mut transaction, new, policy, keys, once, hides).await {
            Ok(created) => transaction.commit().await.map(|()| created).map_err(uncommitted),
            Err(error) => {
                // Whoever corrects the signup and sends it at once must find the key free.
                transaction.rollback().await;
                Err(error)
            }
        }
    }

    async fn create_in(
        &self,
        transaction: &mut Work,
        new: &NewUser,
        policy: &Policy,
        keys: &Keys,
        once: &Once,
        hides: bool,
    ) -> Result<Created, CreateError> {
        if !once.lock(LOCK_PURPOSE, transaction).await.map_err(refused)? {
            return Err(CreateError::KeyRunning);
        }
        // Also rows that expired and are not swept yet go, so that their key is free.
        let used = sqlx::query_scalar(self.sql(FREE_KEY)).bind(&once.key[..]).fetch_one(&mut *transaction);
        if used.await.map_err(refused)? {
            return Err(CreateError::KeyUsed);
        }
        let created = self.create(&mut *transaction, new, policy, keys, hides).await.map_err(refused)?;
        sqlx::query(self.sql(KEEP))
            .bind(&once.key[..])
            .bind(&once.fingerprint[..])
            .bind(&once.key_id)
            .bind(&created.user.username)
            .bind(&created.user.email)
            .execute(transaction)
            .await
            .map_err(refused)?;
        Ok(created)
    }

    /// Forgets up to `limit` answers to signups, and as many to requests for another mail, that are older than a day.
    /// Gives their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_answers(&self, limit: u32) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for statement in [forget!("schema.idempotency_keys"), forget!("schema.resend_keys")] {
            let forgetting = sqlx::query(self.sql(statement)).bind(i64::from(limit));
            forgotten += forgetting.execute(&self.pool).await?.rows_affected();
        }
        Ok(forgotten)
    }
}

/// Nothing was committed.
fn refused(error: sqlx::Error) -> CreateError {
    users::clash(&error).unwrap_or_else(|| CreateError::Unavailable(StoreError::Database(error)))
}

/// A COMMIT that was not carried out, or of which nobody knows.
fn uncommitted(error: sqlx::Error) -> CreateError {
    if is_refused(&error) {
        return refused(error);
    }
    CreateError::OutcomeUnknown(StoreError::Database(error))
}

/// Whether PostgreSQL refused a COMMIT for what the rows hold or meet (classes 22, 23 and 40 of appendix A of its
/// manual): then it was not carried out. Of any other that failed nobody knows.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["22", "23", "40"].iter().any(|class| code.starts_with(class)))
}

/// PostgreSQL shows the number of an advisory lock in two halves (`pg_locks` in its manual).
const IS_LOCKED: &str = "
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS signup_under_way
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND (classid::bigint << 32 | objid::bigint) = $1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))";

const FREE_KEY: &str = "
WITH expired AS (
    DELETE FROM schema.idempotency_keys WHERE key = $1 AND expires_at <= clock_timestamp()
)
SELECT EXISTS (SELECT FROM schema.idempotency_keys WHERE key = $1 AND expires_at > clock_timestamp())";

/// Full name and times are those of the row, to the microsecond; the address is the one that was asked for, which a
/// hidden user has not.
const KEEP: &str = "
INSERT INTO schema.idempotency_keys
    (key, fingerprint, key_id, username, full_name, email, password_changed_at, created_at)
SELECT $1, $2, $3, username, full_name, $5, password_changed_at, created_at FROM schema.users WHERE username = $4";
