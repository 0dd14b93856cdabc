//! Tasks of one side run on the other; workers of both recover each other's.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_go_producer_run_here_with_all_they_carry() {
    let fixture = Fixture::new();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let common =
        ["enqueue", "-type", "mail:send", "-payload", r#"{"username":"alice"}"#, "-retry", "3", "-timeout", "30s"];
    let enqueue = async |more: &[&str]| peer::run(&fixture.uri, &[&common, more].concat()).await.unwrap();
    enqueue(&["-id", "now", "-header", "traceparent=00-1"]).await;
    let job = jobs.next().await;
    let mut expected = task("now");
    expected.headers.insert("traceparent".to_owned(), "00-1".to_owned());
    assert_eq!((job.task, job.retried), (expected, 0));
    enqueue(&["-id", "later", "-in", "1s"]).await;
    assert_eq!(jobs.next().await.task, task("later"));
    enqueue(&["-id", "kept", "-retention", "1h", "-unique", "1h"]).await;
    assert_eq!(jobs.next().await.task, Task { retention: Duration::from_secs(3600), ..task("kept") });
    fixture.until("completed", async |fixture| fixture.state("default").await.completed == 1).await;
    assert!(
        fixture.redis::<Vec<String>>(&["KEYS", "asynq:{default}:unique:*"]).await.is_empty(),
        "the lock is released"
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_tasks_run_on_a_go_worker_with_all_they_carry() {
    let fixture = Fixture::new();
    let mut worker = Worker::start(&fixture.uri, &[]).await;
    let mut now = task("now");
    now.headers.insert("traceparent".to_owned(), "00-1".to_owned());
    now.unique_for = Some(Duration::from_secs(3600));
    let later = Task { process_at: Some(jiff::Timestamp::now() + Duration::from_secs(1)), ..task("later") };
    fixture.client.enqueue_many(&[now, later]).await.unwrap();
    let first = worker.next().await;
    assert_eq!(
        (&first["id"], &first["type"], &first["payload"]),
        (&"now".into(), &"mail:send".into(), &r#"{"username":"alice"}"#.into())
    );
    assert_eq!(first["headers"]["traceparent"], "00-1");
    assert_eq!(worker.next().await["id"], "later");
    nothing_left(&fixture).await;
    assert_eq!(
        fixture.client.enqueue(&Task { unique_for: Some(Duration::from_secs(60)), ..task("again") }).await.unwrap(),
        Enqueued::Added
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_the_same_id_conflicts_and_duplicates() {
    let fixture = Fixture::new();
    let unique = |id| Task { unique_for: Some(Duration::from_secs(3600)), ..task(id) };
    fixture.client.enqueue(&unique("ours")).await.unwrap();
    let go = ["enqueue", "-type", "mail:send", "-payload", r#"{"username":"alice"}"#];
    let conflict = peer::run(&fixture.uri, &[&go[..], &["-id", "ours"]].concat()).await.unwrap_err();
    assert!(conflict.contains("task ID conflicts"), "{conflict}");
    let duplicate = peer::run(&fixture.uri, &[&go[..], &["-unique", "1h"]].concat()).await.unwrap_err();
    assert!(duplicate.contains("task already exists"), "{duplicate}");
    peer::run(&fixture.uri, &["enqueue", "-type", "other", "-payload", "{}", "-id", "theirs", "-unique", "1h"])
        .await
        .unwrap();
    let other =
        |id: &str| Task { id: id.to_owned(), unique_for: Some(Duration::from_secs(60)), ..Task::new("other", "{}") };
    assert_eq!(fixture.client.enqueue(&other("theirs")).await.unwrap(), Enqueued::AlreadyThere);
    assert_eq!(fixture.client.enqueue(&other("more")).await.unwrap(), Enqueued::Duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_both_kinds_share_a_queue_and_run_every_task_once() {
    let fixture = Fixture::new();
    let mut worker = Worker::start(&fixture.uri, &["-takes", "10ms", "-concurrency", "4"]).await;
    let slow = answer(|_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    });
    let tasks: Vec<Task> = (0..300).map(|number| task(&format!("{number:03}"))).collect();
    fixture.client.enqueue_many(&tasks).await.unwrap();
    let go_first = worker.next().await["id"].as_str().unwrap().to_owned();
    let (server, mut jobs) = fixture.server(|_| {}, slow);
    nothing_left(&fixture).await;
    server.shutdown().await;
    let mut ran = vec![go_first];
    let mut ours = BTreeSet::new();
    while let Some(job) = jobs.try_next() {
        ours.insert(job.task.id.clone());
        ran.push(job.task.id);
    }
    while ran.len() < 300 {
        ran.push(worker.next().await["id"].as_str().unwrap().to_owned());
    }
    let distinct: BTreeSet<&String> = ran.iter().collect();
    assert_eq!(distinct.len(), 300);
    assert!(!ours.is_empty() && ours.len() < 300, "both took part: {} of 300 ours", ours.len());
    assert_eq!(fixture.state("default").await.processed, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_killed_go_worker_is_recovered_here() {
    let fixture = Fixture::new();
    let mut worker = Worker::start(&fixture.uri, &["-answer", "hang"]).await;
    fixture.client.enqueue(&task("a")).await.unwrap();
    assert_eq!(worker.next().await["id"], "a");
    worker.kill().await;
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let job = jobs.next().await;
    assert_eq!((job.task, job.retried), (task("a"), 1));
    nothing_left(&fixture).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_our_killed_worker_is_recovered_by_go() {
    let fixture = Fixture::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (doomed, mut jobs): (Server, _) = {
        let _inside = runtime.enter();
        fixture.server(|_| {}, answer(|_| std::future::pending()))
    };
    fixture.client.enqueue(&task("a")).await.unwrap();
    jobs.next().await;
    runtime.shutdown_background();
    drop(doomed);
    // Go's recoverer waits for 30 s more than the lease, and starts with a round; then it delays the retry by 15 s and
    // more.
    leases_ended(&fixture, 40).await;
    let mut worker = Worker::start(&fixture.uri, &[]).await;
    fixture.until("recovered", async |fixture| fixture.state("default").await.retry == 1).await;
    peer::run(&fixture.uri, &["act", "-action", "run", "-id", "a"]).await.unwrap();
    let attempt = worker.next().await;
    assert_eq!((&attempt["id"], &attempt["retried"]), (&"a".into(), &1.into()));
    nothing_left(&fixture).await;
}
