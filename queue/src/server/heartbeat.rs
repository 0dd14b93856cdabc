//! Every 5 s: extends the leases of running attempts (sooner after a failure), publishes what this server is and runs
//! (sooner when it is drained), registers its queues again, and measures the clock. An attempt whose lease is lost is
//! cancelled.

use super::{Shared, running::Attempt};
use crate::{
    broker::{LEASE, Lease},
    error::Error,
    message::{self, Stored, wire},
};
use prost::Message as _;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// asynq's interval (v0.26.0, `heartbeat.go`); its tools believe in a server for 10 s.
const INTERVAL: Duration = Duration::from_secs(5);
/// A failed extension is tried again this soon: after an outage no recoverer may be quicker.
const EXTEND_RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Leases that end later than this are left for the next beat.
const EXTEND_BELOW: Duration = Duration::from_secs(26);
/// A longer payload is left out of what is published about a running task: all of them go into one call, and asynq's
/// tools show 200 characters of it, and that from the task itself.
const MAX_SHOWN_PAYLOAD_BYTES: usize = 4 * 1024;
/// At most this many leases are extended by one call.
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
                    shared.log_failure("failed to publish the heartbeat", &error);
                }
            }
            () = shared.drain.for_heartbeat() => if let Err(error) = publish(&shared).await {
                shared.log_failure("failed to publish the heartbeat", &error);
            },
            () = tokio::time::sleep(EXTEND_RETRY_INTERVAL), if !extended => extended = extend(&shared).await,
        }
    }
}

/// Extends the leases that need it; false when Redis did not answer for all of them.
async fn extend(shared: &Shared) -> bool {
    let mut by_queue: HashMap<usize, Vec<Attempt>> = HashMap::new();
    for attempt in shared.running.lease_ends_within(EXTEND_BELOW) {
        by_queue.entry(attempt.held.queue.number).or_default().push(attempt);
    }
    let mut answered = true;
    for attempts in by_queue.values() {
        for chunk in attempts.chunks(LEASES_PER_CALL) {
            if let Err(error) = extend_chunk(shared, chunk).await {
                shared.log_failure("failed to extend leases", &error);
                cancel_expired(chunk);
                answered = false;
            }
        }
    }
    answered
}

async fn extend_chunk(shared: &Shared, attempts: &[Attempt]) -> Result<(), Error> {
    let asked = Instant::now();
    let leases: Vec<Lease<'_>> = attempts.iter().map(|attempt| attempt.held.lease()).collect();
    let queue = &attempts[0].held.queue;
    let extended = shared.broker.extend_leases(&queue.keys, &leases, shared.broker.now()).await?;
    for (attempt, extended) in attempts.iter().zip(extended) {
        let number = attempt.held.number;
        if extended {
            shared.running.extended(number, asked + LEASE);
        } else if shared.running.is_unended(number) && !attempt.cancelled.is_cancelled() {
            // Not ours any more, and its settlement not on its way: another server recovered the task, or Redis lost
            // it.
            queue.leases_lost.increment(1);
            tracing::warn!(
                task.id = attempt.held.taken.id,
                queue.name = queue.keys.name,
                "lease lost, attempt cancelled"
            );
            attempt.cancelled.cancel();
        }
    }
    Ok(())
}

/// Without an answer the lease may still be ours until its time is over, and not after.
fn cancel_expired(attempts: &[Attempt]) {
    for attempt in attempts.iter().filter(|attempt| attempt.lease_until <= Instant::now()) {
        attempt.cancelled.cancel();
    }
}

async fn publish(shared: &Shared) -> Result<(), Error> {
    let now = shared.broker.now();
    let settings = shared.settings.borrow().clone();
    let takes_none = shared.stop_taking.is_cancelled() || shared.drain.is_confirmed();
    let attempts = shared.running.all();
    let info = wire::ServerInfo {
        host: shared.host.clone(),
        pid: shared.pid,
        server_id: shared.server_id.clone(),
        concurrency: i32::try_from(settings.concurrency).unwrap_or(i32::MAX),
        queues: message::priorities(settings.queues.iter().map(|queue| (&*queue.name, queue.priority))),
        strict_priority: settings.strict_priority,
        status: if takes_none { "stopped" } else { "active" }.to_owned(),
        start_time: Some(message::timestamp(shared.started)),
        active_worker_count: i32::try_from(shared.running_handlers()).unwrap_or(i32::MAX),
    };
    let workers: Vec<(String, Vec<u8>)> = attempts.iter().filter_map(|attempt| worker_info(shared, attempt)).collect();
    let names: Vec<&str> = settings.queues.iter().map(|queue| &*queue.name).collect();
    // Each whatever became of the ones before: a full Redis refuses new names.
    let published = shared.broker.write_server(&shared.identity(), &info.encode_to_vec(), &workers, now).await;
    let registered = shared.broker.register(&names).await;
    let measured = shared.broker.connection().measure_clock().await;
    published.and(registered).and(measured)
}

fn worker_info(shared: &Shared, attempt: &Attempt) -> Option<(String, Vec<u8>)> {
    let taken = &attempt.held.taken;
    if taken.unread_bytes.is_some() {
        return None;
    }
    let task = Stored::decode(&taken.message).ok()?.into_task();
    let info = wire::WorkerInfo {
        host: shared.host.clone(),
        pid: shared.pid,
        server_id: shared.server_id.clone(),
        task_id: task.id.clone(),
        task_type: task.kind,
        task_payload: if task.payload.len() <= MAX_SHOWN_PAYLOAD_BYTES { task.payload } else { Vec::new() },
        queue: task.queue,
        start_time: Some(message::timestamp(attempt.started)),
        deadline: Some(message::timestamp(attempt.ends)),
    };
    Some((task.id, info.encode_to_vec()))
}

#[cfg(test)]
mod tests;
