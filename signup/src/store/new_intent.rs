//! What the statements that make intents and links share: a signup, several signups, a task without an intent, a link
//! that is made again.
//!
//! Takes: an intent's id, policy and keys. Gives: the columns that are filled, what is bound for them, and the
//! Message-ID. Does not: run a statement.

use crate::Policy;
use uuid::Uuid;

/// The beginning of every statement that makes intents: the columns that they fill, in the order of their values; and
/// further ones of some.
macro_rules! insert_intent {
    () => {
        $crate::store::new_intent::insert_intent!("")
    };
    ($more:literal) => {
        concat!(
            "INSERT INTO schema.email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                           deadline, timeout, public_url, link_ttl, message_id, key_id, locale",
            $more,
            ")"
        )
    };
}
pub(super) use insert_intent;

/// The same for links. The id is that of [`link::id`](crate::link::id): the table's own sequence is the Go program's.
macro_rules! insert_link {
    () => {
        "INSERT INTO schema.verify_emails (id, username, email, intent_id, secret_hash, key_id, expired_at)"
    };
}
pub(super) use insert_link;

/// Binds what an intent and its link have of the policy and the keys, in the order in which the statements number it:
/// queue, retries, deadline, timeout, public URL, life of the link, Message-ID, id of the key, hash of the code, id of
/// the link. A macro, because the driver's queries with and without rows are of different types.
macro_rules! bind_intent {
    ($query:expr, $id:expr, $policy:expr, $keys:expr) => {
        $query
            .bind(&$policy.queue)
            .bind(i64::from($policy.max_retries))
            .bind($crate::store::milliseconds($policy.deadline))
            .bind($crate::store::milliseconds($policy.timeout))
            .bind(&$policy.public_url)
            .bind($crate::store::milliseconds($policy.link_ttl))
            .bind($crate::store::new_intent::message_id($id, $policy))
            .bind($keys.current_id())
            .bind($keys.current_code($id).hash().to_vec())
            .bind($crate::link::id($id))
    };
}
pub(super) use bind_intent;

/// The values of one more intent of a user, after its id, kind, user name and address: of the rows `generation`,
/// `run_at` and `locale`, and from `$5` on those of [`bind_intent`].
macro_rules! next_intent {
    () => {
        "coalesce(generation, 0) + 1, interval '0', run_at, $5, $6::bigint,
           run_at + $7::bigint * interval '1 millisecond', $8::bigint * interval '1 millisecond', $9,
           $10::bigint * interval '1 millisecond', $11, $12, locale"
    };
}
pub(super) use next_intent;

/// The Message-ID of every copy of an intent's mail (RFC 5322, 3.6.4), with its angle brackets.
pub(super) fn message_id(intent: Uuid, policy: &Policy) -> String {
    format!("<{intent}@{}>", policy.message_id_domain)
}
