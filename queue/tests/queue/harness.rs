//! What the queue's tests start with: an empty database of a real Redis, a producer, a server whose handler reports its
//! jobs, and waiting on conditions with a deadline.

pub(crate) mod peer;

use futures::future::BoxFuture;
use queue::{Client, Connection, Handler, Inspector, Job, QueuePriority, QueueState, Server, Settings, TaskError};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, watch};

/// No condition of these tests takes longer than this, unless something is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Fixture {
    pub(crate) uri: String,

    pub(crate) client: Client,
    pub(crate) inspector: Inspector,
}

pub(crate) type Answer = Arc<dyn Fn(Job) -> BoxFuture<'static, Result<(), TaskError>> + Send + Sync>;

/// A handler that answers success.
pub(crate) fn ok() -> Answer {
    answer(|_| async { Ok(()) })
}

/// A handler from a closure.
pub(crate) fn answer<F, T>(function: F) -> Answer
where
    F: Fn(Job) -> T + Send + Sync + 'static,
    T: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    Arc::new(move |job| Box::pin(function(job)))
}

/// A handler that answers success once the gate is open: as soon as it has a permit, which the handler gives back.
pub(crate) fn gated(gate: &Arc<Semaphore>) -> Answer {
    let gate = Arc::clone(gate);
    answer(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            drop(gate.acquire().await);
            Ok(())
        }
    })
}

/// The jobs a server started, in order.
pub(crate) struct Jobs(mpsc::UnboundedReceiver<Job>);

impl Jobs {
    pub(crate) async fn next(&mut self) -> Job {
        let job = tokio::time::timeout(DEADLINE, self.0.recv()).await;
        job.expect("no job within the deadline").expect("the server lives")
    }

    pub(crate) fn try_next(&mut self) -> Option<Job> {
        self.0.try_recv().ok()
    }
}

struct Reporting {
    started: mpsc::UnboundedSender<Job>,
    answer: Answer,
}

impl Handler for Reporting {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let _ = self.started.send(job.clone());
        (self.answer)(job).await
    }
}

/// Waits until the queue `default` holds no task that is still to run or given up, and sees that no key of one is left.
pub(crate) async fn nothing_left(fixture: &Fixture) {
    fixture
        .until("nothing left", async |fixture| {
            let state = fixture.state("default").await;
            state.pending + state.active + state.scheduled + state.retry + state.archived == 0
        })
        .await;
    assert_eq!(fixture.task_keys("default").await, Vec::<String>::new());
    assert_eq!(fixture.redis::<i64>(&["EXISTS", "asynq:{default}:lease", "asynq:{default}:active"]).await, 0);
}

/// Settings for one queue named `default`.
pub(crate) fn settings() -> Settings {
    let queue = QueuePriority { name: "default".to_owned(), priority: 1, paused: false };
    Settings { queues: vec![queue], concurrency: 4, ..Settings::default() }
}

impl Fixture {
    /// An empty database of the Redis that all tests of this program share.
    pub(crate) fn new() -> Self {
        Self::at(servers::redis().fresh_database())
    }

    pub(crate) fn at(uri: String) -> Self {
        let connection = Connection::open(&uri, None).unwrap();
        let client = Client::new(connection.clone());
        let inspector = Inspector::new(connection);
        Self { uri, client, inspector }
    }

    /// A server on a connection of its own.
    pub(crate) fn server(&self, change: impl FnOnce(&mut Settings), answer: Answer) -> (Server, Jobs) {
        let mut settings = settings();
        change(&mut settings);
        self.live_server(watch::channel(settings).1, Duration::from_secs(10), answer)
    }

    pub(crate) fn live_server(
        &self,
        settings: watch::Receiver<Settings>,
        grace: Duration,
        answer: Answer,
    ) -> (Server, Jobs) {
        let (started, jobs) = mpsc::unbounded_channel();
        let connection = Connection::open(&self.uri, None).unwrap();
        (Server::start(connection, settings, grace, Reporting { started, answer }), Jobs(jobs))
    }

    pub(crate) async fn state(&self, queue: &str) -> QueueState {
        self.inspector.queue(queue, Duration::from_secs(60)).await.unwrap()
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        servers::until(what, DEADLINE, async || condition(self).await.then_some(()).ok_or_else(String::new)).await;
    }

    /// The client library alone; it reads the URI of one server only.
    pub(crate) fn raw(&self) -> redis::Client {
        redis::Client::open(&*self.uri).unwrap()
    }

    /// Runs one command.
    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = self.raw().get_multiplexed_async_connection().await.unwrap();
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await.unwrap()
    }

    /// The task hashes of a queue.
    pub(crate) async fn task_keys(&self, queue: &str) -> Vec<String> {
        self.redis(&["KEYS", &format!("asynq:{{{queue}}}:t:*")]).await
    }
}
