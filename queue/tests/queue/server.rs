//! The worker server against a real Redis: what runs, when, how often, and what its settings, pauses, cancellations,
//! panics and shutdown do.

mod endings;
mod order;

use crate::harness::{Fixture, answer, gated, ok};
use queue::{Enqueued, QueuePriority, RetryPolicy, Task, TaskError};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

fn task(id: &str) -> Task {
    Task { id: id.to_owned(), ..Task::new("mail:send", "{}") }
}

fn queue(name: &str, priority: u32) -> QueuePriority {
    QueuePriority { name: name.to_owned(), priority, paused: false }
}

fn again(after: Duration, counted: bool, cause: &str) -> TaskError {
    TaskError::Retry { after: Some(after), counted, cause: cause.to_owned() }
}
