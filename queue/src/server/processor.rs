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
        let mut failure = Ok(());
        for ((queue, share), reply) in queues.into_iter().zip(shares).zip(replies) {
            match reply {
                Ok(taken) => {
                    if taken.len() < share.count {
                        self.empty.insert(share.queue);
                    }
                    self.start(&queue, &token, asked, taken);
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
mod tests {
    use tokio::sync::mpsc;

    use super::super::settler;
    use super::*;
    use crate::broker::Broker;
    use crate::{Connection, Job, QueuePriority, RetryPolicy, Task, TaskError};

    struct Never;

    impl Handler for Never {
        async fn handle(&self, _: Job) -> Result<(), TaskError> {
            std::future::pending().await
        }
    }

    /// A dispatcher with one task in Redis that its dequeue took `age` ago and whose reply was lost; what it settles.
    async fn with_lost_reply(
        age: Duration,
    ) -> (Dispatcher<Never>, watch::Receiver<Settings>, mpsc::UnboundedReceiver<settler::Result>) {
        let broker = Broker::new(Connection::open(&servers::redis().fresh_database(), None).expect("a good URI"));
        broker.connection().measure_clock().await.expect("Redis answers");
        let task = Task::new("greet", "{}");
        broker.enqueue(&task, broker.now()).await.expect("enqueued");
        let queue = QueuePriority { name: task.queue, priority: 1, paused: false };
        let settings =
            Settings { queues: vec![queue], strict_priority: false, concurrency: 1, retry: RetryPolicy::default() };
        let (results, settled) = mpsc::unbounded_channel();
        let settings = watch::channel(settings).1;
        let shared = Arc::new(Shared::new(broker.clone(), settings.clone(), results));
        let (queue, token) = (shared.queues.get("default"), Arc::<str>::from("A"));
        let wish = Dequeue { keys: Arc::clone(&queue.keys), token: Arc::clone(&token), count: 1 };
        let then = crate::clock::Now(broker.now().0 - age.as_nanos() as i64);
        broker.dequeue(&[wish], then).await.expect("dequeued");
        let lost = vec![Lost { queue, token, look: Instant::now(), looks_left: 1 }];
        let (empty, random) = (HashSet::new(), Random::from_seed(1));
        (Dispatcher { shared, handler: Arc::new(Never), empty, lost, random, dequeues: 0 }, settings, settled)
    }

    #[tokio::test]
    async fn tasks_of_a_reply_lost_long_ago_start_under_a_fresh_lease() {
        let (mut dispatcher, _settings, _settled) = with_lost_reply(LEASE - Duration::from_secs(5)).await;
        dispatcher.take_lost().await.expect("Redis answers");
        let shared = &dispatcher.shared;
        assert_eq!(shared.running.len(), 1);
        let (broker, keys) = (&shared.broker, &shared.queues.get("default").keys);
        let in_ten_seconds = broker.now().plus(Duration::from_secs(10));
        let (expired, ends) = broker.list_expired(keys, in_ten_seconds).await.expect("Redis answers");
        assert!(expired.is_empty() && ends.is_some(), "{expired:?}");
    }

    #[tokio::test]
    async fn a_server_that_stops_hands_back_the_tasks_of_a_reply_it_lost_just_before() {
        let (mut dispatcher, settings, mut settled) = with_lost_reply(Duration::ZERO).await;
        dispatcher.lost[0].look += SAFETY_POLL;
        dispatcher.shared.stop_taking.cancel();
        dispatch(dispatcher, settings).await;
        assert!(matches!(settled.try_recv().expect("handed back").outcome, settler::Outcome::Requeue));
    }
}
