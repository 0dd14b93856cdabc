//! Takes tasks as slots are free and starts attempts. One dequeue asks all chosen queues in one round trip; while it is
//! under way more slots become free for the next, so batches grow with the load.

mod lost;

use super::{
    Shared, attempt, changed,
    choice::{Share, shares},
    held::Held,
    queues::Queue,
};
use crate::{
    broker::{Dequeue, Dequeued, LEASE, Lease, MAX_TASKS_PER_DEQUEUE, Taken},
    error::Error,
    handler::Handler,
    random::Random,
    settings::Settings,
};
use lost::{Away, Lost};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// Queues are polled this often without a wake-up, for the sake of producers that do not publish (Go's).
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// First pause after Redis failed; it doubles up to [`MAX_BACK_OFF`].
const MIN_BACK_OFF: Duration = Duration::from_millis(50);
const MAX_BACK_OFF: Duration = Duration::from_secs(1);
/// After waiting in vain for a node of a cluster, this many times as long passes before it is waited for again.
const PAUSE_PER_WAIT: u32 = 4;
/// No more tasks are taken while this many settlements wait to be written.
const MAX_UNSETTLED: usize = 10_000;

/// Runs until the server stops taking tasks.
pub(crate) async fn run<H: Handler>(shared: Arc<Shared>, settings: watch::Receiver<Settings>, handler: Arc<H>) {
    let dispatcher = Dispatcher {
        shared,
        handler,
        empty: HashSet::new(),
        lost: Vec::new(),
        random: Random::from_system(),
        dequeues: 0,
    };
    dispatch(dispatcher, settings).await;
}

/// Dequeues until the server stops taking tasks; then hands back what the last lost replies brought.
async fn dispatch<H: Handler>(mut dispatcher: Dispatcher<H>, mut settings: watch::Receiver<Settings>) {
    let mut back_off = MIN_BACK_OFF;
    let stop = dispatcher.shared.stop_taking.clone();
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        let now = settings.borrow_and_update().clone();
        match dispatcher.step(&now).await {
            Ok(true) => back_off = MIN_BACK_OFF,
            Ok(false) => tokio::select! {
                () = stop.cancelled() => {}
                // Handlers that end together free their slots together: one dequeue for all of them.
                () = dispatcher.shared.wake.for_dispatcher() => tokio::task::yield_now().await,
                () = changed(&mut settings) => dispatcher.empty.clear(),
                _ = poll.tick() => dispatcher.empty.clear(),
            },
            Err(error) => {
                dispatcher.shared.log_failure("failed to dequeue, backing off", &error);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(back_off) => {}
                }
                back_off = (back_off * 2).min(MAX_BACK_OFF);
            }
        }
    }
    dispatcher.lost.iter_mut().for_each(|lost| lost.next_reclaim = Instant::now());
    if let Err(error) = dispatcher.take_lost().await {
        dispatcher.shared.log_failure("failed to look for the tasks of lost replies before the end", &error);
    }
}

/// A queue and how many tasks a dequeue asks of it.
struct Asked {
    queue: Arc<Queue>,
    count: usize,
}

/// What a reclaim found.
struct Reclaimed {
    taken: Vec<Taken>,
    /// By the local clock.
    lease_until: Instant,
}

struct Dispatcher<H> {
    shared: Arc<Shared>,
    handler: Arc<H>,
    /// Queues that had nothing (more) at the last poll.
    empty: HashSet<String>,
    lost: Vec<Lost>,
    random: Random,
    dequeues: u64,
}

impl<H: Handler> Dispatcher<H> {
    /// One dequeue. False when there is no free slot or nothing to ask.
    async fn step(&mut self, settings: &Settings) -> Result<bool, Error> {
        let away = self.take_lost().await?;
        if self.shared.drain.is_asked() {
            // A lost reply may still bring tasks.
            if self.lost.is_empty() {
                self.shared.drain.confirm();
            }
            return Ok(false);
        }
        let woken = self.shared.wake.take_woken();
        if woken.all {
            self.empty.clear();
        }
        self.empty.retain(|queue| !woken.queues.contains(queue));
        let slots = settings.concurrency.saturating_sub(self.shared.running_handlers());
        let free = slots.min(MAX_UNSETTLED.saturating_sub(self.shared.running.len())).min(MAX_TASKS_PER_DEQUEUE);
        let is_asked = |queue: &str| !self.empty.contains(queue) && !away.queues.contains(queue);
        let shares = shares(settings, free, is_asked, &mut self.random);
        if shares.is_empty() {
            return away.failure.map_or(Ok(false), Err);
        }
        self.dequeue(shares, settings.max_payload_bytes).await?;
        Ok(true)
    }

    async fn dequeue(&mut self, shares: Vec<Share>, max_payload_bytes: usize) -> Result<(), Error> {
        self.dequeues += 1;
        let token: Arc<str> = format!("{}:{}", self.shared.server_id, self.dequeues).into();
        let asked = |share: Share| Asked { queue: self.shared.queues.get(&share.queue), count: share.count };
        let asked: Vec<Asked> = shares.into_iter().map(asked).collect();
        let request = |asked: &Asked| Dequeue {
            keys: Arc::clone(&asked.queue.keys),
            token: Arc::clone(&token),
            count: asked.count,
            max_payload_bytes,
        };
        let requests: Vec<Dequeue> = asked.iter().map(request).collect();
        let lease_until = Instant::now() + LEASE;
        match self.shared.broker.dequeue(&requests, self.shared.broker.now()).await {
            Ok(replies) => self.start_taken(asked, &token, lease_until, replies),
            Err(error) => {
                self.lost.extend(asked.into_iter().map(|asked| Lost::new(asked.queue, &token)));
                Err(error)
            }
        }
    }

    /// Starts what a dequeue took. An error only where every queue failed: a broken one must not stand before the
    /// others.
    fn start_taken(
        &mut self,
        asked: Vec<Asked>,
        token: &Arc<str>,
        lease_until: Instant,
        replies: Vec<Result<Dequeued, Error>>,
    ) -> Result<(), Error> {
        let queues = asked.len();
        let mut failed = Vec::new();
        for (asked, reply) in asked.into_iter().zip(replies) {
            if reply.as_ref().map_or(true, |dequeued| !dequeued.more) {
                // One that failed is asked again at the next poll of all queues, and not before.
                self.empty.insert(asked.queue.keys.name.clone());
            }
            match reply {
                Ok(dequeued) => self.start(&asked.queue, token, lease_until, dequeued.taken),
                Err(error) => {
                    if error.is_unreachable() {
                        self.lost.push(Lost::new(asked.queue, token));
                    }
                    failed.push(error);
                }
            }
        }
        let all_failed = failed.len() == queues;
        match failed.pop() {
            Some(error) if all_failed => return Err(error),
            Some(error) => self.shared.log_failure("failed to dequeue from a queue", &error),
            None => {}
        }
        Ok(())
    }

    /// Starts what dequeues took whose reply never came; see [`Lost`]. Gives the queues whose node is away.
    async fn take_lost(&mut self) -> Result<Away, Error> {
        let (mut waiting, mut away) = (Vec::new(), Away::default());
        while let Some(mut lost) = self.lost.pop() {
            let begun = Instant::now();
            let waits = away.queues.contains(&lost.queue.keys.name);
            if lost.next_reclaim > begun || waits {
                away.queues.extend(lost.is_away.then(|| lost.queue.keys.name.clone()));
                waiting.push(lost);
                continue;
            }
            match self.reclaim(&lost).await {
                Ok(reclaimed) if !reclaimed.taken.is_empty() => {
                    self.start(&lost.queue, &lost.token, reclaimed.lease_until, reclaimed.taken);
                }
                Err(error) if error.is_unreachable() && self.shared.broker.connection().is_cluster() => {
                    away.queues.insert(lost.queue.keys.name.clone());
                    away.failure = Some(error);
                    // Other nodes' tasks wait meanwhile, so that this may take a fifth of the time at most.
                    let pause = POLL_INTERVAL.max(begun.elapsed() * PAUSE_PER_WAIT);
                    (lost.is_away, lost.next_reclaim) = (true, Instant::now() + pause);
                    waiting.push(lost);
                }
                Err(error) if error.is_unreachable() => {
                    self.lost.push(lost);
                    self.lost.append(&mut waiting);
                    return Err(error);
                }
                nothing => {
                    if let Err(error) = nothing {
                        self.shared.log_failure("failed to look for the tasks of a lost reply", &error);
                    }
                    (lost.is_away, lost.reclaims_left) = (false, lost.reclaims_left - 1);
                    lost.next_reclaim = Instant::now() + POLL_INTERVAL;
                    waiting.extend((lost.reclaims_left > 0).then_some(lost));
                }
            }
        }
        self.lost = waiting;
        Ok(away)
    }

    /// The tasks of a lost reply that are still ours, under leases extended now: the outage may have used up most of
    /// the first.
    async fn reclaim(&self, lost: &Lost) -> Result<Reclaimed, Error> {
        let broker = &self.shared.broker;
        let keys = &lost.queue.keys;
        let max_payload_bytes = self.shared.settings.borrow().max_payload_bytes;
        let mut taken = broker.reclaim(keys, &lost.token, max_payload_bytes).await?;
        let lease_until = Instant::now() + LEASE;
        if !taken.is_empty() {
            let leases: Vec<Lease<'_>> =
                taken.iter().map(|taken| Lease { id: &taken.id, token: &lost.token }).collect();
            let mut extended = broker.extend_leases(keys, &leases, broker.now()).await?.into_iter();
            taken.retain(|_| extended.next().unwrap_or(false));
        }
        Ok(Reclaimed { taken, lease_until })
    }

    fn start(&self, queue: &Arc<Queue>, token: &Arc<str>, lease_until: Instant, taken: Vec<Taken>) {
        for taken in taken {
            let number = self.shared.next_number();
            let held = Held { number, queue: Arc::clone(queue), taken, token: Arc::clone(token) };
            attempt::start(&self.shared, &self.handler, held, lease_until);
        }
    }
}

#[cfg(test)]
mod tests;
