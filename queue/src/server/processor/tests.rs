//! What becomes of the tasks of a dequeue whose reply was lost. Takes a dispatcher apart; a whole server is tested in
//! `tests`.

use super::*;
use crate::{
    Connection, Job, QueuePriority, Task, TaskError,
    broker::Broker,
    clock::Now,
    server::settler::{Outcome, Settlement},
};
use tokio::sync::mpsc;

struct Never;

impl Handler for Never {
    async fn handle(&self, _: Job) -> Result<(), TaskError> {
        std::future::pending().await
    }
}

/// A dispatcher with one task in Redis that its dequeue took `age` ago and whose reply was lost; what it settles.
async fn with_lost_reply(
    age: Duration,
) -> (Dispatcher<Never>, watch::Receiver<Settings>, mpsc::UnboundedReceiver<Settlement>) {
    let broker = Broker::new(Connection::open(&servers::redis().fresh_database(), None).expect("a good URI"));
    broker.connection().measure_clock().await.expect("Redis answers");
    let task = Task::new("mail:send", "{}");
    broker.enqueue(&task, broker.now()).await.expect("enqueued");
    let queue = QueuePriority { name: task.queue, priority: 1, paused: false };
    let settings = Settings { queues: vec![queue], concurrency: 1, ..Settings::default() };
    let (sender, settled) = mpsc::unbounded_channel();
    let settings = watch::channel(settings).1;
    let shared = Arc::new(Shared::new(broker.clone(), settings.clone(), sender));
    let queue = shared.queues.get("default");
    let token = Arc::<str>::from("A");
    let request =
        Dequeue { keys: Arc::clone(&queue.keys), token: Arc::clone(&token), count: 1, max_payload_bytes: 1_000 };
    let then = Now(broker.now().0 - age.as_nanos() as i64);
    broker.dequeue(&[request], then).await.expect("dequeued");
    let dispatcher = Dispatcher {
        shared,
        handler: Arc::new(Never),
        empty: HashSet::new(),
        lost: vec![Lost { queue, token, next_reclaim: Instant::now(), reclaims_left: 1, is_away: false }],
        random: Random::from_seed(1),
        dequeues: 0,
    };
    (dispatcher, settings, settled)
}

#[tokio::test]
async fn tasks_of_a_reply_lost_long_ago_start_under_a_fresh_lease() {
    let (mut dispatcher, _settings, _settled) = with_lost_reply(LEASE - Duration::from_secs(5)).await;
    dispatcher.take_lost().await.expect("Redis answers");
    let shared = &dispatcher.shared;
    assert_eq!(shared.running.len(), 1);
    let broker = &shared.broker;
    let in_ten_seconds = broker.now().plus(Duration::from_secs(10));
    let (expired, ends) =
        broker.list_expired(&shared.queues.get("default").keys, in_ten_seconds, 1_000).await.expect("Redis answers");
    assert!(expired.is_empty() && ends.is_some(), "{expired:?}");
}

#[tokio::test]
async fn a_server_that_stops_hands_back_the_tasks_of_a_reply_it_lost_just_before() {
    let (mut dispatcher, settings, mut settled) = with_lost_reply(Duration::ZERO).await;
    dispatcher.lost[0].next_reclaim += POLL_INTERVAL;
    dispatcher.shared.stop_taking.cancel();
    dispatch(dispatcher, settings).await;
    assert!(matches!(settled.try_recv().expect("handed back").outcome, Outcome::Requeue));
}
