//! Both directions with the real Go library (asynq v0.26.0): each side's tasks run on the other, workers of both kinds share a
//! queue and recover each other's tasks, and Go's tools read and steer what we write.

mod tasks;
mod tools;

#[path = "../harness/mod.rs"]
mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::peer::{self, Worker};
use harness::{Bench, answer, nothing_left, ok};
use queue::{Enqueued, Server, Task, TaskError};

fn task(id: &str) -> Task {
    Task {
        id: id.to_owned(),
        max_retries: 3,
        timeout: Duration::from_secs(30),
        ..Task::new("greet", r#"{"username":"alice"}"#)
    }
}

/// Moves the leases of all active tasks `seconds` into the past, as if so much time had gone by since they ended.
async fn leases_ended(bench: &Bench, seconds: i64) {
    let expiry = (jiff::Timestamp::now().as_second() - seconds).to_string();
    for id in bench.redis::<Vec<String>>(&["ZRANGE", "asynq:{default}:lease", "0", "-1"]).await {
        bench.redis::<i64>(&["ZADD", "asynq:{default}:lease", &expiry, &id]).await;
    }
}
