//! Writes the settlements of attempts. Those that arrive while a write is under way go together in the next one, so
//! batches form under load and a lone settlement waits for nothing. A write that gets no answer is repeated until Redis
//! says yes or no: the fencing token makes the repetition harmless, and a task that succeeded must not run again for
//! want of an answer. A settlement that Redis refuses waits aside, so that the others do not wait for it.

use super::{Shared, held::Held};
use crate::{
    broker::{Guard, Lease, NextAttempt, Settled},
    clock::Now,
    error::Error,
};
use futures::future::join_all;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// At most this many settlements are written by one script call.
const SETTLEMENTS_PER_WRITE: usize = 250;
/// Messages (bytes) that are on their way at once, unless a single one has more: Redis has a second to answer.
const BYTES_PER_WRITE: usize = 4 * 1024 * 1024;
/// First pause between repetitions of a write without an answer; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Settlements that Redis refuses are tried again this often, each by itself: a single one may be what is refused.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);
/// A settlement that Redis refuses because of the data or the access list is given up after this long.
const REFUSED_MAX_AGE: Duration = Duration::from_secs(30);

/// What shall become of a task.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Ack,
    Complete { message: Vec<u8>, retention: Duration },
    Requeue,
    Retry { message: Vec<u8>, delay: Duration, counted: bool },
    Archive { message: Vec<u8> },
}

impl Outcome {
    /// Length of the message that is written.
    fn bytes(&self) -> usize {
        match self {
            Self::Ack | Self::Requeue => 0,
            Self::Complete { message, .. } | Self::Retry { message, .. } | Self::Archive { message } => message.len(),
        }
    }
}

/// How one attempt ended, on its way to Redis.
#[derive(Clone)]
pub(crate) struct Settlement {
    pub(crate) held: Arc<Held>,
    pub(crate) ended: Now,
    pub(crate) outcome: Outcome,
    /// When Redis first refused it with an error.
    pub(crate) refused_since: Option<Instant>,
}

/// Runs until the sending side is dropped and every settlement is written or given up. The shutdown decides how long to
/// wait for that.
pub(crate) async fn run(shared: Arc<Shared>, settlements: mpsc::UnboundedReceiver<Settlement>) {
    let mut settler = Settler {
        shared,
        settlements,
        is_open: true,
        unwritten: Vec::new(),
        refused: Vec::new(),
        refused_again: Instant::now(),
    };
    let mut pause = MIN_PAUSE;
    while settler.receive().await {
        settler.write().await;
        if settler.unwritten.is_empty() {
            pause = MIN_PAUSE;
        } else {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

struct Settler {
    shared: Arc<Shared>,
    settlements: mpsc::UnboundedReceiver<Settlement>,
    is_open: bool,
    /// To be written next.
    unwritten: Vec<Settlement>,
    refused: Vec<Settlement>,
    /// When the refused ones are tried again.
    refused_again: Instant,
}

impl Settler {
    /// Waits until something can be written; false when nothing will ever come.
    async fn receive(&mut self) -> bool {
        if self.unwritten.is_empty() {
            tokio::select! {
                received = self.settlements.recv_many(&mut self.unwritten, SETTLEMENTS_PER_WRITE), if self.is_open => {
                    self.is_open = received > 0;
                }
                () = tokio::time::sleep_until(self.refused_again), if !self.refused.is_empty() => {}
                else => return false,
            }
        }
        while self.unwritten.len() < SETTLEMENTS_PER_WRITE
            && let Ok(settlement) = self.settlements.try_recv()
        {
            self.unwritten.push(settlement);
        }
        if self.refused_again <= Instant::now() {
            self.unwritten.append(&mut self.refused);
        }
        true
    }

    /// One round of writes. Settlements without an answer stay unwritten; refused ones are put aside.
    async fn write(&mut self) {
        let kept = write(&self.shared, std::mem::take(&mut self.unwritten)).await;
        let (refused, unanswered): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|settlement| settlement.refused_since.is_some());
        if !refused.is_empty() {
            self.refused_again = Instant::now() + REFUSED_INTERVAL;
            self.refused.extend(refused);
        }
        self.unwritten = unanswered;
    }
}

/// Writes settlements and gives back those that got no answer or were refused.
async fn write(shared: &Shared, settlements: Vec<Settlement>) -> Vec<Settlement> {
    let mut acks: HashMap<usize, Vec<Settlement>> = HashMap::new();
    let mut requeues: HashMap<usize, Vec<Settlement>> = HashMap::new();
    let mut single = Vec::new();
    for settlement in settlements {
        let queue = settlement.held.queue.number;
        match settlement.outcome {
            _ if settlement.refused_since.is_some() => single.push(settlement),
            Outcome::Ack => acks.entry(queue).or_default().push(settlement),
            Outcome::Requeue => requeues.entry(queue).or_default().push(settlement),
            _ => single.push(settlement),
        }
    }
    let batches = acks.into_values().chain(requeues.into_values()).map(|batch| write_batch(shared, batch));
    let (batches, single) = futures::join!(join_all(batches), write_singles(shared, single));
    batches.into_iter().chain(single).flatten().collect()
}

/// Each by itself, and as many beside one another as are quickly sent.
async fn write_singles(shared: &Shared, singles: Vec<Settlement>) -> Vec<Vec<Settlement>> {
    let mut kept = Vec::new();
    let mut singles = singles.into_iter().peekable();
    while singles.peek().is_some() {
        let mut bytes = 0;
        let mut fits = |settlement: &Settlement| {
            let more = settlement.outcome.bytes();
            bytes += more;
            bytes <= BYTES_PER_WRITE || bytes == more
        };
        let chunk = std::iter::from_fn(|| singles.next_if(|settlement| fits(settlement)));
        kept.extend(join_all(chunk.map(|settlement| write_single(shared, settlement))).await);
    }
    kept
}

/// Writes acks of one queue, or requeues of one queue.
async fn write_batch(shared: &Shared, batch: Vec<Settlement>) -> Vec<Settlement> {
    let Some(first) = batch.first() else { return batch };
    let leases: Vec<Lease<'_>> = batch.iter().map(|settlement| settlement.held.lease()).collect();
    let keys = &first.held.queue.keys;
    let written = match first.outcome {
        Outcome::Ack => shared.broker.ack(keys, &leases, first.ended).await,
        _ => shared.broker.requeue(keys, &leases, first.ended).await,
    };
    match written {
        Ok(settled) => {
            for (settlement, settled) in batch.iter().zip(settled) {
                note(shared, settlement, settled);
            }
            shared.running.remove(batch.iter().map(|settlement| settlement.held.number));
            Vec::new()
        }
        Err(error) => keep(shared, batch, &error),
    }
}

async fn write_single(shared: &Shared, settlement: Settlement) -> Vec<Settlement> {
    let Settlement { held, ended, outcome, .. } = &settlement;
    let broker = &shared.broker;
    let keys = &held.queue.keys;
    let id = &held.taken.id;
    let guard = Guard::Token(&held.token);
    let written = match outcome {
        Outcome::Complete { message, retention } => {
            broker.complete(keys, held.lease(), message, *retention, *ended).await
        }
        Outcome::Retry { message, delay, counted } => {
            broker.retry(keys, id, guard, NextAttempt { message, delay: *delay, counted: *counted }, *ended).await
        }
        Outcome::Archive { message } => broker.archive(keys, id, guard, message, *ended).await,
        Outcome::Ack | Outcome::Requeue => return write_batch(shared, vec![settlement]).await,
    };
    match written {
        Ok(settled) => {
            note(shared, &settlement, settled);
            shared.running.remove([held.number]);
            Vec::new()
        }
        Err(error) => keep(shared, vec![settlement], &error),
    }
}

fn note(shared: &Shared, settlement: &Settlement, settled: Settled) {
    let Held { queue, taken, .. } = &*settlement.held;
    match settled {
        Settled::Done if matches!(settlement.outcome, Outcome::Requeue) => shared.wake.pending(&queue.keys.name),
        Settled::Done => {}
        Settled::NotMine => {
            queue.leases_lost.increment(1);
            tracing::warn!(
                task.id = taken.id,
                queue.name = queue.keys.name,
                "result not written, the lease is no longer ours"
            );
        }
    }
}

/// Decides which settlements are tried again after an error.
fn keep(shared: &Shared, mut settlements: Vec<Settlement>, error: &Error) -> Vec<Settlement> {
    shared.log_failure("failed to write results, trying again", error);
    if !error.needs_repair() {
        return settlements;
    }
    let now = Instant::now();
    settlements.retain_mut(|settlement| {
        let kept = now.duration_since(*settlement.refused_since.get_or_insert(now)) < REFUSED_MAX_AGE;
        if !kept {
            let Held { number, queue, taken, .. } = &*settlement.held;
            tracing::error!(task.id = taken.id, queue.name = queue.keys.name, "result given up, Redis refuses it");
            shared.running.remove([*number]);
        }
        kept
    });
    settlements
}

#[cfg(test)]
mod tests;
