//! Runs the tasks of the queue `default`, four at a time, until Ctrl-C; then lets those that run finish.
//!
//! `cargo run -p queue --example worker -- redis://127.0.0.1:6379/0`; the example `enqueue` gives it something to do.

use queue::{Connection, Handler, Job, QueuePriority, Server, Settings, TaskError};
use std::{error::Error, time::Duration};
use tokio::sync::watch;

struct Print;

impl Handler for Print {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let payload = String::from_utf8(job.task.payload)
            .map_err(|_| TaskError::GiveUp { cause: "the payload is no text".to_owned() })?;
        println!("{} {payload}", job.task.kind);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args().nth(1).ok_or("usage: worker REDIS_URI")?;
    let settings = Settings {
        queues: vec![QueuePriority { name: "default".to_owned(), priority: 1, paused: false }],
        concurrency: 4,
        ..Settings::default()
    };
    // Whatever is sent here later takes effect at once.
    let (_settings, live) = watch::channel(settings);
    let server = Server::start(Connection::open(&uri, None)?, live, Duration::from_secs(10), Print);
    tokio::signal::ctrl_c().await?;
    println!("{:?}", server.shutdown().await);
    Ok(())
}
