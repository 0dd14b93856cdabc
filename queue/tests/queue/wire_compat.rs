//! Both directions with the real Go library (asynq v0.26.0): each side's tasks run on the other, workers of both kinds
//! share a queue and recover each other's tasks, and Go's tools read and steer what we write.

mod tasks;
mod tools;

use crate::harness::{
    Fixture, answer, nothing_left, ok,
    peer::{self, Worker},
};
use queue::{Enqueued, Server, Task, TaskError};
use std::{collections::BTreeSet, time::Duration};

fn task(id: &str) -> Task {
    Task {
        id: id.to_owned(),
        max_retries: 3,
        timeout: Duration::from_secs(30),
        ..Task::new("mail:send", r#"{"username":"alice"}"#)
    }
}

/// Moves the leases of all active tasks `seconds` into the past, as if so much time had gone by since they ended.
async fn leases_ended(fixture: &Fixture, seconds: i64) {
    let expiry = (jiff::Timestamp::now().as_second() - seconds).to_string();
    for id in fixture.redis::<Vec<String>>(&["ZRANGE", "asynq:{default}:lease", "0", "-1"]).await {
        fixture.redis::<i64>(&["ZADD", "asynq:{default}:lease", &expiry, &id]).await;
    }
}
