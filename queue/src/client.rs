//! Puts tasks in: at once, for later, unique, many in one round trip. Also the three buttons of asynq's tools that need
//! no reading: pause, unpause, cancel. Does not run or read tasks.

use crate::{
    batch::Batcher,
    broker::Broker,
    connection::Connection,
    error::Error,
    task::{Enqueued, Task},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A queue's name is added to the registry again after this long, so that a queue removed by a tool, or lost with
/// Redis' data, shows up again.
const REGISTRATION_MAX_AGE: Duration = Duration::from_secs(30);

/// A producer. Clones share the connection.
///
/// ```
/// use jiff::{SignedDuration, Timestamp};
/// use queue::{Client, Connection, Enqueued, Task};
/// # #[tokio::main]
/// # async fn main() -> Result<(), queue::Error> {
/// # let uri = servers::redis().fresh_database();
/// let client = Client::new(Connection::open(&uri, None)?);
/// let tomorrow = Some(Timestamp::now() + SignedDuration::from_hours(24));
/// let reminder = Task { id: "reminder-7".to_owned(), process_at: tomorrow, ..Task::new("mail:remind", "{}") };
/// assert_eq!(client.enqueue(&reminder).await?, Enqueued::Added);
/// assert_eq!(client.enqueue(&reminder).await?, Enqueued::AlreadyThere);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    broker: Broker,
    batcher: Batcher,
    registered: Arc<Mutex<HashMap<String, Registration>>>,
}

/// When and over which connection a queue's name was last registered.
#[derive(Debug, Clone, Copy)]
struct Registration {
    at: Instant,
    connection: Option<u64>,
}

impl Client {
    /// A producer on `connection`.
    pub fn new(connection: Connection) -> Self {
        let broker = Broker::new(connection);
        Self { batcher: Batcher::new(broker.clone()), broker, registered: Arc::default() }
    }

    /// Enqueues a task, or schedules it when its time is in the future (by the Redis clock). Tasks that concurrent
    /// callers bring while one is on its way share the next round trip. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error`]; after [`Error::Unreachable`] the task may be there or not, and the same call may be repeated.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call has written the task or not.
    pub async fn enqueue(&self, task: &Task) -> Result<Enqueued, Error> {
        task.check()?;
        self.register([&*task.queue].into_iter()).await?;
        self.batcher.enqueue(task).await
    }

    /// Enqueues or schedules many tasks in one round trip; results are in the order of the tasks. Not a transaction.
    ///
    /// # Errors
    ///
    /// [`Error`]; some of the tasks may be there, and the same call may be repeated.
    pub async fn enqueue_many(&self, tasks: &[Task]) -> Result<Vec<Enqueued>, Error> {
        tasks.iter().try_for_each(Task::check)?;
        self.register(tasks.iter().map(|task| &*task.queue)).await?;
        self.broker.enqueue_many(tasks, self.broker.now()).await
    }

    /// Makes sure that each task is going to run no later than its `process_at`: pending and active ones are left
    /// alone, scheduled and retry ones that are later are moved earlier, archived and completed ones are replaced,
    /// absent ones added. Takes no uniqueness locks.
    ///
    /// # Errors
    ///
    /// [`Error`]; some of the tasks may be ensured, and the same call may be repeated.
    pub async fn ensure_many(&self, tasks: &[Task]) -> Result<(), Error> {
        tasks.iter().try_for_each(Task::check)?;
        self.register(tasks.iter().map(|task| &*task.queue)).await?;
        self.broker.ensure_many(tasks, self.broker.now()).await
    }

    /// A random value that changes when Redis lost its data: a client that finds it missing writes a new one.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer or does not accept the value.
    pub async fn incarnation(&self) -> Result<String, Error> {
        self.broker.incarnation(&uuid::Uuid::new_v4().to_string()).await
    }

    /// Stops all servers, Go's included, from taking tasks of the queue. False when it was paused already.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn pause(&self, queue: &str) -> Result<bool, Error> {
        self.broker.pause(queue, self.broker.now()).await
    }

    /// Ends a pause. False when the queue was not paused.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn unpause(&self, queue: &str) -> Result<bool, Error> {
        self.broker.unpause(queue).await
    }

    /// Asks the server that runs the task to cancel it. There is no answer, and a task that is not running is not
    /// affected.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn cancel(&self, task_id: &str) -> Result<(), Error> {
        self.broker.cancel(task_id).await
    }

    async fn register(&self, queues: impl Iterator<Item = &str>) -> Result<(), Error> {
        let connection = self.broker.connection().number();
        let mut stale: Vec<&str> = {
            let registered = self.registered.lock();
            let is_fresh =
                |last: &Registration| last.connection == connection && last.at.elapsed() < REGISTRATION_MAX_AGE;
            queues.filter(|queue| !registered.get(*queue).is_some_and(is_fresh)).collect()
        };
        if stale.is_empty() {
            return Ok(());
        }
        stale.sort_unstable();
        stale.dedup();
        self.broker.register(&stale).await?;
        // As often, because it is the moment when this client asks Redis anyway: a machine's clock may be set at any
        // time.
        self.broker.connection().measure_clock().await?;
        let entry = Registration { at: Instant::now(), connection: self.broker.connection().number() };
        let mut registered = self.registered.lock();
        registered.extend(stale.into_iter().map(|queue| (queue.to_owned(), entry)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::tests::step_clock;

    #[tokio::test]
    async fn a_task_due_soon_is_scheduled_although_the_local_clock_has_jumped_ahead() {
        let connection = Connection::open(&servers::redis().fresh_database(), None).expect("a good URI");
        let client = Client::new(connection.clone());
        step_clock(&connection, 3_600).await;
        let due = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
        client.enqueue(&Task { process_at: Some(due), ..Task::new("mail:send", "{}") }).await.expect("enqueued");
        let state = crate::Inspector::new(connection).queue("default", Duration::ZERO).await.expect("Redis answers");
        assert_eq!((state.pending, state.scheduled), (0, 1));
    }
}
