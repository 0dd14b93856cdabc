//! The queue as its users see it, on a real Redis and beside the real asynq of Go: one test program, so that it is
//! linked once.
//!
//! # Layout
//!
//! - `server`: what runs, when, how often and how it ends; `span`: what a subscriber sees of it
//! - `crash`, `faults`, `outage`, `broken_queue`: dead workers, a Redis in trouble, one that is away, keys of a wrong
//!   type; `too_long`: tasks that are too long to be read
//! - `tracker`: one connection for queues of many databases, and what it hears
//! - `supervised`: what is said of servers from outside
//! - `places`: the same on everything that a URI can name; `cluster`, `sentinel`: slots that move, masters that change
//! - `wire_compat`: both directions with Go; `tls`: the same Redis behind TLS
//! - `examples`: the programs in `queue/examples`
//! - `harness`: what all of them start with

#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod broken_queue;
mod cluster;
mod crash;
mod examples;
mod faults;
mod harness;
mod outage;
mod places;
mod sentinel;
mod server;
mod span;
mod supervised;
mod tls;
mod too_long;
mod tracker;
mod wire_compat;
