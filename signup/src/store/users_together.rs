//! Several signups in one statement, which is one transaction and one round trip for all of them.
//!
//! Takes: parsed users that share a policy and a key. Gives: for each what was committed, or `None` where its name or
//! address was taken. Does not: say which of the two; [`Store::create_user`] does. No two of the users may have one
//! name.

use super::{
    Store, milliseconds,
    new_intent::{insert_intent, insert_link, message_id},
};
use crate::{Created, Locale, NewUser, Policy, link, verification::Keys};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// Time from the insert to the commit of a group that is added to the delay beforehand, where it is short beside the
/// delay: otherwise the trigger `email_intents_stamp` would write most intents twice.
const MAX_MARGIN: Duration = Duration::from_millis(10);

impl Store {
    /// Creates users as [`Store::create_user`] does, all in one transaction; results are in the order of `new`.
    ///
    /// # Errors
    ///
    /// PostgreSQL's. When it refused one row, none was created.
    pub(crate) async fn create_users(
        &self,
        new: &[NewUser],
        policy: &Policy,
        keys: &Keys,
    ) -> Result<Vec<Option<Created>>, sqlx::Error> {
        let intents: Vec<Uuid> = new.iter().map(|_| Uuid::now_v7()).collect();
        let hashes: Vec<_> = intents.iter().map(|intent| keys.current_code(*intent).hash()).collect();
        let rows: Vec<Created> = sqlx::query_as(self.sql(CREATE_USERS))
            .bind(texts(new, |new| new.username.as_str()))
            .bind(texts(new, |new| &new.hashed_password))
            .bind(texts(new, |new| new.full_name.as_str()))
            .bind(texts(new, |new| new.email.as_str()))
            .bind(texts(new, |new| new.email.canonical()))
            .bind(&intents)
            .bind(intents.iter().map(|intent| message_id(*intent, policy)).collect::<Vec<_>>())
            .bind(hashes.iter().map(|hash| &hash[..]).collect::<Vec<_>>())
            .bind(milliseconds(policy.delay))
            .bind(milliseconds(policy.delay + (policy.delay / 1000).min(MAX_MARGIN)))
            .bind(&policy.queue)
            .bind(i64::from(policy.max_retries))
            .bind(milliseconds(policy.deadline))
            .bind(milliseconds(policy.timeout))
            .bind(&policy.public_url)
            .bind(milliseconds(policy.link_ttl))
            .bind(keys.current_id())
            .bind(intents.iter().map(|intent| link::id(*intent)).collect::<Vec<_>>())
            .bind(new.iter().map(|new| new.locale.as_ref().map(Locale::as_str)).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let mut created: HashMap<Uuid, Created> =
            rows.into_iter().map(|created| (created.intent.id, created)).collect();
        Ok(intents.iter().map(|intent| created.remove(intent)).collect())
    }
}

fn texts<'a>(new: &'a [NewUser], field: impl Fn(&'a NewUser) -> &'a str) -> Vec<&'a str> {
    new.iter().map(field).collect()
}

/// The intents are sorted so that the first is not inserted before the last user is: their triggers run in that order
/// inside COMMIT, and `email_intents_stamp` has to be the last.
const CREATE_USERS: &str = concat!(
    "
WITH asked AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::bytea[],
                $18::bigint[], $19::text[])
    AS asked (username, hashed_password, full_name, email, email_canonical, intent_id, message_id, secret_hash, link_id,
              locale)
), new_user AS (
    INSERT INTO schema.users (username, hashed_password, full_name, email, email_canonical)
    SELECT username, hashed_password, full_name, email, email_canonical FROM asked
    ON CONFLICT DO NOTHING
    RETURNING username, full_name, email, password_changed_at, created_at
), new_intent AS (
    ",
    insert_intent!(),
    "
    SELECT asked.intent_id, 'verification', new_user.username, new_user.email, 1,
           $9::bigint * interval '1 millisecond', clock_timestamp() + $10::bigint * interval '1 millisecond', $11,
           $12::bigint, clock_timestamp() + ($10::bigint + $13::bigint) * interval '1 millisecond',
           $14::bigint * interval '1 millisecond', $15, $16::bigint * interval '1 millisecond', asked.message_id, $17,
           asked.locale
    FROM new_user JOIN asked ON asked.username = new_user.username
    ORDER BY asked.intent_id
    RETURNING id, username, queue, max_retries, run_at, next_attempt_at, deadline, state
), new_code AS (
    ",
    insert_link!(),
    "
    SELECT asked.link_id, new_user.username, new_user.email, asked.intent_id, asked.secret_hash, $17, 'infinity'
    FROM new_user JOIN asked ON asked.username = new_user.username
)
SELECT new_user.username, new_user.full_name, new_user.email, new_user.password_changed_at, new_user.created_at,
       new_intent.id, new_intent.queue, new_intent.max_retries, new_intent.run_at, new_intent.next_attempt_at,
       new_intent.deadline, $14::bigint AS timeout_ms, new_intent.state
FROM new_user JOIN new_intent ON new_intent.username = new_user.username"
);
