//! How long a task waits: from enqueue to handler, and from its due time to handler.

use super::{KIND, Started, Waits, Weighted, start};
use jiff::Timestamp;
use queue::{Client, Connection, Handler, Job, Task, TaskError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Time before the first task: by then the loops of either server are in their idle rhythm.
const WARM_UP: Duration = Duration::from_secs(2);
/// Tasks come this far apart, on average; at random, because a fixed distance could fall in step with a polling loop.
const MEAN_DISTANCE: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Samples.
    #[arg(long)]
    tasks: usize,
    /// `delayed` only: due times are spread at random over this many milliseconds.
    #[arg(long, default_value_t = 0)]
    spread_ms: u64,
}

/// Compares the time in the payload, nanoseconds of Unix time, with now.
struct Stopwatch(mpsc::UnboundedSender<f64>);

impl Handler for Stopwatch {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let now = Timestamp::now().as_nanosecond();
        let written = std::str::from_utf8(&job.task.payload).ok().and_then(|text| text.parse::<i128>().ok());
        if let Some(written) = written {
            // The receiver goes when all samples are there.
            let _ = self.0.send((now - written) as f64 / 1e6);
        }
        Ok(())
    }
}

/// Tasks come one at a time, at random, about 20 a second: the worker is idle almost always.
pub(crate) async fn latency(connection: Connection, uri: &str, arguments: Arguments) -> anyhow::Result<Waits> {
    let run = Run::begin(connection, uri).await?;
    for _ in 0..arguments.tasks {
        tokio::time::sleep(random_below(MEAN_DISTANCE * 2)?).await;
        run.client.enqueue(&stamped(Timestamp::now())).await?;
    }
    Ok(run.end(arguments.tasks).await)
}

/// All tasks are scheduled at once; the first is due after [`WARM_UP`].
pub(crate) async fn delayed(connection: Connection, uri: &str, arguments: Arguments) -> anyhow::Result<Waits> {
    let run = Run::begin(connection, uri).await?;
    let first = Timestamp::now() + WARM_UP;
    for _ in 0..arguments.tasks {
        let due = first + random_below(Duration::from_millis(arguments.spread_ms))?;
        run.client.enqueue(&Task { process_at: Some(due), ..stamped(due) }).await?;
    }
    Ok(run.end(arguments.tasks).await)
}

/// A worker that times its tasks, and a producer for it.
struct Run {
    client: Client,
    samples: mpsc::UnboundedReceiver<f64>,
    started: Started,
}

impl Run {
    async fn begin(connection: Connection, uri: &str) -> anyhow::Result<Self> {
        let (sender, samples) = mpsc::unbounded_channel();
        let queue = Weighted { name: "default".to_owned(), weight: 1 };
        let started = start(connection, &[queue], 10, Stopwatch(sender));
        // A connection of its own, as a producer in another process has.
        let client = Client::new(Connection::open(uri, None)?);
        client.incarnation().await?;
        tokio::time::sleep(WARM_UP).await;
        Ok(Self { client, samples, started })
    }

    async fn end(mut self, count: usize) -> Waits {
        let mut samples_ms = Vec::with_capacity(count);
        while samples_ms.len() < count
            && let Some(sample) = self.samples.recv().await
        {
            samples_ms.push(sample);
        }
        self.started.server.shutdown().await;
        Waits { samples_ms }
    }
}

fn stamped(time: Timestamp) -> Task {
    Task::new(KIND, time.as_nanosecond().to_string())
}

fn random_below(limit: Duration) -> anyhow::Result<Duration> {
    let random = getrandom::u64()?;
    let nanos = (limit.as_nanos() * u128::from(random)) >> 64;
    Ok(Duration::from_nanos(u64::try_from(nanos)?))
}
