//! Real PostgreSQL and Redis servers from the system's packages, started for one run and removed after it.
//!
//! Takes: the programs that Debian's packages `postgresql` and `redis-server` install. Gives: running servers on free
//! ports of 127.0.0.1, each in a temporary folder, with random passwords; PostgreSQL runs as an unprivileged user when
//! we are root, because it refuses to run as root. Does not: keep any data. However our process ends (kill -9
//! included), the servers end and their folders go.
//!
//! # Layout
//!
//! - `postgres`, `redis`: one server each, with the levers tests need (stop, kill, pause, start again)
//! - `authority`: certificates, for servers with TLS
//! - `port`: a free port, for a server that has to be told one
//! - `process`: a server process and the guard that outlives us to clean up
//! - `shared`: one server per test process
//! - `until`: waiting for what a test expects

mod authority;
mod port;
mod postgres;
mod process;
mod redis;
mod shared;
mod until;

pub use authority::Authority;
pub use port::free_port;
pub use postgres::Postgres;
pub use process::{Process, ServerError};
pub use redis::Redis;
pub use shared::{postgres, redis};
pub use until::{until, until_blocking};
