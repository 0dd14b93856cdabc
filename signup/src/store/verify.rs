//! A click on the link of a verification mail.
//!
//! Takes: the link's two parts. Gives: a verified user, or a reason a client can act on. Does not: tell a wrong id from
//! a wrong code.

use super::{Store, StoreError, is_storable};
use crate::verification;

/// The address was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such link.
    #[error("the link is unknown")]
    NotFound,
    /// The link was used, and the verification withdrawn since.
    #[error("the link was used already")]
    Used,
    /// The link is too old.
    #[error("the link has expired")]
    Expired,
    /// The user's address is another one now.
    #[error("the address of the user changed after the mail was sent")]
    AddressChanged,
    /// The database did not answer.
    #[error("failed to verify the address")]
    Unavailable(#[source] StoreError),
}

impl From<sqlx::Error> for VerifyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Store {
    /// Verifies the address behind a link. A second click gives the same answer as the first.
    ///
    /// # Errors
    ///
    /// [`VerifyError`].
    pub async fn verify_email(&self, email_id: i64, code: &str) -> Result<(), VerifyError> {
        if !is_storable(code) {
            return Err(VerifyError::NotFound);
        }
        let hash = verification::hash(code);
        let verified = sqlx::query_scalar::<_, i64>(self.sql(VERIFY))
            .bind(email_id)
            .bind(&hash[..])
            .bind(code)
            .fetch_one(&self.pool)
            .await?;
        if verified == 1 {
            return Ok(());
        }
        let why_not = sqlx::query_scalar::<_, String>(self.sql(WHY_NOT)).bind(email_id).bind(&hash[..]).bind(code);
        match why_not.fetch_optional(&self.pool).await?.as_deref() {
            None => Err(VerifyError::NotFound),
            Some("address changed") => Err(VerifyError::AddressChanged),
            Some("used") => Err(VerifyError::Used),
            Some("expired") => Err(VerifyError::Expired),
            // Used by a verified user, or by another click between the two statements.
            Some(_) => Ok(()),
        }
    }
}

/// Locks the user first, as a change of the address does. A mail still owed to the user is left to its worker, which
/// finds the user verified and cancels it.
const VERIFY: &str = "
WITH owner AS (
    SELECT users.username, users.email
    FROM schema.users JOIN schema.verify_emails AS code ON code.username = users.username
    WHERE code.id = $1
    FOR UPDATE OF users
), used AS (
    UPDATE schema.verify_emails AS code SET is_used = true
    FROM owner
    WHERE code.id = $1 AND code.username = owner.username AND code.email = owner.email
      AND (code.secret_hash = $2 OR code.secret_code = $3)
      AND NOT code.is_used AND code.voided_at IS NULL AND code.expired_at > clock_timestamp()
    RETURNING code.username
), verified AS (
    UPDATE schema.users SET is_email_verified = true, verified_at = coalesce(verified_at, clock_timestamp())
    FROM used WHERE users.username = used.username
    RETURNING users.username
)
SELECT count(*) FROM verified";

const WHY_NOT: &str = "
SELECT CASE
           WHEN code.voided_at IS NOT NULL OR code.email <> users.email THEN 'address changed'
           WHEN code.is_used AND users.is_email_verified THEN 'verified'
           WHEN code.is_used THEN 'used'
           ELSE 'expired'
       END AS reason
FROM schema.verify_emails AS code JOIN schema.users ON users.username = code.username
WHERE code.id = $1 AND (code.secret_hash = $2 OR code.secret_code = $3)";
