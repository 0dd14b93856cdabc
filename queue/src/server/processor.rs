//! Takes tasks as slots are free and starts attempts. One dequeue asks all chosen queues in one round trip; while it is under
//! way more slots become free for the next, so batches grow with the load.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::attempt;
use super::choice::{Share, shares};
use super::queues::Queue;
use super::{Shared, changed};
use crate::broker::{Dequeue, LEASE, TASKS_PER_DEQUEUE, Taken};
use crate::error::Error;
use crate::handler::Handler;
use crate::random::Random;
use crate::settings::Settings;

/// Queues are looked at this often without a wake-up, for the sake of producers that do not publish (Go's).
const SAFETY_POLL: Duration = Duration::from_millis(500);
/// First and longest pause after Redis failed.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often the tasks of a dequeue without a reply are looked for, a safety poll apart.
const LOOKS_FOR_LOST: u32 = 10;
/// No more tasks are taken while this many results wait to be written.
const MOST_UNSETTLED: usize = 10_000;

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
    let mut back_off = BACK_OFF.0;
    let stop = dispatcher.shared.stop_taking.clone();
    let mut poll = tokio::time::interval(SAFETY_POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        let now = settings.borrow_and_update().clone();
        match dispatcher.step(&now).await {
            Ok(true) => back_off = BACK_OFF.0,
            Ok(false) => tokio::select! {
                () = stop.cancelled() => {}
                // Handlers that end together free their slots together: one dequeue for all of them.
                () = dispatcher.shared.wake.for_dispatcher() => tokio::task::yield_now().await,
                () = changed(&mut settings) => dispatcher.empty.clear(),
                _ = poll.tick() => dispatcher.empty.clear(),
            },
            Err(error) => {
                dispatcher.shared.log_trouble("failed to dequeue, backing off", &error);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(back_off) => {}
                }
                back_off = (back_off * 2).min(BACK_OFF.1);
            }
        }
    }
    dispatcher.lost.iter_mut().for_each(|lost| lost.look = Instant::now());
    if let Err(error) = dispatcher.take_lost().await {
        dispatcher.shared.log_trouble("failed to look for the tasks of lost replies before the end", &error);
    }
}

/// A dequeue whose reply was lost: its tasks are ours without our knowing, now or when the old connection's bytes get through.
struct Lost {
    queue: Arc<Queue>,
    token: Arc<str>,
    look: Instant,
    looks_left: u32,
}

struct Dispatcher<H> {
    shared: Arc<Shared>,
    handler: Arc<H>,
    /// Queues that had nothing (more) at the last look.
    empty: HashSet<String>,
    lost: Vec<Lost>,
    random: Random,
    dequeues: u64,
}

impl<H: Handler> Dispatcher<H> {
    /// One dequeue. False when there is no free slot or nothing to ask.
    async fn step(&mut self, settings: &Settings) -> Result<bool, Error> {
        self.take_lost().await?;
        let news = self.shared.wake.take_news();
        if news.all {
            self.empty.clear();
        }
        self.empty.retain(|queue| !news.queues.contains(queue));
        let unsettled = self.shared.running.len();
        let free = settings
            .concurrency
            .saturating_sub(self.shared.running_handlers())
            .min(MOST_UNSETTLED.saturating_sub(unsettled));
        let shares =
            shares(settings, free.min(TASKS_PER_DEQUEUE), |queue| !self.empty.contains(queue), &mut self.random);
        if shares.is_empty() {
            return Ok(false);
        }
        self.dequeue(shares).await?;
        Ok(true)
    }

    async fn dequeue(&mut self, shares: Vec<Share>) -> Result<(), Error> {
        self.dequeues += 1;
        let token: Arc<str> = format!("{}:{}", self.shared.server_id, self.dequeues).into();
        let queues: Vec<Arc<Queue>> = shares.iter().map(|share| self.shared.queues.get(&share.queue)).collect();
        let wish = |(queue, share): (&Arc<Queue>, &Share)| Dequeue {
            keys: Arc::clone(&queue.keys),
            token: Arc::clone(&token),
            count: share.count,
        };
        let wishes: Vec<Dequeue> = queues.iter().zip(&shares).map(wish).collect();
        let asked = Instant::now();
        let replies = match self.shared.broker.dequeue(&wishes, self.shared.broker.now()).await {
            Ok(replies) => replies,
            Err(error) => {
                let lost =
                    |queue| Lost { queue, token: Arc::clone(&token), look: Instant::now(), looks_left: LOOKS_FOR_LOST };
                self.lost.extend(queues.into_iter().map(lost));
                return Err(error);
            }
        };
        let (asked_queues, mut failed) = (replies.len(), Vec::new());
        for ((queue, share), reply) in queues.into_iter().zip(shares).zip(replies) {
            match reply {
                Ok(taken) => {
                    if taken.len() < share.count {
                        self.empty.insert(share.queue);
                    }
                    self.start(&queue, &token, asked, taken);
                }
                // Not asked again before the next look at all queues: a broken one must not stand before the others.
                Err(error) => {
                    self.empty.insert(share.queue);
                    failed.push(error);
                }
            }
        }
        let all_failed = failed.len() == asked_queues;
        match failed.pop() {
            Some(error) if all_failed => return Err(error),
            Some(error) => self.shared.log_trouble("failed to dequeue from a queue", &error),
            None => {}
        }
        Ok(())
    }

    /// Starts what dequeues took whose reply never came.
    async fn take_lost(&mut self) -> Result<(), Error> {
        let mut waiting = Vec::new();
        while let Some(mut lost) = self.lost.pop() {
            if lost.look > Instant::now() {
                waiting.push(lost);
                continue;
            }
            match self.reclaim(&lost).await {
                Ok((asked, taken)) if !taken.is_empty() => self.start(&lost.queue, &lost.token, asked, taken),
                Err(error) if error.is_unreachable() => {
                    self.lost.push(lost);
                    self.lost.append(&mut waiting);
                    return Err(error);
                }
                nothing => {
                    if let Err(error) = nothing {
                        self.shared.log_trouble("failed to look for the tasks of a lost reply", &error);
                    }
                    lost.looks_left -= 1;
                    lost.look = Instant::now() + SAFETY_POLL;
                    waiting.extend((lost.looks_left > 0).then_some(lost));
                }
            }
        }
        self.lost = waiting;
        Ok(())
    }

    /// The tasks of a lost reply that are still ours, and when their leases were asked for: the outage may have used up most of
    /// the first ones.
    async fn reclaim(&self, lost: &Lost) -> Result<(Instant, Vec<Taken>), Error> {
        let (broker, keys) = (&self.shared.broker, &lost.queue.keys);
        let mut taken = broker.reclaim(keys, &lost.token).await?;
        let asked = Instant::now();
        if !taken.is_empty() {
            let tasks: Vec<(&str, &str)> = taken.iter().map(|taken| (&*taken.id, &*lost.token)).collect();
            let mut mine = broker.extend_leases(keys, &tasks, broker.now()).await?.into_iter();
            taken.retain(|_| mine.next().unwrap_or(false));
        }
        Ok((asked, taken))
    }

    fn start(&self, queue: &Arc<Queue>, token: &Arc<str>, asked: Instant, taken: Vec<Taken>) {
        for taken in taken {
            attempt::start(&self.shared, &self.handler, queue, token, asked + LEASE, taken);
        }
    }
}

#[cfg(test)]
mod tests;
