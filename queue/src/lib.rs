//! A task queue in Redis, compatible with Go's asynq v0.26.0 on the wire: both kinds of producers, workers and tools
//! share one Redis. Does not know what the tasks are about.
//!
//! ```
//! use queue::{Client, Connection, Handler, Job, QueuePriority, Server, Settings, Task, TaskError};
//! use std::time::Duration;
//! use tokio::sync::{mpsc, watch};
//!
//! struct Forward(mpsc::UnboundedSender<String>);
//!
//! impl Handler for Forward {
//!     async fn handle(&self, job: Job) -> Result<(), TaskError> {
//!         let _ = self.0.send(job.task.kind);
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), queue::Error> {
//! # let uri = servers::redis().fresh_database();
//! let connection = Connection::open(&uri, None)?;
//! let client = Client::new(connection.clone());
//! client.enqueue(&Task::new("mail:send", r#"{"user":1}"#)).await?;
//!
//! let queues = vec![QueuePriority { name: "default".to_owned(), priority: 1, paused: false }];
//! let settings = Settings { queues, concurrency: 10, ..Settings::default() };
//! let (_settings, live) = watch::channel(settings);
//! let (sender, mut kinds) = mpsc::unbounded_channel();
//! let server = Server::start(connection, live, Duration::from_secs(5), Forward(sender));
//! assert_eq!(kinds.recv().await.as_deref(), Some("mail:send"));
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # States of a task
//!
//! ```text
//!  enqueue ─────────────► pending ──dequeue──► active ──ack──────► gone
//!  schedule ► scheduled ──forward──▲   ▲         │ ├──complete──► completed ──retention over──► gone
//!                 retry ──forward──┘   └─requeue─┤ ├──retry─────► retry
//!                   ▲                            │ └──archive───► archived ──trimmed──► gone
//!                   └──recover (lease expired, or holder known to have ended)───┘
//! ```
//!
//! # Guarantees
//!
//! - A task is run at least once, and a success whose write Redis accepted is never run again. What Redis loses, we
//!   lose.
//! - Only the holder of a task's lease can end, extend or hand back the attempt: every write-back carries a fencing
//!   token.
//! - A task with a payload over a limit is archived without being read, and holds up no other.
//! - Every script is one atomic transition, may be repeated, and ends what it began also when Redis is out of memory.
//! - No task starts before its time by the Redis clock, to the millisecond (a Go worker beside ours: to the second).
//!
//! # Observability
//!
//! The handler runs in a span `task` with `task.id`, `queue.name` and `task.attempt` (from 1); headers of a task, such
//! as a trace context, are carried unchanged. Payloads and errors of handlers are not logged.
//!
//! # Not implemented
//!
//! Groups (a due task of a group is handed to Go's aggregator), the periodic scheduler, results, workflows. Needs Redis
//! 6.2 or newer: one server, a master that sentinels name, or a cluster, of which a queue uses one slot.
//!
//! # Layout
//!
//! - [`Task`], [`Handler`], [`Settings`], [`RetryPolicy`], [`QueueState`], [`Error`]: the words of the interface
//! - [`Client`] puts tasks in, [`Server`] runs them, [`Inspector`] reads, [`Connection`] is what all three share,
//!   [`RedisUri`] where it leads, and [`Certificates`] what goes with it over TLS
//! - [`Tracker`] reads queues of many databases on one connection, and hears when they may have changed
//! - [`Fleet`]: what processes tell each other that share a limit
//! - [`Presence`]: who uses a database, for those who should not share one
//! - [`Supervisor`]: what somebody who watches the processes of servers says of them
//! - `message` and `keys`: the wire format; `scripts`: one Lua file per transition; `broker`: runs them
//! - `backoff`: the time between attempts; `active_wait`: how a caller waits for one task to be written; `batch`: how
//!   several share a round trip
//! - `clock`: Redis' time without asking; `random`: choices that need no secrecy

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod active_wait;
mod backoff;
mod batch;
mod broker;
mod certificates;
mod client;
mod clock;
mod connection;
mod error;
mod fleet;
mod handler;
mod inspector;
mod keys;
mod message;
mod presence;
mod queue_state;
mod random;
mod scripts;
mod server;
mod settings;
mod supervisor;
mod task;
mod tracker;
mod uri;

pub use backoff::RetryPolicy;
pub use certificates::Certificates;
pub use client::Client;
pub use connection::{Connection, Heard, Untracked};
pub use error::Error;
pub use fleet::{Exchanged, Fleet};
pub use handler::{Handler, Job, TaskError, TimeLimit};
pub use inspector::{Inspector, ServerInfo};
pub use presence::Presence;
pub use queue_state::{DUE_LATER_S, QueueReading, QueueState};
pub use server::{Server, ShutdownReport};
pub use settings::{MAX_PAYLOAD_BYTES, QueuePriority, Settings};
pub use supervisor::Supervisor;
pub use task::{Enqueued, Task};
pub use tracker::{Answers, Question, Tracker};
pub use uri::{RedisUri, UriError};
