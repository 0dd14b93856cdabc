//! What runs, when, in which order and how many at once.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueued_task_reaches_the_handler_and_leaves_nothing_but_the_counters() {
    let fixture = Fixture::new();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let mut task = Task::new("mail:send", "{}");
    task.headers.insert("traceparent".to_owned(), "00-1".to_owned());
    assert_eq!(fixture.client.enqueue(&task).await.unwrap(), Enqueued::Added);
    let job = jobs.next().await;
    assert_eq!((job.task, job.retried), (task, 0));
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    assert_eq!(fixture.task_keys("default").await, Vec::<String>::new());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_task_runs_after_its_time_and_not_before() {
    let fixture = Fixture::new();
    let (_server, mut jobs) = fixture.server(|_| {}, ok());
    let mut task = Task::new("mail:send", "{}");
    let due = jiff::Timestamp::now() + Duration::from_millis(1_300);
    task.process_at = Some(due);
    fixture.client.enqueue(&task).await.unwrap();
    jobs.next().await;
    assert!(jiff::Timestamp::now() >= due);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_scheduled_earlier_than_the_known_next_one_is_not_kept_waiting_for_it() {
    let fixture = Fixture::new();
    let (_server, mut jobs) = fixture.server(|_| {}, ok());
    let due_in =
        |id, seconds| Task { process_at: Some(jiff::Timestamp::now() + Duration::from_secs(seconds)), ..task(id) };
    fixture.client.enqueue(&due_in("far", 3_600)).await.unwrap();
    fixture.client.enqueue(&due_in("near", 1)).await.unwrap();
    assert_eq!(jobs.next().await.task.id, "near");
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_6_3_1_share_the_attempts_60_30_10() {
    let fixture = Fixture::new();
    for name in ["high", "mid", "low"] {
        let tasks: Vec<Task> =
            (0..300).map(|_| Task { queue: name.to_owned(), ..Task::new("mail:send", "{}") }).collect();
        fixture.client.enqueue_many(&tasks).await.unwrap();
    }
    let change = |settings: &mut queue::Settings| {
        settings.queues = vec![queue("high", 6), queue("mid", 3), queue("low", 1)];
        settings.concurrency = 1;
    };
    let (_server, mut jobs) = fixture.server(change, ok());
    let mut counts = BTreeMap::<String, i32>::new();
    for _ in 0..300 {
        *counts.entry(jobs.next().await.task.queue).or_default() += 1;
    }
    // Five standard deviations of 300 draws are 42, 40 and 26.
    assert!(
        (counts["high"] - 180).abs() < 43 && (counts["mid"] - 90).abs() < 41 && (counts["low"] - 30).abs() < 27,
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_priority_runs_a_lower_queue_only_when_the_higher_are_empty() {
    let fixture = Fixture::new();
    for name in ["low", "mid", "high"] {
        let tasks: Vec<Task> =
            (0..20).map(|_| Task { queue: name.to_owned(), ..Task::new("mail:send", "{}") }).collect();
        fixture.client.enqueue_many(&tasks).await.unwrap();
    }
    let change = |settings: &mut queue::Settings| {
        settings.queues = vec![queue("low", 1), queue("high", 6), queue("mid", 3)];
        settings.strict_priority = true;
        settings.concurrency = 1;
    };
    let (_server, mut jobs) = fixture.server(change, ok());
    let mut order = Vec::new();
    for _ in 0..60 {
        order.push(jobs.next().await.task.queue);
    }
    order.dedup();
    assert_eq!(order, ["high", "mid", "low"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_while_the_server_runs() {
    let fixture = Fixture::new();
    let mut settings = crate::harness::settings();
    settings.concurrency = 0;
    let (change, live) = watch::channel(settings);
    let (_server, mut jobs) = fixture.live_server(live, Duration::from_secs(5), ok());
    fixture.client.enqueue(&task("a")).await.unwrap();
    fixture.until("the server is up", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    assert!(jobs.try_next().is_none(), "concurrency 0 takes nothing");

    change.send_modify(|settings| settings.concurrency = 1);
    assert_eq!(jobs.next().await.task.id, "a");

    change.send_modify(|settings| settings.queues[0].paused = true);
    fixture.client.enqueue(&task("b")).await.unwrap();
    change.send_modify(|settings| settings.queues.push(queue("new", 1)));
    fixture.client.enqueue(&Task { queue: "new".to_owned(), ..task("c") }).await.unwrap();
    assert_eq!(jobs.next().await.task.id, "c");
    assert_eq!(fixture.state("default").await.pending, 1);

    change.send_modify(|settings| settings.queues[0].paused = false);
    assert_eq!(jobs.next().await.task.id, "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_handlers_run_at_once_than_the_concurrency() {
    let fixture = Fixture::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        answer(move |_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let tasks: Vec<Task> = (0..500).map(|_| Task::new("mail:send", "{}")).collect();
    fixture.client.enqueue_many(&tasks).await.unwrap();
    let (_server, mut jobs) = fixture.server(|settings| settings.concurrency = 3, counting);
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..500 {
        ids.push(jobs.next().await.task.id);
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 500, "every task ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_is_not_served_until_it_is_unpaused() {
    let fixture = Fixture::new();
    fixture.client.pause("default").await.unwrap();
    let (_server, mut jobs) = fixture.server(|_| {}, ok());
    fixture.client.enqueue(&task("a")).await.unwrap();
    fixture.until("the server is up", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    let state = fixture.state("default").await;
    assert!(state.paused && state.pending == 1 && jobs.try_next().is_none());
    fixture.client.unpause("default").await.unwrap();
    assert_eq!(jobs.next().await.task.id, "a");
}
