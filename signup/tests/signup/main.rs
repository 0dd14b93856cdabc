//! The domain and its statements, on a real PostgreSQL: every function of the store is run by a test of this program.

mod adoption;
mod correction;
mod counts;
mod create_user;
mod deletion;
mod delivery;
mod digits;
mod failover;
mod fixture;
mod group_commit;
mod hiding;
mod hosts;
mod intents;
mod kept;
mod lease;
mod migrations;
mod once;
mod owner;
mod pooler;
mod record;
mod refusals;
mod relay;
mod resend;
mod resend_once;
mod retention;
mod together;
mod unready;
mod usable;
mod user_changes;
mod verification;
mod verify;
mod webhooks;

/// The tables are where the role's `search_path` leads.
const SCHEMA: Option<&str> = None;
