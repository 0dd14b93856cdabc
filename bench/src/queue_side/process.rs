//! Processes what is there, doing nothing for each task.

use super::{Throughput, Weighted};
use queue::{Connection, Handler, Job, TaskError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Tasks that are there.
    #[arg(long)]
    tasks: usize,
    /// Tasks run at once.
    #[arg(long)]
    concurrency: usize,
    /// Queues, with their priorities.
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Weighted>,
}

/// Counts.
#[derive(Clone)]
struct Count {
    wanted: usize,
    handled: Arc<AtomicUsize>,
    all_handled: Arc<Notify>,
}

impl Handler for Count {
    async fn handle(&self, _: Job) -> Result<(), TaskError> {
        if self.handled.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted {
            self.all_handled.notify_one();
        }
        Ok(())
    }
}

/// From the start of the server until the last handler ran; the acknowledgements of at most `concurrency` tasks are
/// then still under way, on either side.
pub(crate) async fn run(connection: Connection, arguments: Arguments) -> anyhow::Result<Throughput> {
    let count = Count { wanted: arguments.tasks, handled: Arc::default(), all_handled: Arc::default() };
    let start = Instant::now();
    let started = super::start(connection, &arguments.queues, arguments.concurrency, count.clone());
    count.all_handled.notified().await;
    let seconds = start.elapsed().as_secs_f64();
    started.server.shutdown().await;
    Ok(Throughput { tasks: arguments.tasks, seconds })
}
