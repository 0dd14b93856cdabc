//! Several mails that the mail server accepted, recorded by one statement.
//!
//! Takes: requests of one worker that came at once. Gives: those that could be carried out; the others are for
//! [`Store::record_sent`] to answer, one by one. Does not: wait for a row that somebody else has locked; the rows are
//! locked in the order of their ids all the same.

use super::sent;
use crate::{
    batch::Request,
    store::{Store, StoreError},
};
use uuid::Uuid;

/// A mail that the mail server accepted under a lease.
#[derive(Debug, Clone)]
pub(crate) struct SentRequest {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) epoch: i64,
    pub(in crate::store) reply: String,
}

impl Request for SentRequest {
    type Answer = ();

    fn id(&self) -> Uuid {
        self.id
    }

    async fn together(store: &Store, requests: &[Self]) -> Result<Vec<(Uuid, ())>, StoreError> {
        let ids: Vec<Uuid> = requests.iter().map(|request| request.id).collect();
        let epochs: Vec<i64> = requests.iter().map(|request| request.epoch).collect();
        let replies: Vec<&str> = requests.iter().map(|request| request.reply.as_str()).collect();
        let recording = sqlx::query_scalar(store.sql(SENT_TOGETHER)).bind(ids).bind(epochs).bind(replies);
        let recorded: Vec<Uuid> = recording.fetch_all(store.pool.successive()).await?;
        Ok(recorded.into_iter().map(|id| (id, ())).collect())
    }

    async fn unwanted(_: &Store, _: Uuid, (): ()) {}
}

/// Every epoch is between the bounds, which let it be planned once, as that of leases.
const SENT_TOGETHER: &str = concat!(
    "
WITH asked AS (
    SELECT asked.id, asked.epoch, asked.reply
    FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS asked (id, epoch, reply)
    JOIN schema.email_intents AS intent ON intent.id = asked.id
    JOIN schema.verify_emails AS code ON code.intent_id = asked.id
    WHERE asked.epoch BETWEEN 0 AND 9223372036854775807
    ORDER BY intent.id
    FOR NO KEY UPDATE OF intent, code SKIP LOCKED
), ",
    sent!("asked.reply FROM asked", " WHERE intent.id = asked.id AND intent.lease_epoch = asked.epoch")
);
