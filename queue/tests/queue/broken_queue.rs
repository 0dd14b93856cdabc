//! One queue whose keys Redis refuses (another program wrote something else there) beside one that is well: the tasks
//! of the second are taken, ended and recovered as if the first were not there.

use crate::harness::{Fixture, answer, ok};
use queue::{QueuePriority, Settings, Task};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The broken queue comes first, in a strict order.
fn both(settings: &mut Settings) {
    let queue = |name: &str, priority| QueuePriority { name: name.to_owned(), priority, paused: false };
    settings.queues = vec![queue("broken", 9), queue("default", 1)];
    settings.strict_priority = true;
}

async fn break_key(fixture: &Fixture, name: &str) {
    fixture.redis::<String>(&["SET", &format!("asynq:{{broken}}:{name}"), "something else"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_lower_queue_are_taken() {
    let fixture = Fixture::new();
    break_key(&fixture, "pending").await;
    let (server, mut jobs) = fixture.server(both, ok());
    for _ in 0..20 {
        let task = Task::new("mail:send", "{}");
        fixture.client.enqueue(&task).await.unwrap();
        assert_eq!(jobs.next().await.task.id, task.id);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_dead_workers_in_another_queue_are_recovered() {
    let fixture = Fixture::new();
    break_key(&fixture, "lease").await;
    let task = Task::new("mail:send", "{}");
    fixture.client.enqueue(&task).await.unwrap();
    fixture.redis::<String>(&["RPOPLPUSH", "asynq:{default}:pending", "asynq:{default}:active"]).await;
    fixture.redis::<i64>(&["HSET", &format!("asynq:{{default}}:t:{}", task.id), "state", "active"]).await;
    fixture.redis::<i64>(&["ZADD", "asynq:{default}:lease", "1000", &task.id]).await;
    let (server, mut jobs) = fixture.server(both, ok());
    let job = jobs.next().await;
    assert_eq!((job.task.id, job.retried), (task.id, 1));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_results_of_another_queue_are_written_and_the_refused_ones_as_soon_as_they_can() {
    let fixture = Fixture::new();
    let release = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&release);
    let waiting = answer(move |job| {
        let gate = Arc::clone(&gate);
        async move {
            if job.task.queue == "broken" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(())
        }
    });
    let tasks: Vec<Task> =
        (0..300).map(|_| Task { queue: "broken".to_owned(), ..Task::new("mail:send", "{}") }).collect();
    fixture.client.enqueue_many(&tasks).await.unwrap();
    let change = |settings: &mut Settings| {
        both(settings);
        settings.concurrency = 400;
    };
    let (server, mut jobs) = fixture.server(change, waiting);
    for _ in 0..300 {
        jobs.next().await;
    }
    break_key(&fixture, "active").await;
    release.add_permits(300);
    fixture.until("all returned", async |_| server.running() == 0).await;
    fixture.client.enqueue(&Task::new("mail:send", "{}")).await.unwrap();
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    fixture.redis::<i64>(&["DEL", "asynq:{broken}:active"]).await;
    let done = async |fixture: &Fixture| {
        let counts: (i64, Option<i64>) = (
            fixture.redis(&["ZCARD", "asynq:{broken}:lease"]).await,
            fixture.redis(&["GET", "asynq:{broken}:processed"]).await,
        );
        counts == (0, Some(300))
    };
    fixture.until("the refused ones written", done).await;
    assert_eq!(fixture.state("broken").await.failed, 0, "none ran again");
    server.shutdown().await;
    assert_eq!(fixture.task_keys("broken").await, Vec::<String>::new());
}
