//! The examples of this crate, run as their readers would run them.

use crate::harness::{DEADLINE, Fixture};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// A program that Cargo builds beside the tests, unless only some of them are asked for.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is missing. Fix: cargo build -p queue --examples", program.display());
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_runs_what_the_producer_enqueues_and_ends_in_order() {
    let fixture = Fixture::new();
    let mut worker = Command::new(example("worker"));
    let mut worker = worker.arg(&fixture.uri).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let producer = Command::new(example("enqueue")).arg(&fixture.uri).output().await.unwrap();
    let said = String::from_utf8(producer.stdout).unwrap();
    assert!(producer.status.success() && said.matches("Added: ").count() == 2, "{said}");

    let mut next = async || tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("a line in time").unwrap();
    assert_eq!(next().await.unwrap(), r#"mail:send {"user":1}"#);
    assert_eq!(next().await.unwrap(), r#"mail:send {"user":2}"#);
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 2).await;

    let interrupt = Command::new("kill").args(["-INT", &worker.id().unwrap().to_string()]).status().await.unwrap();
    assert!(interrupt.success());
    assert_eq!(next().await.unwrap(), "ShutdownReport { finished: 0, requeued: 0 }");
    assert!(worker.wait().await.unwrap().success());
}
