//! `pipeline.yaml`: the one configuration file that `api` and `worker` read and the operator writes.
//!
//! Takes: a path to that file (in Kubernetes a mounted ConfigMap) and the Secret files it names.
//! Gives: a validated [`Document`], and a [`Live`] view of it that follows changes without a restart.
//! Does not: know the `SignupPipeline` resource (the operator turns that into a [`Document`]) or open any connection.
//!
//! # Layout
//!
//! - [`document`]: the types, with units and defaults
//! - `check`: what types cannot say
//! - [`duration`]: `10s`, `15m`, `72h`: parse and print
//! - [`secret`]: values that live in files and never in logs
//! - [`postgres_uri`]: where PostgreSQL is, as libpq reads it; [`store_secret`]: the keys of a Secret that say where
//!   PostgreSQL or Redis is
//! - [`mailbox`]: e-mail addresses, and senders with a name; [`domain`]: names of domains
//! - [`Network`]: addresses of proxies; [`Origin`]: where pages stand whose scripts may call `api`
//! - [`identity`]: which of all pipelines of that name a process is of
//! - [`live`]: load, watch, and say which version is in force
//! - [`unready`]: what `api` says on its readiness when it cannot work, and the operator reads
//! - [`hash()`]: the name of a configuration
//! - [`chain()`]: an error and its causes in one line
//! - [`sample`]: a document for tests

mod chain;
mod check;
pub mod document;
pub mod domain;
pub mod duration;
mod hash;
pub mod identity;
pub mod live;
pub mod mailbox;
mod network;
mod origin;
pub mod postgres_uri;
pub mod sample;
pub mod secret;
pub mod store_secret;
pub mod unready;

pub use chain::chain;
pub use document::Document;
pub use domain::Domain;
pub use hash::hash;
pub use identity::Identity;
pub use live::{Live, Loaded};
pub use mailbox::{Address, Mailbox};
pub use network::{Network, NoNetwork};
pub use origin::{NoOrigin, Origin};
pub use postgres_uri::PostgresUri;
pub use unready::Unready;
