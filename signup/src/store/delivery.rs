//! What became of the mail of a signup, for whoever signed up.
//!
//! Takes: accounts. Gives: the state of each, in one statement for all of them. Does not: tell a hidden signup from
//! another one (decision 12): both are looked up by the same steps, a hidden one follows the notice to the owner of the
//! address, and a notice that was not sent, because the owner was told already, follows the one that told, as long
//! after its own turn as that one took. Mails that were asked for again do not show: anybody may ask for these, and a
//! hidden signup gets none.

use super::{Store, StoreError};
use crate::{Account, DeliveryState};
use std::collections::HashMap;

/// One row.
#[derive(sqlx::FromRow)]
struct Found {
    position: i64,
    #[sqlx(try_from = "String")]
    state: DeliveryState,
}

impl Store {
    /// The state of each account that there is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delivery_states(&self, of: &[Account]) -> Result<HashMap<Account, DeliveryState>, StoreError> {
        let usernames: Vec<&str> = of.iter().map(|account| account.username.as_str()).collect();
        let times: Vec<i64> = of.iter().map(|account| account.created_at.as_microsecond()).collect();
        let found = sqlx::query_as::<_, Found>(self.sql(STATES)).bind(usernames).bind(times).fetch_all(&self.pool);
        let account = |position: i64| of.get(usize::try_from(position).ok()?.checked_sub(1)?).cloned();
        Ok(found.await?.into_iter().filter_map(|row| Some((account(row.position)?, row.state))).collect())
    }
}

/// `told` is, for a mail that was not told by another, the mail itself, so that all take the same steps. A mail that is
/// over for long is removed (see `retention`), a hidden signup's later than another's; both show the same then. The
/// time that a notice took counts from its last turn, and for a minute at most: how long an outage lasted says nothing
/// of the next mail.
const STATES: &str = "
SELECT asked.position,
       CASE
           WHEN users.is_email_verified THEN 'verified'
           WHEN told.state IN ('waiting', 'dispatched', 'sending') THEN 'queued'
           WHEN told.state = 'sent' AND mail.told_by IS NOT NULL
                AND clock_timestamp() < mail.due_at + least(told.sent_at - told.due_at, interval '1 minute')
               THEN 'queued'
           WHEN told.state IN ('sent', 'refused') THEN told.state
           WHEN told.state = 'cancelled' AND told.last_class = 'told already' THEN 'sent'
           WHEN told.id IS NULL THEN 'sent'
           ELSE 'failed'
       END AS state
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS asked (username, created_at, position)
JOIN schema.users ON users.username = asked.username
     AND (extract(epoch FROM users.created_at) * 1000000)::bigint = asked.created_at
LEFT JOIN LATERAL (
    SELECT intent.id, intent.told_by, intent.due_at
    FROM schema.email_intents AS intent
    WHERE intent.username = users.username AND NOT intent.asked_for
    ORDER BY intent.created_at DESC, intent.id DESC
    LIMIT 1
) AS mail ON true
LEFT JOIN schema.email_intents AS told ON told.id = coalesce(mail.told_by, mail.id)";
