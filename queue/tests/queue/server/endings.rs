//! How tasks and servers end: cancellations, deadlines, panics, used-up retries, shutdown; and what the inspector
//! counts.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn cancel_reaches_the_running_job_and_its_slot_is_free_only_when_the_handler_returns() {
    let fixture = Fixture::new();
    let release = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&release);
    let stubborn = answer(move |job| {
        let gate = Arc::clone(&gate);
        async move {
            if job.task.id == "first" {
                job.cancelled.cancelled().await;
                drop(gate.acquire().await);
            }
            Ok(())
        }
    });
    let (server, mut jobs) = fixture.server(|settings| settings.concurrency = 1, stubborn);
    fixture.client.enqueue(&task("first")).await.unwrap();
    fixture.client.enqueue(&task("second")).await.unwrap();
    let first = jobs.next().await;
    fixture
        .until("cancelled", async |fixture| {
            fixture.client.cancel("first").await.unwrap();
            first.cancelled.is_cancelled()
        })
        .await;
    assert_eq!((server.running(), jobs.try_next().is_none()), (1, true));
    release.add_permits(1);
    assert_eq!(jobs.next().await.task.id, "second");
    // A handler that succeeds although it was cancelled has succeeded.
    fixture.until("both acked", async |fixture| fixture.state("default").await.processed == 2).await;
    assert_eq!(fixture.state("default").await.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_cancels_the_job() {
    let fixture = Fixture::new();
    let patient = answer(|job| async move {
        job.cancelled.cancelled().await;
        Err(TaskError::GiveUp { cause: "took too long".to_owned() })
    });
    let (_server, mut jobs) = fixture.server(|_| {}, patient);
    fixture.client.enqueue(&Task { timeout: Duration::from_secs(1), ..task("slow") }).await.unwrap();
    jobs.next().await;
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_counts_from_the_moment_that_the_handler_names() {
    let fixture = Fixture::new();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let waiting = answer(move |job| {
        let ended = ended.clone();
        async move {
            let turn = Instant::now() + Duration::from_millis(1_500);
            job.limit.count_from(turn);
            job.cancelled.cancelled().await;
            let _ = ended.send((turn.elapsed(), job.limit.is_reached()));
            Ok(())
        }
    });
    let (_server, _jobs) = fixture.server(|_| {}, waiting);
    fixture.client.enqueue(&Task { timeout: Duration::from_secs(1), ..task("late turn") }).await.unwrap();
    let (after_its_turn, is_reached) = ends.recv().await.expect("the handler is cancelled");
    // Redis' clock may be corrected meanwhile, which moves the end by no more than the noise of its measurement.
    assert!(after_its_turn >= Duration::from_millis(900), "{after_its_turn:?}");
    assert!(is_reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_is_not_the_timeouts_leaves_the_limit_unreached() {
    let fixture = Fixture::new();
    let heeding = answer(|job| async move {
        job.cancelled.cancelled().await;
        Ok(())
    });
    let (_server, mut jobs) = fixture.server(|_| {}, heeding);
    let soon = jiff::Timestamp::now() + Duration::from_secs(4);
    fixture.client.enqueue(&Task { deadline: Some(soon), ..task("a deadline") }).await.unwrap();
    fixture.client.enqueue(&task("by hand")).await.unwrap();
    let jobs = [jobs.next().await, jobs.next().await];
    fixture
        .until("both cancelled", async |fixture| {
            fixture.client.cancel("by hand").await.unwrap();
            jobs.iter().all(|job| job.cancelled.is_cancelled())
        })
        .await;
    assert!(jobs.iter().all(|job| !job.limit.is_reached()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_deadline_passed_is_archived_without_running() {
    let fixture = Fixture::new();
    let late = Task { deadline: Some(jiff::Timestamp::now() - Duration::from_secs(5)), ..task("late") };
    fixture.client.enqueue(&late).await.unwrap();
    let (_server, mut jobs) = fixture.server(|_| {}, ok());
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
    assert!(jobs.try_next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_counted_retry_with_its_text() {
    let fixture = Fixture::new();
    let panicking = answer(|job| async move {
        assert!(job.retried > 0, "a failed assertion");
        Ok(())
    });
    let change = |settings: &mut queue::Settings| {
        settings.retry = RetryPolicy::Jitter { initial: Duration::ZERO, max: Duration::ZERO }
    };
    let (server, mut jobs) = fixture.server(change, panicking);
    fixture.client.enqueue(&Task { retention: Duration::from_secs(600), ..task("bomb") }).await.unwrap();
    assert_eq!(jobs.next().await.retried, 0);
    assert_eq!(jobs.next().await.retried, 1);
    fixture.until("completed", async |fixture| fixture.state("default").await.completed == 1).await;
    let state = fixture.state("default").await;
    assert_eq!((state.processed, state.failed, server.running()), (2, 1, 0));
    let message: Vec<u8> = fixture.redis(&["HGET", "asynq:{default}:t:bomb", "msg"]).await;
    assert!(String::from_utf8_lossy(&message).contains("panic: a failed assertion"));
}

#[tokio::test(flavor = "multi_thread")]
async fn max_retries_bound_counted_failures_and_never_uncounted_ones() {
    let fixture = Fixture::new();
    let failing = answer(|job| async move {
        match job.task.id.as_str() {
            "counted" => Err(again(Duration::ZERO, true, "boom")),
            "given up" => Err(TaskError::GiveUp { cause: "never".to_owned() }),
            _ => Err(again(Duration::ZERO, false, "busy")),
        }
    });
    let (_server, mut jobs) = fixture.server(|_| {}, failing);
    fixture.client.enqueue(&Task { max_retries: 2, ..task("counted") }).await.unwrap();
    fixture.client.enqueue(&Task { max_retries: 0, ..task("uncounted") }).await.unwrap();
    fixture.client.enqueue(&Task { max_retries: 9, ..task("given up") }).await.unwrap();
    let mut runs = BTreeMap::<String, Vec<u32>>::new();
    while runs.get("uncounted").is_none_or(|runs| runs.len() < 10) || fixture.state("default").await.archived < 2 {
        let job = jobs.next().await;
        runs.entry(job.task.id).or_default().push(job.retried);
    }
    assert_eq!((&runs["counted"], &runs["given up"]), (&vec![0, 1, 2], &vec![0]));
    assert!(runs["uncounted"].iter().all(|&retried| retried == 0));
    assert_eq!(fixture.state("default").await.failed, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_listed_with_its_settings_until_it_shuts_down() {
    let fixture = Fixture::new();
    let change = |settings: &mut queue::Settings| settings.queues = vec![queue("critical", 6), queue("default", 3)];
    let (server, _jobs) = fixture.server(change, ok());
    fixture.until("listed", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    let listed = fixture.inspector.servers().await.unwrap().remove(0);
    assert_eq!((listed.concurrency, listed.status.as_str(), listed.pid), (4, "active", std::process::id() as i32));
    assert_eq!(listed.queues, BTreeMap::from([("critical".to_owned(), 6), ("default".to_owned(), 3)]));
    fixture
        .until("registered", async |fixture| fixture.inspector.queues().await.unwrap() == ["critical", "default"])
        .await;
    assert!(server.healthy());
    server.shutdown().await;
    assert!(fixture.inspector.servers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_running_handlers_finish_and_leaves_the_rest_pending() {
    let fixture = Fixture::new();
    let release = Arc::new(Semaphore::new(0));
    let waiting = gated(&release);
    let tasks: Vec<Task> = (0..10).map(|_| Task::new("mail:send", "{}")).collect();
    fixture.client.enqueue_many(&tasks).await.unwrap();
    let (server, mut jobs) = fixture.server(|settings| settings.concurrency = 4, waiting);
    for _ in 0..4 {
        jobs.next().await;
    }
    server.stop_taking();
    let (report, ()) = tokio::join!(server.shutdown(), async { release.add_permits(10) });
    assert_eq!((report.finished, report.requeued), (4, 0));
    let state = fixture.state("default").await;
    assert_eq!((state.pending, state.active, state.processed), (6, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_outlasts_the_grace_is_cancelled_and_its_result_counts() {
    let fixture = Fixture::new();
    let heeding = answer(|job| async move {
        job.cancelled.cancelled().await;
        Ok(())
    });
    let (_keep, live) = watch::channel(crate::harness::settings());
    let (server, mut jobs) = fixture.live_server(live, Duration::ZERO, heeding);
    fixture.client.enqueue(&task("a")).await.unwrap();
    jobs.next().await;
    let report = server.shutdown().await;
    assert_eq!((report.finished, report.requeued), (1, 0));
    assert_eq!(fixture.state("default").await.processed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_heeds_nothing_is_aborted_and_its_task_requeued_without_using_up_a_retry() {
    let fixture = Fixture::new();
    let deaf = answer(|_| std::future::pending());
    let (_keep, live) = watch::channel(crate::harness::settings());
    let (server, mut jobs) = fixture.live_server(live, Duration::ZERO, deaf);
    fixture.client.enqueue(&task("a")).await.unwrap();
    jobs.next().await;
    let report = server.shutdown().await;
    assert_eq!((report.finished, report.requeued), (0, 1));
    let state = fixture.state("default").await;
    assert_eq!((state.pending, state.active, state.processed), (1, 0, 0));
    let (_server, mut jobs) = fixture.server(|_| {}, ok());
    assert_eq!(jobs.next().await.retried, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_counts_what_is_due_and_what_will_be() {
    let fixture = Fixture::new();
    let due_in = |seconds: i64| Task {
        process_at: Some(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)),
        ..Task::new("mail:send", "{}")
    };
    fixture.client.enqueue_many(&[due_in(30), due_in(50), due_in(600), Task::new("mail:send", "{}")]).await.unwrap();
    fixture.redis::<i64>(&["ZADD", "asynq:{default}:retry", "1", "x"]).await;
    fixture.redis::<i64>(&["HSET", "asynq:{default}:t:x", "msg", "", "state", "retry"]).await;
    let state = fixture.state("default").await;
    assert_eq!((state.pending, state.scheduled, state.retry, state.due, state.due_within), (1, 3, 1, 1, 3));
    assert_eq!(state.next_due_at, Some(jiff::Timestamp::from_second(1).unwrap()));
    let waited = jiff::Timestamp::now().as_second() - state.oldest_pending_since.unwrap().as_second();
    assert!((0..60).contains(&waited));
    let reading = fixture.inspector.reading("default", Duration::from_secs(60)).await.unwrap();
    assert_eq!(reading.state, state);
    let within = |seconds| reading.due_later[queue::DUE_LATER_S.iter().position(|edge| *edge == seconds).unwrap()];
    assert_eq!([5, 45, 60, 300, 900].map(within), [1, 2, 3, 3, 4]);
}
