//! The worker server against a real Redis: what runs, when, how often, and what its settings, pauses, cancellations, panics and
//! shutdown do.

mod harness;

use std::time::Duration;

use harness::{Bench, ok};
use queue::{Enqueued, Task};

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueued_task_reaches_the_handler_and_leaves_nothing_but_the_counters() {
    let bench = Bench::new();
    let (server, mut jobs) = bench.server(|_| {}, ok());
    let mut task = Task::new("greet", "{}");
    task.headers.insert("traceparent".to_owned(), "00-1".to_owned());
    assert_eq!(bench.client.enqueue(&task).await.unwrap(), Enqueued::Added);
    let job = jobs.next().await;
    assert_eq!((job.task, job.retried), (task, 0));
    bench.until("acked", async |bench| bench.state("default").await.processed == 1).await;
    assert_eq!(bench.task_keys("default").await, Vec::<String>::new());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_task_runs_after_its_time_and_not_before() {
    let bench = Bench::new();
    let (_server, mut jobs) = bench.server(|_| {}, ok());
    let mut task = Task::new("greet", "{}");
    let due = jiff::Timestamp::now() + Duration::from_millis(1_300);
    task.process_at = Some(due);
    bench.client.enqueue(&task).await.unwrap();
    jobs.next().await;
    assert!(jiff::Timestamp::now() >= due);
}
