//! The worker: due tasks in, mails out, results recorded.
//!
//! Takes: tasks from Redis (asynq's format), what to send from PostgreSQL, settings from a file that it follows.
//! Gives: verification mails over SMTP, each one once but for the window that the README names.
//! Does not: decide when a mail is due, keep anything on disk, or lose anything when it is killed.
//!
//! # Layout
//!
//! - [`process`]: starts and stops what is below
//! - [`verification_email`]: the handler: lease, attempt, record
//! - [`webhooks`]: applications are told of users and mails
//! - [`lease`]: the exclusive right to send one mail
//! - `message`: the mail, from templates to bytes
//! - [`mail`]: SMTP: dialogue, classes of failure, connections kept, circuit breaker, pace
//! - `settings`, `materials`: what the configuration means for the queue and for mails
//! - `ownership`: whether the database is this pipeline's
//! - `retry_wait`: how long a mail waits after a failed attempt
//! - [`intents`], [`users`]: `worker intents` and `worker users`, the commands of the person who looks after them
//! - [`render`]: `worker render-mail`, a look at a mail
//! - [`config`]: flags; `random`: chance

pub mod config;
pub mod intents;
pub mod lease;
pub mod mail;
pub mod materials;
mod message;
mod ownership;
pub mod process;
mod random;
pub mod render;
mod retry_wait;
#[cfg(test)]
mod samples;
mod settings;
mod share;
pub mod users;
pub mod verification_email;
pub mod webhooks;
