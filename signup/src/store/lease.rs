//! The exclusive right to send one mail.
//!
//! Takes: an intent's id from a task. Gives: a [`LeaseOutcome`]: the lease with everything the mail needs, or why not
//! now. Does not: trust the task: owed, due and unleased are read from the row, by the database's clock (I4), and the
//! attempt is counted in the same statement (I7).

mod together;

pub(crate) use together::LeaseRequest;

use super::{Store, StoreError, milliseconds, new_intent::insert_link, rows};
use crate::{Code, Intent, Keys, Kind, State, link, store::sweeper::EXPIRE_LEASES};
use std::{fmt, sync::atomic::Ordering, time::Duration};
use uuid::Uuid;

/// The lease on an intent, and the mail to send.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Leased {
    /// The intent, `sending` now.
    #[sqlx(flatten)]
    pub intent: Intent,
    /// Which mail it is.
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    /// Names the lease: every record of a result carries it, and it changes with each lease (I10).
    #[sqlx(rename = "lease_epoch")]
    pub epoch: i64,
    /// Attempts so far, this one included.
    #[sqlx(try_from = "rows::Counter")]
    pub attempts: u32,
    /// Counted failures so far.
    #[sqlx(try_from = "rows::Counter")]
    pub failures: u32,
    /// Attempts that ended with the worker vanishing.
    #[sqlx(try_from = "rows::Counter")]
    pub crash_count: u32,
    /// An attempt ended so that nobody knows whether a copy is out.
    pub in_doubt: bool,
    /// Where the mail goes. Personal.
    pub email: String,
    /// Whom it greets. Personal.
    pub full_name: String,
    /// `email_id` of the link, which a notice does not show.
    pub email_id: i64,
    /// Key that the code is derived with.
    pub key_id: String,
    /// Message-ID with its angle brackets; the same for every copy (I6).
    pub message_id: String,
    /// Base of the link, without a trailing slash.
    pub public_url: String,
    /// How long the link will work, counted from the first accepted send.
    #[sqlx(rename = "link_ttl_ms", try_from = "rows::Milliseconds")]
    pub link_ttl: Duration,
    /// Language tag (BCP 47) that the recipient gave.
    pub locale: Option<String>,
}

impl fmt::Debug for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { intent, epoch, attempts, failures, .. } = self;
        f.debug_struct("Leased")
            .field("intent", intent)
            .field("epoch", epoch)
            .field("attempts", attempts)
            .field("failures", failures)
            .finish_non_exhaustive()
    }
}

/// Why an intent is not leased.
#[derive(sqlx::FromRow)]
struct NotLeased {
    reason: String,
    #[sqlx(try_from = "String")]
    state: State,
    #[sqlx(rename = "wait_ms", try_from = "rows::Milliseconds")]
    wait: Duration,
}

/// The answer to a worker that wants to send a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// Go ahead.
    Leased(Box<Leased>),
    /// Owed, but not before this time has passed.
    NotDue(Duration),
    /// Another worker holds it, for this time at most unless it extends its lease.
    Held(Duration),
    /// Owed, but the row of its link is gone from `verify_emails`; [`Store::remake_link`] makes it again.
    LinkMissing,
    /// Owed, but the row changed under every look; somebody else is at it.
    Changing,
    /// Nothing is owed any more.
    Settled(State),
    /// There is no such intent.
    Unknown,
}

/// One round to lease, one after an expired lease was ended, one after something else changed the row meanwhile.
const LEASE_ROUNDS: u32 = 3;

impl Store {
    /// Leases an intent that is owed, due and free, and counts the attempt. One that was not marked `dispatched` yet is
    /// leased too: with a delay of zero the task may overtake the mark.
    ///
    /// A lease found expired ends here as in [`expire_leases`](Self::expire_leases); an intent of a user verified
    /// meanwhile is cancelled, one past its deadline or budget is dead.
    ///
    /// Several that are asked for at once are leased by one statement (see `together`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lease(&self, id: Uuid, owner: &str, lease: Duration) -> Result<LeaseOutcome, StoreError> {
        self.lease_with_others(id, owner, lease, Duration::ZERO).await
    }

    /// The same for a caller who has time: others are waited for up to `max_wait`, but for no longer than 20 ms, so
    /// that more are leased by one statement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lease_with_others(
        &self,
        id: Uuid,
        owner: &str,
        lease: Duration,
        max_wait: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        let request = LeaseRequest { id, owner: owner.to_owned(), length: lease };
        let _alone = match self.leases.together(self, &request, max_wait).await {
            Ok(leased) => return Ok(LeaseOutcome::Leased(leased)),
            Err(alone) => alone,
        };
        for _ in 0..LEASE_ROUNDS {
            let leasing = sqlx::query_as(self.sql(LEASE)).bind(id).bind(owner).bind(milliseconds(lease));
            let leasing = leasing.bind(self.term.load(Ordering::Relaxed));
            if let Some(leased) = leasing.fetch_optional(self.pool.successive()).await? {
                return Ok(LeaseOutcome::Leased(Box::new(leased)));
            }
            let why_not = sqlx::query_as(self.sql(WHY_NOT)).bind(id).fetch_optional(&self.pool).await?;
            let Some(NotLeased { reason, state, wait }) = why_not else { return Ok(LeaseOutcome::Unknown) };
            let ending = match reason.as_str() {
                "settled" => return Ok(LeaseOutcome::Settled(state)),
                "held" => return Ok(LeaseOutcome::Held(wait)),
                "not due" => return Ok(LeaseOutcome::NotDue(wait)),
                "no link" => return Ok(LeaseOutcome::LinkMissing),
                "notice" => match self.lease_notice(id, owner, lease).await? {
                    Some(leased) => return Ok(LeaseOutcome::Leased(Box::new(leased))),
                    None => self.settle_notice(id),
                },
                "lapsed" => sqlx::query(self.sql(EXPIRE_LEASES)).bind(Some(id)),
                // Verified, too late, or freed since the first statement; this one settles the first two.
                _ => sqlx::query(self.sql(SETTLE_UNWANTED)).bind(id),
            };
            ending.execute(&self.pool).await?;
        }
        Ok(LeaseOutcome::Changing)
    }

    /// Extends a lease that has not expired; `false` means that it is lost and the mail must not be sent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; whether the lease is still held is then unknown.
    pub async fn extend_lease(&self, id: Uuid, epoch: i64, lease: Duration) -> Result<bool, StoreError> {
        let done = sqlx::query(self.sql(
            "UPDATE schema.email_intents SET lease_until = clock_timestamp() + $3::bigint * interval '1 millisecond'
             WHERE id = $1 AND lease_epoch = $2 AND state = 'sending' AND lease_until > clock_timestamp()",
        ))
        .bind(id)
        .bind(epoch)
        .bind(milliseconds(lease))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes the row of a link again that somebody deleted while the mail was owed: the same id, and the same code
    /// where its key is there, else one of the current key. False when there is nothing to make.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remake_link(&self, id: Uuid, keys: &Keys) -> Result<bool, StoreError> {
        let key_id: Option<String> =
            sqlx::query_scalar(self.sql("SELECT key_id FROM schema.email_intents WHERE id = $1"))
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        let Some(key_id) = key_id else { return Ok(false) };
        let (key_id, code) = match keys.code(&key_id, id) {
            Some(code) => (key_id.as_str(), code),
            None => (keys.current_id(), keys.current_code(id)),
        };
        let making = sqlx::query(self.sql(REMAKE_LINK)).bind(id).bind(key_id).bind(code.hash().to_vec());
        let making = making.bind(link::id(id));
        Ok(making.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Gives a leased mail a code of the current key, for when the key of its own code is gone; gives the code, or
    /// `None` when the lease is lost or a copy with the old code may be out (I6).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; the mail has its old code then.
    pub async fn renew_code(&self, id: Uuid, epoch: i64, keys: &Keys) -> Result<Option<Code>, StoreError> {
        let code = keys.current_code(id);
        let renewing =
            sqlx::query(self.sql(RENEW_CODE)).bind(id).bind(epoch).bind(keys.current_id()).bind(code.hash().to_vec());
        let done = renewing.execute(&self.pool).await?;
        Ok((done.rows_affected() == 1).then_some(code))
    }
}

const REMAKE_LINK: &str = concat!(
    "
WITH owed AS (
    UPDATE schema.email_intents SET key_id = $2
    WHERE id = $1 AND state IN ('waiting', 'dispatched') AND username IS NOT NULL
    RETURNING id, username, email
)
",
    insert_link!(),
    "
SELECT $4, username, email, id, $3, $2, 'infinity' FROM owed
ON CONFLICT (intent_id) DO NOTHING"
);

const RENEW_CODE: &str = "
WITH mine AS (
    UPDATE schema.email_intents SET key_id = $3
    WHERE id = $1 AND lease_epoch = $2 AND state = 'sending' AND lease_until > clock_timestamp() AND NOT in_doubt
    RETURNING id
)
UPDATE schema.verify_emails SET key_id = $3, secret_hash = $4 FROM mine WHERE verify_emails.intent_id = mine.id";

/// What a lease gives of an intent and its link, but for whose mail it is.
macro_rules! leased {
    () => {
        "intent.id, intent.queue, intent.max_retries, intent.run_at, intent.next_attempt_at, intent.deadline,
         (extract(epoch FROM intent.timeout) * 1000)::bigint AS timeout_ms, intent.state, intent.kind,
         intent.lease_epoch, intent.attempts, intent.failures, intent.crash_count, intent.in_doubt,
         code.id AS email_id, intent.key_id, intent.message_id, intent.public_url,
         (extract(epoch FROM intent.link_ttl) * 1000)::bigint AS link_ttl_ms"
    };
}
pub(super) use leased;

/// How an intent is leased, to an owner, for a number of milliseconds (I7: the attempt is counted here).
macro_rules! take {
    ($owner:literal, $length:literal) => {
        concat!(
            "SET state = 'sending', attempts = attempts + 1, lease_epoch = lease_epoch + 1, lease_owner = ",
            $owner,
            ", lease_until = clock_timestamp() + ",
            $length,
            "::bigint * interval '1 millisecond'"
        )
    };
}
pub(super) use take;

/// Whether an intent may be leased: owed, due, in time, and with retries left (I4). `$4` is the term in which the
/// database was found to be ours: whoever it was taken from since then gets nothing, before it knows.
macro_rules! takeable {
    () => {
        "intent.state IN ('waiting', 'dispatched') AND intent.due_at <= clock_timestamp()
         AND intent.deadline > clock_timestamp() AND intent.failures <= intent.max_retries
         AND ($4::bigint = 0 OR $4 = (SELECT term FROM schema.pipeline_owner))"
    };
}
pub(super) use takeable;

/// The end of a statement that leases verification mails: of whom they are, and what the lease gives.
macro_rules! wanted {
    () => {
        concat!(
            "users.username = intent.username AND code.intent_id = intent.id AND ",
            takeable!(),
            "
             AND NOT users.is_email_verified
             -- A worker that is newer than the schema gets no lease: it could not record that the mail was accepted.
             AND (SELECT true FROM schema.refusals LIMIT 0) IS NULL
             RETURNING intent.username, intent.email, users.full_name, intent.locale, ",
            leased!()
        )
    };
}
pub(super) use wanted;

const LEASE: &str = concat!(
    "
UPDATE schema.email_intents AS intent
",
    take!("$2", "$3"),
    "
FROM schema.users, schema.verify_emails AS code
WHERE intent.id = $1 AND intent.kind = 'verification' AND ",
    wanted!()
);

const WHY_NOT: &str = "
SELECT intent.state,
       CASE
           WHEN intent.state NOT IN ('waiting', 'dispatched', 'sending') THEN 'settled'
           WHEN intent.state = 'sending' AND intent.lease_until > clock_timestamp() THEN 'held'
           WHEN intent.state = 'sending' THEN 'lapsed'
           WHEN intent.deadline > clock_timestamp() AND NOT users.is_email_verified
                AND intent.due_at > clock_timestamp() THEN 'not due'
           WHEN intent.deadline > clock_timestamp() AND intent.failures <= intent.max_retries
                AND NOT users.is_email_verified
                AND NOT EXISTS (SELECT FROM schema.verify_emails AS code WHERE code.intent_id = intent.id)
               THEN 'no link'
           WHEN intent.deadline > clock_timestamp() AND intent.failures <= intent.max_retries
                AND NOT users.is_email_verified AND intent.kind = 'notice' THEN 'notice'
           ELSE 'unwanted'
       END AS reason,
       ceil(1000 * extract(epoch FROM (
           CASE WHEN intent.state = 'sending' THEN intent.lease_until ELSE intent.due_at END
       ) - clock_timestamp()))::bigint AS wait_ms
FROM schema.email_intents AS intent LEFT JOIN schema.users ON users.username = intent.username
WHERE intent.id = $1";

const SETTLE_UNWANTED: &str = "
UPDATE schema.email_intents AS intent
SET state = CASE WHEN users.is_email_verified THEN 'cancelled' ELSE 'dead' END,
    last_class = CASE WHEN users.is_email_verified THEN 'verified' ELSE 'deadline' END,
    lease_epoch = intent.lease_epoch + 1, lease_owner = NULL, lease_until = NULL
FROM schema.users
WHERE intent.id = $1 AND users.username = intent.username AND intent.state IN ('waiting', 'dispatched')
  AND (users.is_email_verified OR intent.deadline <= clock_timestamp() OR intent.failures > intent.max_retries)";
