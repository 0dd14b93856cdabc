//! What `api`, `worker` and `operator` do alike: write logs, listen, answer on an admin port, stop, and say why they
//! end.
//!
//! Takes: a level, addresses, signals. Gives: structured logs, `/livez` `/readyz` `/metrics` `/config`, stop tokens,
//! an exit code. Does not: hold anything that only one program needs.
//!
//! # Layout
//!
//! - [`logs`]: subscriber, format, live level
//! - [`admin`]: the admin port
//! - [`listener`]: where a program listens
//! - [`shutdown`]: signal, then soft stop, then hard stop
//! - [`authorities`]: whom TLS trusts where no field says so
//! - [`exit`]: the last words of a program that cannot go on

pub mod admin;
pub mod authorities;
pub mod exit;
pub mod listener;
pub mod logs;
pub mod shutdown;
