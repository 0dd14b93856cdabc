//! Writes the results of attempts. Results that arrive while a write is under way go together in the next one, so batches form
//! under load and a lone result waits for nothing. A write that gets no answer is repeated until Redis says yes or no: the
//! fencing token makes the repetition harmless, and a task that succeeded must not run again for want of an answer. A result
//! that Redis refuses waits aside, so that the others do not wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Shared;
use super::queues::Queue;
use crate::broker::{Again, Guard, Settled, Taken};
use crate::clock::Now;
use crate::error::Error;

/// Most results written by one script call.
const RESULTS_PER_WRITE: usize = 250;
/// First and longest pause between repetitions.
const REPEAT_AFTER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Results that Redis refuses are tried again this often, each by itself: a single one may be what is refused.
const REFUSED_AGAIN: Duration = Duration::from_secs(1);
/// A result that Redis refuses because of the data or the access list is given up after this long.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// What shall become of a task.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Ack,
    Complete { message: Vec<u8>, retention: Duration },
    Requeue,
    Retry { message: Vec<u8>, delay: Duration, counted: bool },
    Archive { message: Vec<u8> },
}

/// The end of one attempt.
#[derive(Clone)]
pub(crate) struct Result {
    /// The attempt's number among the running ones.
    pub(crate) number: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) taken: Arc<Taken>,
    pub(crate) token: Arc<str>,
    pub(crate) ended: Now,
    pub(crate) outcome: Outcome,
    /// When it was first refused with an error.
    pub(crate) refused: Option<Instant>,
}

/// Runs until the sending side is dropped and every result is written or given up. How long to wait for that is the shutdown's.
pub(crate) async fn run(shared: Arc<Shared>, mut results: mpsc::UnboundedReceiver<Result>) {
    let (mut waiting, mut refused) = (Vec::new(), Vec::new());
    let (mut pause, mut refused_again, mut open) = (REPEAT_AFTER.0, Instant::now(), true);
    loop {
        if waiting.is_empty() {
            tokio::select! {
                received = results.recv_many(&mut waiting, RESULTS_PER_WRITE), if open => open = received > 0,
                () = tokio::time::sleep_until(refused_again), if !refused.is_empty() => {}
                else => return,
            }
        }
        while waiting.len() < RESULTS_PER_WRITE
            && let Ok(result) = results.try_recv()
        {
            waiting.push(result);
        }
        if refused_again <= Instant::now() {
            waiting.append(&mut refused);
        }
        let kept = write(&shared, std::mem::take(&mut waiting)).await;
        let (aside, unanswered): (Vec<Result>, Vec<Result>) =
            kept.into_iter().partition(|result| result.refused.is_some());
        if !aside.is_empty() {
            refused_again = Instant::now() + REFUSED_AGAIN;
            refused.extend(aside);
        }
        waiting = unanswered;
        if waiting.is_empty() {
            pause = REPEAT_AFTER.0;
            continue;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(REPEAT_AFTER.1);
    }
}

/// Writes results and gives back those that got no answer or were refused.
async fn write(shared: &Shared, results: Vec<Result>) -> Vec<Result> {
    let mut batches: HashMap<(usize, bool), Vec<Result>> = HashMap::new();
    let mut single = Vec::new();
    for result in results {
        match result.outcome {
            _ if result.refused.is_some() => single.push(result),
            Outcome::Ack => batches.entry((result.queue.number, true)).or_default().push(result),
            Outcome::Requeue => batches.entry((result.queue.number, false)).or_default().push(result),
            _ => single.push(result),
        }
    }
    let batches = batches.into_iter().map(|((_, ack), batch)| write_batch(shared, ack, batch));
    let single = single.into_iter().map(|result| write_single(shared, result));
    let (batches, single) = futures::join!(futures::future::join_all(batches), futures::future::join_all(single));
    batches.into_iter().flatten().chain(single.into_iter().flatten()).collect()
}

async fn write_batch(shared: &Shared, ack: bool, batch: Vec<Result>) -> Vec<Result> {
    let keys = &batch[0].queue.keys;
    let tasks: Vec<(&str, &str)> = batch.iter().map(|result| (&*result.taken.id, &*result.token)).collect();
    let written = if ack {
        shared.broker.ack(keys, &tasks, batch[0].ended).await
    } else {
        shared.broker.requeue(keys, &tasks, batch[0].ended).await
    };
    match written {
        Ok(settled) => {
            for (result, settled) in batch.iter().zip(settled) {
                note(shared, result, settled);
            }
            shared.running.remove(batch.iter().map(|result| result.number));
            Vec::new()
        }
        Err(error) => keep(shared, batch, &error),
    }
}

async fn write_single(shared: &Shared, result: Result) -> Vec<Result> {
    let (keys, id, guard) = (&result.queue.keys, &*result.taken.id, Guard::Token(&result.token));
    let broker = &shared.broker;
    let written = match &result.outcome {
        Outcome::Complete { message, retention } => {
            broker.complete(keys, (id, &result.token), message, *retention, result.ended).await
        }
        Outcome::Retry { message, delay, counted } => {
            broker.retry(keys, id, guard, Again { message, delay: *delay, counted: *counted }, result.ended).await
        }
        Outcome::Archive { message } => broker.archive(keys, id, guard, message, result.ended).await,
        Outcome::Ack | Outcome::Requeue => {
            return write_batch(shared, matches!(result.outcome, Outcome::Ack), vec![result]).await;
        }
    };
    match written {
        Ok(settled) => {
            note(shared, &result, settled);
            shared.running.remove([result.number]);
            Vec::new()
        }
        Err(error) => keep(shared, vec![result], &error),
    }
}

fn note(shared: &Shared, result: &Result, settled: Settled) {
    match settled {
        Settled::Done if matches!(result.outcome, Outcome::Requeue) => shared.wake.pending(&result.queue.keys.name),
        Settled::Done => {}
        Settled::NotMine => {
            result.queue.leases_lost.increment(1);
            tracing::warn!(
                task.id = result.taken.id,
                queue.name = result.queue.keys.name,
                "result not written, the lease is no longer ours"
            );
        }
    }
}

/// Decides which results are tried again after an error.
fn keep(shared: &Shared, mut results: Vec<Result>, error: &Error) -> Vec<Result> {
    shared.log_trouble("failed to write results, trying again", error);
    if !error.lies_with_data() {
        return results;
    }
    let now = Instant::now();
    results.retain_mut(|result| {
        let kept = now.duration_since(*result.refused.get_or_insert(now)) < REFUSED_FOR;
        if !kept {
            tracing::error!(
                task.id = result.taken.id,
                queue.name = result.queue.keys.name,
                "result given up, Redis refuses it"
            );
            shared.running.remove([result.number]);
        }
        kept
    });
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, RetryPolicy, Settings};

    #[tokio::test]
    async fn only_a_result_that_the_data_stands_against_is_ever_given_up() {
        let connection = Connection::open(&servers::redis().fresh_database(), None).expect("a good URI");
        let settings =
            Settings { queues: Vec::new(), strict_priority: false, concurrency: 0, retry: RetryPolicy::default() };
        let (results, _) = mpsc::unbounded_channel();
        let broker = crate::broker::Broker::new(connection.clone());
        let shared = Shared::new(broker, tokio::sync::watch::channel(settings).1, results);
        let kept_after = async |reply: &str| {
            let script = "return redis.error_reply(ARGV[1])";
            let error = connection.command(redis::cmd("EVAL").arg(script).arg(0).arg(reply)).await;
            let long_refused = Result {
                number: 1,
                queue: shared.queues.get("default"),
                taken: Arc::new(Taken { id: "a".to_owned(), message: Vec::new() }),
                token: "A".into(),
                ended: shared.broker.now(),
                outcome: Outcome::Ack,
                refused: Instant::now().checked_sub(REFUSED_FOR),
            };
            assert!(long_refused.refused.is_some());
            keep(&shared, vec![long_refused], &error.expect_err("told to fail")).len()
        };
        for passing in ["READONLY x", "OOM x", "MISCONF x", "NOREPLICAS x", "LOADING x", "NOAUTH x"] {
            assert_eq!(kept_after(passing).await, 1, "{passing}");
        }
        for lasting in ["WRONGTYPE x", "NOPERM x", "ERR Error running script: @user_script:7: -WRONGTYPE x"] {
            assert_eq!(kept_after(lasting).await, 0, "{lasting}");
        }
    }
}
