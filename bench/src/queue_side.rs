//! Our half of the queue rows: the `queue` crate in a process of its own. `go-asynq` has the same commands with asynq.
//!
//! Takes: a command and `REDIS_URI`. Gives: one JSON object on standard output (`hold`: a line per task).
//! Does not: outlive the program that started it: the process ends when its standard input does.

mod enqueue;
mod hold;
mod process;
mod wait;

use anyhow::Context;
use queue::{Connection, QueuePriority, Server, Settings};
use serde::Serialize;
use std::time::Duration;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

/// Kind of all tasks of the benchmarks.
pub(crate) const KIND: &str = "bench:task";

/// A command. Queues are written `name:weight`, separated by commas.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum QueueSide {
    /// Enqueue tasks as fast as possible.
    Enqueue(enqueue::Arguments),
    /// Process the tasks that are there, doing nothing for each.
    Process(process::Arguments),
    /// Enqueue single tasks and measure until the handler runs.
    Latency(wait::Arguments),
    /// Schedule tasks and measure how late the handler runs.
    Delayed(wait::Arguments),
    /// Take tasks, print a line for each, and never finish one.
    Hold,
}

impl QueueSide {
    /// Callers of one client share one connection, and on two threads they wake each other across cores, which costs
    /// more than all their work; so a producer that does nothing else gets one. A worker gets tokio's default, a thread
    /// per core.
    pub(crate) fn runtime(&self) -> std::io::Result<Runtime> {
        match self {
            Self::Enqueue(_) => Builder::new_multi_thread().worker_threads(1).enable_all().build(),
            _ => Builder::new_multi_thread().enable_all().build(),
        }
    }
}

pub(crate) async fn run(side: QueueSide) -> anyhow::Result<()> {
    std::thread::spawn(end_with_standard_input);
    let uri = std::env::var("REDIS_URI").context("REDIS_URI is not set")?;
    let connection = Connection::open(&uri, None)?;
    match side {
        QueueSide::Enqueue(arguments) => print(&enqueue::run(connection, arguments).await?),
        QueueSide::Process(arguments) => print(&process::run(connection, arguments).await?),
        QueueSide::Latency(arguments) => print(&wait::latency(connection, &uri, arguments).await?),
        QueueSide::Delayed(arguments) => print(&wait::delayed(connection, &uri, arguments).await?),
        QueueSide::Hold => hold::run(connection).await,
    }
}

/// What `enqueue` and `process` print.
#[derive(Debug, Serialize)]
struct Throughput {
    tasks: usize,
    seconds: f64,
}

/// What `latency` and `delayed` print.
#[derive(Debug, Serialize)]
struct Waits {
    samples_ms: Vec<f64>,
}

/// One queue and how often it is chosen, or how many of the tasks go to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Weighted {
    name: String,
    weight: u32,
}

impl std::str::FromStr for Weighted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, weight) = text.split_once(':').context("write queues as name:weight")?;
        Ok(Self { name: name.to_owned(), weight: weight.parse()? })
    }
}

/// A worker server, with the sender of its settings, which it may go on listening to.
struct Started {
    server: Server,
    _settings: watch::Sender<Settings>,
}

fn start(connection: Connection, queues: &[Weighted], concurrency: usize, handler: impl queue::Handler) -> Started {
    let queues =
        queues.iter().map(|queue| QueuePriority { name: queue.name.clone(), priority: queue.weight, paused: false });
    let settings = Settings { queues: queues.collect(), concurrency, ..Settings::default() };
    let sender = watch::Sender::new(settings);
    let server = Server::start(connection, sender.subscribe(), Duration::from_secs(1), handler);
    Started { server, _settings: sender }
}

fn print(result: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

fn end_with_standard_input() {
    // An unreadable standard input is an ended one.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_read_with_their_weights() {
        let queue: Weighted = "critical:6".parse().expect("valid");
        assert_eq!(queue, Weighted { name: "critical".into(), weight: 6 });
        assert!("critical".parse::<Weighted>().is_err() && "critical:x".parse::<Weighted>().is_err());
    }
}
