//! The tests of the store once more, with the tables in a schema whose name needs quotes, beside another application's
//! tables of the same names in `public`: every statement, function and migration names its schema.

#[path = "../signup/adoption.rs"]
mod adoption;
#[path = "../signup/correction.rs"]
mod correction;
#[path = "../signup/counts.rs"]
mod counts;
#[path = "../signup/create_user.rs"]
mod create_user;
#[path = "../signup/deletion.rs"]
mod deletion;
#[path = "../signup/delivery.rs"]
mod delivery;
#[path = "../signup/digits.rs"]
mod digits;
#[path = "../signup/fixture.rs"]
mod fixture;
#[path = "../signup/group_commit.rs"]
mod group_commit;
#[path = "../signup/hiding.rs"]
mod hiding;
#[path = "../signup/intents.rs"]
mod intents;
#[path = "../signup/lease.rs"]
mod lease;
#[path = "../signup/migrations.rs"]
mod migrations;
mod neighbours;
#[path = "../signup/once.rs"]
mod once;
#[path = "../signup/owner.rs"]
mod owner;
#[path = "../signup/pooler.rs"]
mod pooler;
#[path = "../signup/record.rs"]
mod record;
#[path = "../signup/refusals.rs"]
mod refusals;
#[path = "../signup/relay.rs"]
mod relay;
#[path = "../signup/resend.rs"]
mod resend;
#[path = "../signup/resend_once.rs"]
mod resend_once;
#[path = "../signup/retention.rs"]
mod retention;
#[path = "../signup/together.rs"]
mod together;
#[path = "../signup/usable.rs"]
mod usable;
#[path = "../signup/user_changes.rs"]
mod user_changes;
#[path = "../signup/verify.rs"]
mod verify;
#[path = "../signup/webhooks.rs"]
mod webhooks;

/// Capitals and a hyphen: without quotes another name, or none.
const SCHEMA: Option<&str> = Some("Sign-Up");
