//! Leases on several intents, by one statement.
//!
//! Takes: requests of one worker that came at once. Gives: those that could be carried out; the others are for
//! [`Store::lease`] to answer, one by one. Does not: wait for a row that somebody else has locked, so two workers never
//! wait for each other; the rows are locked in the order of their ids all the same.

use super::{Leased, leased, take, takeable, wanted};
use crate::{
    batch::Request,
    store::{Store, StoreError, milliseconds},
};
use std::{sync::atomic::Ordering, time::Duration};
use uuid::Uuid;

/// A mail that somebody wants to send.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) owner: String,
    pub(in crate::store) length: Duration,
}

impl Request for LeaseRequest {
    type Answer = Box<Leased>;

    fn id(&self) -> Uuid {
        self.id
    }

    async fn together(store: &Store, requests: &[Self]) -> Result<Vec<(Uuid, Box<Leased>)>, StoreError> {
        let ids: Vec<Uuid> = requests.iter().map(|request| request.id).collect();
        let owners: Vec<&str> = requests.iter().map(|request| request.owner.as_str()).collect();
        let lengths: Vec<i64> = requests.iter().map(|request| milliseconds(request.length)).collect();
        let leasing = sqlx::query_as(store.sql(LEASE_TOGETHER)).bind(ids).bind(owners).bind(lengths);
        let leased: Vec<Leased> =
            leasing.bind(store.term.load(Ordering::Relaxed)).fetch_all(store.pool.successive()).await?;
        Ok(leased.into_iter().map(|leased| (leased.intent.id, Box::new(leased))).collect())
    }

    async fn unwanted(store: &Store, id: Uuid, leased: Box<Leased>) {
        // An error means that it runs out by itself.
        let _ = store.record_release(id, leased.epoch).await;
    }
}

/// Every length is between the bounds. They let PostgreSQL expect one row of arrays of any length, as of a lease alone.
/// Where it looks at their length, it plans each statement anew, which takes as long as carrying it out.
const LEASE_TOGETHER: &str = concat!(
    "
WITH asked AS (
    SELECT asked.id, asked.owner, asked.length
    FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS asked (id, owner, length)
    JOIN schema.email_intents AS intent ON intent.id = asked.id
    WHERE intent.kind = 'verification' AND asked.length BETWEEN 0 AND 9223372036854775807
    ORDER BY intent.id
    FOR NO KEY UPDATE OF intent SKIP LOCKED
)
UPDATE schema.email_intents AS intent
",
    take!("asked.owner", "asked.length"),
    "
FROM asked, schema.users, schema.verify_emails AS code
WHERE intent.id = asked.id AND ",
    wanted!()
);
