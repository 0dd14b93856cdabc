//! A signup that does not show whether its address was taken.
//!
//! Takes: what [`Store::create_user`] takes. Gives: a user in any case. With a free address it is the one that
//! `create_user` would make; with a taken one it is hidden: a row of `users` with its own name and password, a
//! placeholder for its address, and an intent of the kind `notice`, whose mail goes to the owner of the address (see
//! `notice`). Does not: write anything else, or in another order, in the second case; a client learns nothing from the
//! time, from a second request, or from what others can or cannot do afterwards (decision 12).

use super::{Store, users};
use crate::{CreateError, Created, EmailAddress, Keys, NewUser, Policy, StoreError, link::number_of};

/// Rounds until an address counts as changing hands all the time: one more than it takes when a service that does not
/// hide anything, or the Go program, creates a user with it in between.
pub(super) const ROUNDS: u32 = 3;

/// Separates the locks of addresses from PostgreSQL's other advisory locks.
const LOCK_PURPOSE: &[u8] = b"signup mailbox lock v1";

impl Store {
    /// Creates a user, hidden when its address is taken. `user.email` of the result is what was asked for.
    ///
    /// # Errors
    ///
    /// [`CreateError::UsernameTaken`], also by a hidden user; else [`CreateError::Unavailable`].
    pub async fn create_user_hiding(
        &self,
        new: &NewUser,
        policy: &Policy,
        keys: &Keys,
    ) -> Result<Created, CreateError> {
        let unavailable = |error: sqlx::Error| CreateError::Unavailable(StoreError::Database(error));
        let mut round = 1;
        loop {
            let begin = sqlx::AssertSqlSafe(begin_alone_with(&new.email));
            let mut transaction = self.pool.begin_with(begin).await.map_err(unavailable)?;
            let error = match self.create(&mut transaction, new, policy, keys, true).await {
                Ok(created) => return transaction.commit().await.map(|()| created).map_err(unavailable),
                Err(error) => error,
            };
            // Whoever takes another name at once must not meet the lock of the address.
            transaction.rollback().await;
            match users::clash(&error) {
                Some(CreateError::EmailTaken) if round < ROUNDS => round += 1,
                Some(CreateError::UsernameTaken) => return Err(CreateError::UsernameTaken),
                _ => return Err(unavailable(error)),
            }
        }
    }
}

/// Begins a transaction that has the address to itself among those that hide: of two at once with a free address the
/// second would otherwise wait for the first inside its statement, fail and come again, which with a taken one it never
/// does. The lock is a number, so the text is one of ours. A process that stops amid this loses its locks after 5 s.
pub(super) fn begin_alone_with(email: &EmailAddress) -> String {
    let lock = number_of(LOCK_PURPOSE, email.canonical().as_bytes()).cast_signed();
    format!(
        "SET LOCAL idle_in_transaction_session_timeout = '5s';
         SELECT pg_catalog.pg_advisory_xact_lock({lock})"
    )
}
