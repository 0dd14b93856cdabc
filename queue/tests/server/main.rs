//! The worker server against a real Redis: what runs, when, how often, and what its settings, pauses, cancellations, panics and
//! shutdown do.

mod endings;
mod order;

#[path = "../harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Bench, answer, gated, ok};
use queue::{Enqueued, QueuePriority, RetryPolicy, Task, TaskError};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

fn task(id: &str) -> Task {
    Task { id: id.to_owned(), ..Task::new("greet", "{}") }
}

fn queue(name: &str, priority: u32) -> QueuePriority {
    QueuePriority { name: name.to_owned(), priority, paused: false }
}

fn again(after: Duration, counted: bool, cause: &str) -> TaskError {
    TaskError::Retry { after: Some(after), counted, cause: cause.to_owned() }
}
