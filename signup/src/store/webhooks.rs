//! Who is told of users and mails, and what is owed to them.
//!
//! Takes: what the resource says of webhooks; later their URLs. Gives: deliveries to make, each to one worker at a
//! time, and what came of them recorded. Does not: make what is owed: triggers do, in the transaction of what it is
//! about, whoever writes that (`migrations/0017_webhooks.sql`); nor send anything.
//!
//! A lease is a delivery that is due later: that of a worker that vanished comes due again by itself.

use super::{Store, StoreError, milliseconds};
use pipeline::Document;
use sqlx::FromRow;
use std::{fmt, sync::atomic::Ordering, time::Duration};
use uuid::Uuid;

/// Rows forgotten in one statement.
const FORGET_LIMIT: i64 = 1_000;

/// One delivery, leased.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct Delivery {
    /// The same for every copy.
    pub id: Uuid,
    /// The word of what it tells.
    pub event: String,
    /// The same bytes for every copy. Personal.
    pub body: String,
    /// Names the lease.
    #[sqlx(rename = "lease_epoch")]
    pub epoch: i64,
    /// Counted failures so far.
    #[sqlx(try_from = "super::rows::Counter")]
    pub failures: u32,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, event, epoch, failures, body: _ } = self;
        f.debug_struct("Delivery")
            .field("id", id)
            .field("event", event)
            .field("epoch", epoch)
            .field("failures", failures)
            .finish_non_exhaustive()
    }
}

/// What a failed delivery led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// Owed still.
    Again,
    /// The retries or the time allowed were used up.
    Dead,
    /// Somebody else decides about it: another lease was given since, or its user is gone.
    Stale,
}

impl Store {
    /// Writes down who is told of what, and under which policy, as a document says; from then on it is owed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_webhooks(&self, document: &Document) -> Result<(), StoreError> {
        let urls: Vec<&str> = document.webhooks.iter().map(|webhook| webhook.url.as_str()).collect();
        // An array of arrays would have to be a rectangle.
        let events: Vec<String> = document.webhooks.iter().map(|webhook| words(webhook.told())).collect();
        sqlx::query(self.sql(SET))
            .bind(urls)
            .bind(events)
            .bind(i64::from(document.task.max_retries))
            .bind(milliseconds(document.task.deadline))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Leases up to `limit` deliveries to a URL that are owed and due, the longest due first, and counts the attempts.
    /// What is about a hidden signup is dropped, and what is too late is given up; neither is among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lease_deliveries(&self, url: &str, limit: u32, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let term = self.term.load(Ordering::Relaxed);
        sqlx::query(self.sql(DROP)).bind(url).bind(term).execute(&self.pool).await?;
        let leasing = sqlx::query_as(self.sql(LEASE)).bind(url).bind(i64::from(limit)).bind(milliseconds(lease));
        Ok(leasing.bind(term).fetch_all(&self.pool).await?)
    }

    /// Records that a delivery was taken: nothing of it is kept. False: another lease was given since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn record_delivered(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let statement = "DELETE FROM schema.webhook_deliveries WHERE id = $1 AND lease_epoch = $2";
        let done = sqlx::query(self.sql(statement)).bind(delivery.id).bind(delivery.epoch).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records a delivery that failed and may be tried again `after` a while. A `counted` failure uses up a retry.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn record_undelivered(
        &self,
        delivery: &Delivery,
        class: &str,
        counted: bool,
        after: Duration,
    ) -> Result<DeliveryEnd, StoreError> {
        let state: Option<String> = sqlx::query_scalar(self.sql(FAIL))
            .bind(delivery.id)
            .bind(delivery.epoch)
            .bind(class)
            .bind(i32::from(counted))
            .bind(milliseconds(after))
            .fetch_optional(&self.pool)
            .await?;
        Ok(match state.as_deref() {
            Some("dead") => DeliveryEnd::Dead,
            Some(_) => DeliveryEnd::Again,
            None => DeliveryEnd::Stale,
        })
    }

    /// Gives up what is owed to URLs that nobody sends to any more and is too late, and forgets what was given up 30
    /// days ago; a bounded number of each. Gives the number forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_deliveries(&self) -> Result<u64, StoreError> {
        Ok(sqlx::query(self.sql(FORGET)).bind(FORGET_LIMIT).execute(&self.pool).await?.rows_affected())
    }
}

fn words(events: &[pipeline::document::WebhookEvent]) -> String {
    events.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(" ")
}

/// What is the same already is not written.
const SET: &str = "
WITH wanted AS (
    SELECT url, string_to_array(events, ' ') AS events, $3::integer AS max_retries,
           $4::bigint * interval '1 millisecond' AS deadline
    FROM unnest($1::text[], $2::text[]) AS wanted (url, events)
), gone AS (
    DELETE FROM schema.webhooks AS known WHERE NOT EXISTS (SELECT FROM wanted WHERE wanted.url = known.url)
)
INSERT INTO schema.webhooks AS known (url, events, max_retries, deadline)
SELECT url, events, max_retries, deadline FROM wanted
ON CONFLICT (url) DO UPDATE
SET events = excluded.events, max_retries = excluded.max_retries, deadline = excluded.deadline
WHERE (known.events, known.max_retries, known.deadline)
      IS DISTINCT FROM (excluded.events, excluded.max_retries, excluded.deadline)";

/// Whether this worker may have what is due of a URL: as `takeable!` of `lease`, with `$term` for the owner's term.
macro_rules! due {
    ($term:literal) => {
        concat!(
            "url = $1 AND state = 'owed' AND due_at <= (SELECT clock_timestamp()) AND (",
            $term,
            "::bigint = 0 OR ",
            $term,
            " = (SELECT term FROM schema.pipeline_owner))"
        )
    };
}

/// A change of the state would have to come before the lease, and a statement sees a row as it was.
const DROP: &str = concat!(
    "
WITH too_late AS (
    UPDATE schema.webhook_deliveries AS delivery SET state = 'dead', last_class = coalesce(last_class, 'deadline')
    FROM (
        SELECT id FROM schema.webhook_deliveries
        WHERE ",
    due!("$2"),
    " AND NOT is_hidden AND deadline <= (SELECT clock_timestamp())
        FOR UPDATE SKIP LOCKED
    ) AS late
    WHERE delivery.id = late.id
)
DELETE FROM schema.webhook_deliveries WHERE id IN (
    SELECT id FROM schema.webhook_deliveries
    WHERE ",
    due!("$2"),
    " AND is_hidden
    FOR UPDATE SKIP LOCKED)"
);

const LEASE: &str = concat!(
    "
UPDATE schema.webhook_deliveries AS delivery
SET due_at = clock_timestamp() + $3::bigint * interval '1 millisecond', attempts = attempts + 1,
    lease_epoch = lease_epoch + 1
FROM (
    SELECT id FROM schema.webhook_deliveries
    WHERE ",
    due!("$4"),
    " AND NOT is_hidden AND deadline > (SELECT clock_timestamp())
    ORDER BY due_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
) AS due
WHERE delivery.id = due.id
RETURNING delivery.id, event, body, lease_epoch, failures"
);

const FAIL: &str = "
UPDATE schema.webhook_deliveries
SET state = CASE WHEN failures + $4::integer > max_retries OR deadline <= clock_timestamp() THEN 'dead' ELSE 'owed' END,
    failures = failures + $4::integer, last_class = $3,
    due_at = clock_timestamp() + $5::bigint * interval '1 millisecond'
WHERE id = $1 AND lease_epoch = $2 AND state = 'owed'
RETURNING state";

const FORGET: &str = "
WITH too_late AS (
    UPDATE schema.webhook_deliveries AS delivery SET state = 'dead', last_class = coalesce(last_class, 'deadline')
    FROM (
        SELECT id FROM schema.webhook_deliveries
        WHERE state = 'owed' AND deadline < (SELECT clock_timestamp() - interval '1 minute')
        ORDER BY deadline
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ) AS late
    WHERE delivery.id = late.id
)
DELETE FROM schema.webhook_deliveries WHERE id IN (
    SELECT id FROM schema.webhook_deliveries
    WHERE state = 'dead' AND deadline < (SELECT clock_timestamp() - interval '30 days')
    ORDER BY deadline
    LIMIT $1
    FOR UPDATE SKIP LOCKED)";
