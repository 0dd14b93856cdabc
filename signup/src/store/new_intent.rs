//! What the statements that make intents and links share: a signup, several signups, a task without an intent, a link
//! that is made again.
//!
//! Takes: an intent's id and policy. Gives: the columns that are filled, and the Message-ID. Does not: run a statement.

use crate::Policy;
use uuid::Uuid;

/// The beginning of every statement that makes intents: the columns that they fill, in the order of their values.
macro_rules! insert_intent {
    () => {
        "INSERT INTO schema.email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                           deadline, timeout, public_url, link_ttl, message_id, key_id, locale)"
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

/// The Message-ID of every copy of an intent's mail (RFC 5322, 3.6.4), with its angle brackets.
pub(super) fn message_id(intent: Uuid, policy: &Policy) -> String {
    format!("<{intent}@{}>", policy.message_id_domain)
}
