//! The notice to the owner of an address that somebody else signed up with.
//!
//! Takes: the intent of a hidden signup (see `hiding`). Gives: the lease on its mail, to the owner, once a day. Does
//! not: tell whoever signed up: their request was answered long before.
//!
//! Which account has the address now is asked when the mail is due, and whether it was told within a day, too: no
//! signup waits for either. The row of the owner is locked first, as everywhere, so that of two notices at once one is
//! sent.

use super::{
    Store, StoreError,
    lease::{leased, take, takeable},
    milliseconds,
};
use crate::Leased;
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use std::{sync::atomic::Ordering, time::Duration};
use uuid::Uuid;

impl Store {
    /// Leases a notice that is owed, due and free, and whose owner was not told of another signup within a day.
    pub(super) async fn lease_notice(
        &self,
        id: Uuid,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Leased>, StoreError> {
        let leasing = sqlx::query_as(self.sql(LEASE_NOTICE)).bind(id).bind(owner).bind(milliseconds(lease));
        Ok(leasing.bind(self.term.load(Ordering::Relaxed)).fetch_optional(&self.pool).await?)
    }

    /// What ends a notice that nobody is to get: the account is gone, or was told of another signup within a day.
    pub(super) fn settle_notice(&self, id: Uuid) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(self.sql(SETTLE_NOTICE)).bind(id)
    }
}

/// Who has the address, when it may be told: never, or a day ago, or by this very notice, whose attempts go on, or by
/// one that never reached it.
macro_rules! owner {
    () => {
        "owner.email_canonical = code.email AND owner.is_hidden IS NOT TRUE
         AND (owner.notice_id = $1 OR owner.noticed_at IS NULL
              OR owner.noticed_at <= clock_timestamp() - interval '1 day'
              OR EXISTS (SELECT FROM schema.email_intents AS last
                         WHERE last.id = owner.notice_id AND last.state IN ('refused', 'dead', 'cancelled')))"
    };
}

const LEASE_NOTICE: &str = concat!(
    "
WITH told AS (
    UPDATE schema.users AS owner SET notice_id = $1, noticed_at = clock_timestamp()
    FROM schema.email_intents AS intent JOIN schema.verify_emails AS code ON code.intent_id = intent.id
    WHERE intent.id = $1 AND intent.kind = 'notice' AND ",
    takeable!(),
    " AND ",
    owner!(),
    "
    RETURNING owner.username, owner.email, owner.full_name
)
UPDATE schema.email_intents AS intent
",
    take!("$2", "$3"),
    "
FROM told, schema.verify_emails AS code
WHERE intent.id = $1 AND code.intent_id = intent.id AND ",
    takeable!(),
    "
RETURNING told.username, told.email, told.full_name,
          (SELECT owners.locale FROM schema.email_intents AS owners
           WHERE owners.username = told.username AND owners.kind = 'verification'
           ORDER BY owners.generation DESC LIMIT 1) AS locale, ",
    leased!()
);

/// Ends a notice that nobody is to get: the account is gone, or was told of another signup within a day. When that was
/// found out, and by which notice the owner was told, is what the state is made of that whoever signed up sees (see
/// `delivery`).
const SETTLE_NOTICE: &str = concat!(
    "
UPDATE schema.email_intents AS intent
SET state = 'cancelled', last_class = 'told already', lease_epoch = intent.lease_epoch + 1,
    next_attempt_at = clock_timestamp(),
    told_by = (SELECT owner.notice_id FROM schema.users AS owner
               WHERE owner.email_canonical = code.email AND owner.is_hidden IS NOT TRUE)
FROM schema.verify_emails AS code
WHERE intent.id = $1 AND intent.kind = 'notice' AND code.intent_id = intent.id
  AND intent.state IN ('waiting', 'dispatched') AND intent.due_at <= clock_timestamp()
  AND NOT EXISTS (SELECT FROM schema.users AS owner WHERE ",
    owner!(),
    ")"
);
