//! What the three statements that make intents share: a signup, several signups, a task without an intent.
//!
//! Takes: an intent's id and policy. Gives: the columns that are filled, and the Message-ID. Does not: run a statement.

use crate::Policy;
use uuid::Uuid;

/// The beginning of every statement that makes intents: the columns that they fill, in the order of their values.
macro_rules! insert_intent {
    () => {
        "INSERT INTO schema.email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                           deadline, timeout, public_url, link_ttl, message_id, key_id)"
    };
}
pub(super) use insert_intent;

/// The Message-ID of every copy of an intent's mail (RFC 5322, 3.6.4), with its angle brackets.
pub(super) fn message_id(intent: Uuid, policy: &Policy) -> String {
    format!("<{intent}@{}>", policy.message_id_domain)
}
