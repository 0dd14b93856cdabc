//! A click on the link of a verification mail.
//!
//! Takes: the link's two parts. Gives: whose address it is about; a verified user, or a reason a client can act on.
//! Does not: tell a wrong id from a wrong code.

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
    /// Too many wrong digits were typed; the link of the mail works.
    #[error("too many wrong digits were typed")]
    Locked,
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

/// What a link is good for.
#[derive(Debug)]
pub enum LinkStanding {
    /// A click verifies this address. Personal.
    Good(String),
    /// It verified its address before.
    Verified,
}

impl Store {
    /// Looks at a link, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], as a click would give it.
    pub async fn look_at_link(&self, email_id: i64, code: &str) -> Result<LinkStanding, VerifyError> {
        if !is_storable(code) {
            return Err(VerifyError::NotFound);
        }
        let hash = verification::hash(code);
        let looking = sqlx::query_as::<_, (String, String)>(self.sql(LOOK)).bind(email_id).bind(&hash[..]).bind(code);
        let Some((standing, email)) = looking.fetch_optional(&self.pool).await? else {
            return Err(VerifyError::NotFound);
        };
        match standing.as_str() {
            "good" => Ok(LinkStanding::Good(email)),
            "address changed" => Err(VerifyError::AddressChanged),
            "used" => Err(VerifyError::Used),
            "expired" => Err(VerifyError::Expired),
            _ => Ok(LinkStanding::Verified),
        }
    }

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
        match self.look_at_link(email_id, code).await? {
            LinkStanding::Verified => Ok(()),
            // It was none when the first statement looked.
            LinkStanding::Good(_) => Err(VerifyError::Expired),
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

const LOOK: &str = "
SELECT CASE
           WHEN code.voided_at IS NOT NULL OR code.email <> users.email THEN 'address changed'
           WHEN code.is_used AND users.is_email_verified THEN 'verified'
           WHEN code.is_used THEN 'used'
           WHEN code.expired_at <= clock_timestamp() THEN 'expired'
           ELSE 'good'
       END AS standing, code.email
FROM schema.verify_emails AS code JOIN schema.users ON users.username = code.username
WHERE code.id = $1 AND (code.secret_hash = $2 OR code.secret_code = $3)";
