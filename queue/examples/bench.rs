//! Measures the queue as `tests/go` measures asynq: the same subcommands, the same work, one JSON line each.
//!
//! `bench enqueue|process|latency|delayed URI [number ...]`; the numbers are, in this order: enqueue: callers, tasks,
//! tasks per call (1: one by one); process: queues (1-3), tasks, concurrency; latency: samples; delayed: samples,
//! seconds between the first and the last. Use an empty database.

use jiff::Timestamp;
use queue::{Client, Connection, Error, Handler, Job, QueuePriority, Server, Settings, Task, TaskError};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

const QUEUES: [(&str, u32); 3] = [("bench-0", 6), ("bench-1", 3), ("bench-2", 1)];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, uri, numbers @ ..] = &arguments[..] else {
        eprintln!("usage: bench enqueue|process|latency|delayed URI [number ...]");
        return ExitCode::from(2);
    };
    let number = |at: usize, default: usize| numbers.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let measured = match command.as_str() {
        "enqueue" => enqueue(uri, number(0, 1), number(1, 50_000), number(2, 1)).await,
        "process" => process(uri, number(0, 1), number(1, 50_000), number(2, 100)).await,
        "latency" => latency(uri, number(0, 100)).await,
        "delayed" => delayed(uri, number(0, 100), number(1, 10)).await,
        _ => Ok(format!("unknown command {command}")),
    };
    match measured {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("{command}: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A task with a payload of 100 bytes.
fn task(queue: &str) -> Task {
    Task { queue: queue.to_owned(), ..Task::new("bench", format!(r#"{{"username":"{:080}"}}"#, 0)) }
}

async fn enqueue(uri: &str, callers: usize, tasks: usize, per_call: usize) -> Result<String, Error> {
    let client = Client::new(Connection::open(uri, None)?);
    let begun = Instant::now();
    let mut running = Vec::new();
    for _ in 0..callers {
        let client = client.clone();
        running.push(tokio::spawn(async move {
            for _ in 0..tasks / callers / per_call {
                match per_call {
                    1 => drop(client.enqueue(&task("default")).await?),
                    _ => drop(
                        client
                            .enqueue_many(&vec![(); per_call].iter().map(|()| task("default")).collect::<Vec<_>>())
                            .await?,
                    ),
                }
            }
            Ok::<(), Error>(())
        }));
    }
    for caller in running {
        caller.await.expect("no caller panics")?;
    }
    Ok(format!(r#"{{"callers":{callers},"per_call":{per_call},"per_second":{:.0}}}"#, rate(tasks, begun)))
}

/// Counts its jobs and says when the last one came.
struct Counting {
    left: AtomicUsize,
    done: mpsc::UnboundedSender<()>,
}

impl Handler for Counting {
    async fn handle(&self, _: Job) -> Result<(), TaskError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = self.done.send(());
        }
        Ok(())
    }
}

async fn process(uri: &str, queues: usize, tasks: usize, concurrency: usize) -> Result<String, Error> {
    let client = Client::new(Connection::open(uri, None)?);
    for (at, chunk) in (0..tasks).collect::<Vec<_>>().chunks(1_000).enumerate() {
        let queue = QUEUES[at % queues].0;
        client.enqueue_many(&chunk.iter().map(|_| task(queue)).collect::<Vec<_>>()).await?;
    }
    let (done, mut finished) = mpsc::unbounded_channel();
    let (_keep, live) = watch::channel(settings(queues, concurrency));
    let begun = Instant::now();
    let handler = Counting { left: AtomicUsize::new(tasks), done };
    let server = Server::start(Connection::open(uri, None)?, live, Duration::from_secs(5), handler);
    finished.recv().await;
    let rate = rate(tasks, begun);
    server.shutdown().await;
    Ok(format!(r#"{{"queues":{queues},"concurrency":{concurrency},"per_second":{rate:.0}}}"#))
}

/// Passes on when each job started.
struct Stamping(mpsc::UnboundedSender<(Instant, Timestamp, Vec<u8>)>);

impl Handler for Stamping {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let _ = self.0.send((Instant::now(), Timestamp::now(), job.task.payload));
        Ok(())
    }
}

async fn latency(uri: &str, samples: usize) -> Result<String, Error> {
    let client = Client::new(Connection::open(uri, None)?);
    let (send, mut started) = mpsc::unbounded_channel();
    let (_keep, live) = watch::channel(settings(1, 16));
    let server = Server::start(Connection::open(uri, None)?, live, Duration::from_secs(5), Stamping(send));
    let mut times = Vec::new();
    for _ in 0..samples {
        let begun = Instant::now();
        client.enqueue(&task(QUEUES[0].0)).await?;
        let (at, ..) = started.recv().await.expect("the server lives");
        times.push(at.duration_since(begun).as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.shutdown().await;
    Ok(quantiles(times))
}

async fn delayed(uri: &str, samples: usize, over_seconds: usize) -> Result<String, Error> {
    let client = Client::new(Connection::open(uri, None)?);
    let (send, mut started) = mpsc::unbounded_channel();
    let (_keep, live) = watch::channel(settings(1, 16));
    let server = Server::start(Connection::open(uri, None)?, live, Duration::from_secs(5), Stamping(send));
    let first = Timestamp::now() + Duration::from_secs(2);
    let due = |at: usize| first + Duration::from_secs_f64((over_seconds * at) as f64 / samples as f64);
    let tasks = (0..samples).map(|at| Task {
        payload: at.to_string().into_bytes(),
        process_at: Some(due(at)),
        ..task(QUEUES[0].0)
    });
    client.enqueue_many(&tasks.collect::<Vec<_>>()).await?;
    let mut times = Vec::new();
    for _ in 0..samples {
        let (_, at, payload) = started.recv().await.expect("the server lives");
        let number = String::from_utf8(payload).ok().and_then(|text| text.parse().ok()).expect("we wrote it");
        times.push(at.duration_since(due(number)).as_secs_f64() * 1_000.0);
    }
    server.shutdown().await;
    Ok(quantiles(times))
}

fn settings(queues: usize, concurrency: usize) -> Settings {
    let queues = QUEUES[..queues].iter().map(|&(name, priority)| QueuePriority {
        name: name.to_owned(),
        priority,
        paused: false,
    });
    Settings { queues: queues.collect(), concurrency, ..Settings::default() }
}

fn rate(tasks: usize, begun: Instant) -> f64 {
    tasks as f64 / begun.elapsed().as_secs_f64()
}

fn quantiles(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let quantile = |q: f64| times[((q * times.len() as f64) as usize).min(times.len() - 1)];
    let (samples, [p50, p95, p99, max]) = (times.len(), [0.5, 0.95, 0.99, 1.0].map(quantile));
    format!(r#"{{"samples":{samples},"p50_ms":{p50:.3},"p95_ms":{p95:.3},"p99_ms":{p99:.3},"max_ms":{max:.3}}}"#)
}
