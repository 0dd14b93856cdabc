//! Real servers from Debian's packages (PostgreSQL, Redis, proxies, mail servers), started for one run and removed
//! after it.
//!
//! Takes: what `scripts/setup.sh` installs, or the versions that `POSTGRES_BIN` and `REDIS_SERVER` name; mail servers
//! also need root. Gives: running servers on free ports of
//! 127.0.0.1, each in a temporary folder, databases with random passwords; PostgreSQL runs as an unprivileged user when
//! we are root, because it refuses to run as root. Does not: keep any data. However our process ends (kill -9
//! included), the servers end and their folders go.
//!
//! # Layout
//!
//! - `postgres`, `redis`: one server each, with the levers tests need (stop, kill, pause, start again)
//! - `redis_sentinel`, `redis_cluster`: several that stand in for each other, or share the keys
//! - `nginx`, `haproxy`: one proxy each; `pgbouncer`: a pooler; `dnsmasq`: a name server
//! - `standby`: a second PostgreSQL that follows the first; `failover`: both behind a name that moves
//! - `postfix`, `exim`, `opensmtpd`: one mail server each; `mail`: what they have in common
//! - `smtp_source`: a load generator, as a baseline
//! - `private_root`: where these run, for their packages exclude each other and whatever mail server the machine has
//! - `distance`: a server that is far away; `cutter`: one whose connections break at a chosen point
//! - `authority`: certificates, for servers with TLS
//! - `node`: Node, and programs from npm
//! - `port`: a free port, for a server that has to be told one
//! - `network`: a network of its own for one test, of one family of addresses or both
//! - `nested_cargo`: a build that a test starts
//! - `process`: a server process and the guard that outlives us to clean up
//! - `shared`: one server per test process
//! - `until`: waiting for what a test expects

mod authority;
mod cutter;
mod distance;
mod dnsmasq;
mod exim;
mod failover;
mod haproxy;
mod mail;
mod nested_cargo;
mod network;
mod nginx;
mod node;
mod opensmtpd;
mod pgbouncer;
mod port;
mod postfix;
mod postgres;
mod private_root;
mod process;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod shared;
mod smtp_source;
mod standby;
mod until;

pub use authority::Authority;
pub use cutter::{Cut, Cutter};
pub use distance::Distance;
pub use dnsmasq::Dnsmasq;
pub use exim::Exim;
pub use failover::Failover;
pub use haproxy::Haproxy;
pub use mail::{Accepted, LOGIN, Security, exim, opensmtpd, postfix};
pub use nested_cargo::nested_cargo;
pub use network::Network;
pub use nginx::Nginx;
pub use node::{node, npm_program, tools};
pub use opensmtpd::OpenSmtpd;
pub use pgbouncer::{PgBouncer, PoolMode};
pub use port::free_port;
pub use postfix::Postfix;
pub use postgres::Postgres;
pub use process::{Process, ServerError};
pub use redis::Redis;
pub use redis_cluster::{Move, RedisCluster};
pub use redis_sentinel::RedisSentinel;
pub use shared::{postgres, redis};
pub use smtp_source::SmtpSource;
pub use until::{until, until_blocking};
