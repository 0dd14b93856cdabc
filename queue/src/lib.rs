//! A task queue in Redis, compatible with Go's asynq v0.26.0 on the wire: both kinds of producers, workers and tools share one
//! Redis. Knows nothing of what the tasks are about.

mod broker;
mod client;
mod clock;
mod connection;
mod error;
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
pub use handler::{Handler, Job, TaskError};
pub use inspector::{Inspector, QueueState, ServerInfo};
pub use retry::RetryPolicy;
pub use server::{Server, ShutdownReport};
pub use settings::{QueuePriority, Settings};
pub use task::{Enqueued, Task};
