//! Six digits, typed by somebody who reads the mail on another device.
//!
//! Takes: a user name and what was typed. Gives: a verified user, or a reason a client can act on. Does not: tell a
//! name that nobody has from wrong digits: both are one write, of the same row, and one answer.
//!
//! Each mail's digits can be guessed five times: a try counts against the digits of every mail that was owed to that
//! name by then, and five lock them. The link of the mail works on, and so do the digits of a later mail. That they are
//! expired, used or locked is told to those alone who typed the right ones.

use super::{Store, requests::Counted};
use crate::{Keys, Username, VerifyError, verification::Digits};
use uuid::Uuid;

/// A mail whose digits somebody may have typed.
#[derive(sqlx::FromRow)]
struct Mailed {
    id: i64,
    intent_id: Uuid,
    key_id: String,
    standing: String,
}

impl Store {
    /// Verifies the address of a user by the digits of a mail. The right ones a second time give the same answer.
    ///
    /// # Errors
    ///
    /// [`VerifyError`]; [`VerifyError::NotFound`] also for a name that nobody has.
    pub async fn verify_digits(&self, username: &Username, digits: Digits, keys: &Keys) -> Result<(), VerifyError> {
        let subject = Counted::Digits.subject(username.as_str());
        let trying = sqlx::query_as::<_, Mailed>(self.sql(TRY_DIGITS)).bind(&subject[..]).bind(username.as_str());
        let mails = trying.fetch_all(&self.pool).await?;
        let typed = mails.into_iter().find(|mail| keys.digits(&mail.key_id, mail.intent_id) == Some(digits));
        let Some(mail) = typed else { return Err(VerifyError::NotFound) };
        match mail.standing.as_str() {
            "verified" => return Ok(()),
            "used" => return Err(VerifyError::Used),
            "expired" => return Err(VerifyError::Expired),
            "locked" => return Err(VerifyError::Locked),
            _ => {}
        }
        // The digits stand for the code of the link, which was derived from the same key.
        let code = keys.code(&mail.key_id, mail.intent_id).ok_or(VerifyError::NotFound)?;
        self.verify_email(mail.id, code.as_str()).await
    }
}

/// Counts the try before anything is compared, so that of many at once no more than five are. `made_at` holds the last
/// six, this one included: where the oldest of them came after the mail was owed, there were five before this one.
///
/// A mail to another address than the user's is left out; so is the link of a hidden signup, whose user has none.
const TRY_DIGITS: &str = "
WITH tried AS (
    INSERT INTO schema.email_requests AS known (subject, made_at) VALUES ($1, ARRAY[clock_timestamp()])
    ON CONFLICT (subject) DO UPDATE
    SET made_at = known.made_at[greatest(1, cardinality(known.made_at) - 4):] || clock_timestamp()
    RETURNING made_at
)
SELECT code.id, code.intent_id, code.key_id,
       CASE
           WHEN code.is_used AND users.is_email_verified THEN 'verified'
           WHEN code.is_used THEN 'used'
           WHEN code.expired_at <= clock_timestamp() THEN 'expired'
           WHEN cardinality(tried.made_at) = 6 AND tried.made_at[1] >= code.created_at THEN 'locked'
           ELSE 'good'
       END AS standing
FROM tried, schema.users JOIN schema.verify_emails AS code ON code.username = users.username
WHERE users.username = $2 AND code.email = users.email AND code.voided_at IS NULL
  AND code.intent_id IS NOT NULL AND code.key_id IS NOT NULL
ORDER BY NOT code.is_used AND code.expired_at > clock_timestamp() DESC, code.created_at DESC";
