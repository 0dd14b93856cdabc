//! Every 5 s: extends the leases of running attempts (sooner after a failure), publishes what this server is and runs, registers
//! its queues again, and measures the clock. An attempt whose lease is lost is cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;

use super::Shared;
use super::running::Attempt;
use crate::broker::LEASE;
use crate::error::Error;
use crate::message::{self, Stored, wire};

/// asynq's interval (v0.26.0, `heartbeat.go`); its tools believe in a server for 10 s.
const INTERVAL: Duration = Duration::from_secs(5);
/// A failed extension is tried again this soon: after an outage nobody else may be quicker.
const EXTEND_AGAIN: Duration = Duration::from_millis(500);
/// Leases that end later than this are left for the next beat.
const EXTEND_BELOW: Duration = Duration::from_secs(26);
/// Most leases in one call.
const LEASES_PER_CALL: usize = 250;

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut beat = tokio::time::interval(INTERVAL);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut extended = true;
    loop {
        tokio::select! {
            () = shared.quit.cancelled() => return,
            _ = beat.tick() => {
                extended = extend(&shared).await;
                if let Err(error) = publish(&shared).await {
                    shared.log_trouble("failed to publish the heartbeat", &error);
                }
            }
            () = tokio::time::sleep(EXTEND_AGAIN), if !extended => extended = extend(&shared).await,
        }
    }
}

/// Extends the leases that need it; false when Redis did not answer for all of them.
async fn extend(shared: &Shared) -> bool {
    let mut by_queue: HashMap<usize, Vec<(u64, Attempt)>> = HashMap::new();
    for (number, attempt) in shared.running.lease_ends_within(EXTEND_BELOW) {
        by_queue.entry(attempt.queue.number).or_default().push((number, attempt));
    }
    let mut answered = true;
    for attempts in by_queue.values() {
        for chunk in attempts.chunks(LEASES_PER_CALL) {
            if let Err(error) = extend_chunk(shared, chunk).await {
                shared.log_trouble("failed to extend leases", &error);
                cancel_expired(chunk);
                answered = false;
            }
        }
    }
    answered
}

async fn extend_chunk(shared: &Shared, attempts: &[(u64, Attempt)]) -> Result<(), Error> {
    let asked = Instant::now();
    let tasks: Vec<(&str, &str)> = attempts.iter().map(|(_, attempt)| (&*attempt.taken.id, &*attempt.token)).collect();
    let queue = &attempts[0].1.queue;
    let extended = shared.broker.extend_leases(&queue.keys, &tasks, shared.broker.now()).await?;
    for ((number, attempt), extended) in attempts.iter().zip(extended) {
        if extended {
            shared.running.extended(*number, asked + LEASE);
        } else if shared.running.is_unended(*number) && !attempt.cancelled.is_cancelled() {
            // Not ours any more, and no result of it on its way: somebody recovered the task, or Redis lost it.
            queue.leases_lost.increment(1);
            tracing::warn!(task.id = attempt.taken.id, queue.name = queue.keys.name, "lease lost, attempt cancelled");
            attempt.cancelled.cancel();
        }
    }
    Ok(())
}

/// Without an answer the lease may still be ours until its time is over, and not after.
fn cancel_expired(attempts: &[(u64, Attempt)]) {
    for (_, attempt) in attempts.iter().filter(|(_, attempt)| attempt.lease_until <= Instant::now()) {
        attempt.cancelled.cancel();
    }
}

async fn publish(shared: &Shared) -> Result<(), Error> {
    let now = shared.broker.now();
    let settings = shared.settings.borrow().clone();
    let attempts = shared.running.all();
    let info = wire::ServerInfo {
        host: shared.host.clone(),
        pid: shared.pid,
        server_id: shared.server_id.clone(),
        concurrency: i32::try_from(settings.concurrency).unwrap_or(i32::MAX),
        queues: message::priorities(settings.queues.iter().map(|queue| (&*queue.name, queue.priority))),
        strict_priority: settings.strict_priority,
        status: if shared.stop_taking.is_cancelled() { "stopped" } else { "active" }.to_owned(),
        start_time: Some(message::timestamp(shared.started)),
        active_worker_count: i32::try_from(shared.running_handlers()).unwrap_or(i32::MAX),
    };
    let workers: Vec<(String, Vec<u8>)> =
        attempts.iter().filter_map(|(_, attempt)| worker_info(shared, attempt)).collect();
    let names: Vec<&str> = settings.queues.iter().map(|queue| &*queue.name).collect();
    // Each whatever became of the ones before: a full Redis refuses new names.
    let published = shared.broker.write_server(&shared.identity(), &info.encode_to_vec(), &workers, now).await;
    let registered = shared.broker.register(&names).await;
    let measured = shared.broker.connection().measure_clock().await;
    published.and(registered).and(measured)
}

fn worker_info(shared: &Shared, attempt: &Attempt) -> Option<(String, Vec<u8>)> {
    let task = Stored::decode(&attempt.taken.message).ok()?.into_task();
    let info = wire::WorkerInfo {
        host: shared.host.clone(),
        pid: shared.pid,
        server_id: shared.server_id.clone(),
        task_id: task.id.clone(),
        task_type: task.kind,
        task_payload: task.payload,
        queue: task.queue,
        start_time: Some(message::timestamp(attempt.started)),
        deadline: Some(message::timestamp(attempt.ends)),
    };
    Some((task.id, info.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::broker::{Broker, Taken};
    use crate::{Connection, RetryPolicy, Settings};

    #[tokio::test]
    async fn a_lost_lease_cancels_a_running_attempt_and_none_whose_result_is_being_written() {
        let broker = Broker::new(Connection::open(&servers::redis().fresh_database(), None).expect("a good URI"));
        let settings =
            Settings { queues: Vec::new(), strict_priority: false, concurrency: 0, retry: RetryPolicy::default() };
        let (results, _) = tokio::sync::mpsc::unbounded_channel();
        let shared = Shared::new(broker, tokio::sync::watch::channel(settings).1, results);
        let handler = tokio::spawn(std::future::pending::<()>());
        let attempts: Vec<(u64, Attempt)> = [None, Some(handler.abort_handle())]
            .into_iter()
            .zip(0..)
            .map(|(abort, number)| {
                let attempt = Attempt {
                    queue: shared.queues.get("default"),
                    taken: Arc::new(Taken { id: "a".to_owned(), message: Vec::new() }),
                    token: "A".into(),
                    started: shared.started,
                    ends: shared.started,
                    cancelled: CancellationToken::new(),
                    lease_until: Instant::now(),
                    abort,
                };
                shared.running.insert(number, attempt.clone());
                (number, attempt)
            })
            .collect();
        extend_chunk(&shared, &attempts).await.expect("Redis answers");
        assert_eq!(
            attempts.iter().map(|(_, attempt)| attempt.cancelled.is_cancelled()).collect::<Vec<_>>(),
            [false, true]
        );
        handler.abort();
    }
}
