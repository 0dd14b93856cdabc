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
use crate::broker::{Dequeue, TASKS_PER_DEQUEUE, Taken};
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
pub(crate) async fn run<H: Handler>(shared: Arc<Shared>, mut settings: watch::Receiver<Settings>, handler: Arc<H>) {
    let mut dispatcher = Dispatcher {
        shared,
        handler,
        empty: HashSet::new(),
        lost: Vec::new(),
        random: Random::from_system(),
        dequeues: 0,
    };
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
        let replies = match self.shared.broker.dequeue(&wishes, self.shared.broker.now()).await {
            Ok(replies) => replies,
            Err(error) => {
                let lost =
                    |queue| Lost { queue, token: Arc::clone(&token), look: Instant::now(), looks_left: LOOKS_FOR_LOST };
                self.lost.extend(queues.into_iter().map(lost));
                return Err(error);
            }
        };
        let mut failure = Ok(());
        for ((queue, share), reply) in queues.into_iter().zip(shares).zip(replies) {
            match reply {
                Ok(taken) => {
                    if taken.len() < share.count {
                        self.empty.insert(share.queue);
                    }
                    self.start(&queue, &token, taken);
                }
                Err(error) => failure = Err(error),
            }
        }
        failure
    }

    /// Starts what dequeues took whose reply never came.
    async fn take_lost(&mut self) -> Result<(), Error> {
        let mut waiting = Vec::new();
        while let Some(mut lost) = self.lost.pop() {
            if lost.look > Instant::now() {
                waiting.push(lost);
                continue;
            }
            match self.shared.broker.reclaim(&lost.queue.keys, &lost.token).await {
                Ok(taken) if taken.is_empty() => {
                    lost.looks_left -= 1;
                    lost.look = Instant::now() + SAFETY_POLL;
                    waiting.extend((lost.looks_left > 0).then_some(lost));
                }
                Ok(taken) => self.start(&lost.queue, &lost.token, taken),
                Err(error) => {
                    self.lost.push(lost);
                    self.lost.append(&mut waiting);
                    return Err(error);
                }
            }
        }
        self.lost = waiting;
        Ok(())
    }

    fn start(&self, queue: &Arc<Queue>, token: &Arc<str>, taken: Vec<Taken>) {
        for taken in taken {
            attempt::start(&self.shared, &self.handler, queue, token, taken);
        }
    }
}
