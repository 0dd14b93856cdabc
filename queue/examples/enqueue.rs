//! Enqueues one task for now and one for two seconds later.
//!
//! `cargo run -p queue --example enqueue -- redis://127.0.0.1:6379/0`; the example `worker` runs them, and so would a
//! worker of Go's asynq.

use jiff::Timestamp;
use queue::{Client, Connection, Task};
use std::{error::Error, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args().nth(1).ok_or("usage: enqueue REDIS_URI")?;
    let client = Client::new(Connection::open(&uri, None)?);

    let now = Task::new("mail:send", r#"{"user":1}"#);
    println!("{:?}: {}", client.enqueue(&now).await?, now.id);

    let later = Task {
        process_at: Some(Timestamp::now() + Duration::from_secs(2)),
        max_retries: 5,
        ..Task::new("mail:send", r#"{"user":2}"#)
    };
    println!("{:?}: {}", client.enqueue(&later).await?, later.id);
    Ok(())
}
