//! A task queue in Redis, compatible with Go's asynq v0.26.0 on the wire: both kinds of producers, workers and tools share one
//! Redis. Knows nothing of what the tasks are about.
//!
//! ```text
//!  enqueue ─────────────► pending ──dequeue──► active ──ack──────► gone
//!  schedule ► scheduled ──forward──▲   ▲         │ ├──complete──► completed ──retention over──► gone
//!                 retry ──forward──┘   └─requeue─┤ ├──retry─────► retry
//!                   ▲                            │ └──archive───► archived ──trimmed──► gone
//!                   └──recover (lease expired)───┘
//! ```
//!
//! # Guarantees
//!
//! - A task is run at least once, and a success that Redis was told of is never run again. What Redis loses, we lose.
//! - Only the holder of a task's lease can end, extend or hand back the attempt: every write-back carries a fencing token.
//! - Every script is one atomic transition, may be repeated, and ends what it began also when Redis is out of memory.
//! - No task starts before its time by the Redis clock, to the millisecond (a Go worker beside ours: to the second).
//!
//! # Not implemented
//!
//! Groups (a due task of a group is handed to Go's aggregator), the periodic scheduler, results, workflows. Redis Cluster and
//! Sentinel are not connected to, though the keys keep Cluster's rules. Needs Redis 6.2 or newer.
//!
//! # Layout
//!
//! - [`Task`], [`Handler`], [`Settings`], [`RetryPolicy`], [`Error`]: the words of the interface
//! - [`Client`] puts tasks in, [`Server`] runs them, [`Inspector`] looks, [`Connection`] is what all three share
//! - `message` and `keys`: the wire format; `scripts`: one Lua file per transition; `broker`: runs them
//! - `active_wait`: how a caller waits for one task to be written; `gather`: how several share that
//! - `clock`: Redis' time without asking; `random`: choices that need no secrecy

mod active_wait;
mod broker;
mod client;
mod clock;
mod connection;
mod error;
mod gather;
mod handler;
mod inspector;
mod keys;
mod message;
mod random;
mod retry;
mod scripts;
mod server;
mod settings;
mod task;

pub use client::Client;
pub use connection::Connection;
pub use error::Error;
pub use handler::{Handler, Job, TaskError, TimeLimit};
pub use inspector::{Inspector, QueueState, ServerInfo};
pub use retry::RetryPolicy;
pub use server::{Server, ShutdownReport};
pub use settings::{QueuePriority, Settings};
pub use task::{Enqueued, Task};
