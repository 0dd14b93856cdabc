//! The process of a simulated pod: a worker that sleeps in place of sending mails.
//!
//! Takes: REDIS_URI, HOSTNAME (the pod's name), and tasks of the queue `critical` whose payload is when they were due
//! (Unix time, ms) and how long they take (ms); ` kill` behind that kills this process then, in the first attempt.
//! Gives: a line `S due now` when one begins and `E` when it ends, on standard output. Ends in order after SIGTERM, and
//! at once with its standard input. Does not: fail a task.

use crate::load::QUEUE;
use anyhow::Context;
use jiff::Timestamp;
use queue::{Connection, Handler, Job, QueuePriority, Server, Settings, TaskError};
use std::{io::Write, time::Duration};
use tokio::{signal::unix, sync::watch};

/// Less than what the kubelet gives.
const GRACE: Duration = Duration::from_secs(25);

struct Sleep;

impl Handler for Sleep {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let read = read(&job.task.payload);
        let (due, takes, kills) = read.ok_or_else(|| TaskError::GiveUp { cause: "no payload".into() })?;
        tell(&format!("S {due} {}", Timestamp::now().as_millisecond()));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(takes)) => {
                if kills && job.retried == 0 {
                    // As the kernel does for want of memory; what could fail is a process that is gone.
                    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                }
            }
            () = job.cancelled.cancelled() => {
                return Err(TaskError::Retry { after: Some(Duration::ZERO), counted: false, cause: "stopped".into() });
            }
        }
        tell("E");
        Ok(())
    }
}

/// When it was due, how long it takes, and whether the process is killed then.
fn read(payload: &[u8]) -> Option<(i64, u64, bool)> {
    let mut words = std::str::from_utf8(payload).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next() == Some("kill")))
}

/// A reader that is gone has killed us, or will.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) async fn run(concurrency: usize) -> anyhow::Result<()> {
    std::thread::spawn(end_with_standard_input);
    let mut stop = unix::signal(unix::SignalKind::terminate())?;
    let connection = Connection::open(&std::env::var("REDIS_URI").context("REDIS_URI is not set")?, None)?;
    let queues = vec![QueuePriority { name: QUEUE.to_owned(), priority: 1, paused: false }];
    let (_settings, live) = watch::channel(Settings { queues, concurrency, ..Settings::default() });
    let server = Server::start(connection, live, GRACE, Sleep);
    stop.recv().await;
    server.shutdown().await;
    Ok(())
}

fn end_with_standard_input() {
    // An unreadable standard input is an ended one.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(3);
}
