//! What `api`, `worker` and `operator` do alike: write logs, answer on an admin port, stop.
//!
//! Takes: a level, a listener, signals. Gives: structured logs, `/livez` `/readyz` `/metrics` `/config`, stop tokens.
//! Does not: hold anything that only one program needs; it stays at three files.
//!
//! # Layout
//!
//! - [`logs`]: subscriber, format, live level
//! - [`admin`]: the admin port
//! - [`shutdown`]: signal, then soft stop, then hard stop

pub mod admin;
pub mod logs;
pub mod shutdown;
