//! Takes tasks and never finishes one: the worker that is killed, and the one that takes over.

use super::{Weighted, start};
use queue::{Connection, Handler, Job, TaskError};

/// Prints the id of each task it is handed and waits for ever.
struct Hold;

impl Handler for Hold {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        println!("{}", job.task.id);
        std::future::pending().await
    }
}

pub(crate) async fn run(connection: Connection) -> anyhow::Result<()> {
    let queue = Weighted { name: "default".to_owned(), weight: 1 };
    let _started = start(connection, &[queue], 1, Hold);
    std::future::pending().await
}
