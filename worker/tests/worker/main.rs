//! The worker on a real PostgreSQL, a real Redis and a scripted mail server.
//!
//! - `fixture`: what every test starts with
//! - `verification_email`: the handler, one attempt at a time
//! - `process`: a whole worker in this process
//! - `program`: the program itself; `intents`: its command
//! - `webhooks`: applications that are told
//!
//! The SMTP dialogue alone has tests of its own (`tests/smtp`).

mod fixture;
mod intents;
mod ownership;
mod process;
mod program;
mod users;
mod verification_email;
mod webhook_standing;
mod webhooks;
