//! Each side's tools read and steer what the other writes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn gos_inspector_reads_every_state_that_we_write() {
    let fixture = Fixture::new();
    let mixed = answer(|job| async move {
        match job.task.id.as_str() {
            "active" => std::future::pending().await,
            "retry" => {
                Err(TaskError::Retry { after: Some(Duration::from_secs(600)), counted: true, cause: "boom".to_owned() })
            }
            "archived" => Err(TaskError::GiveUp { cause: "never".to_owned() }),
            _ => Ok(()),
        }
    });
    let (_server, mut jobs) = fixture.server(|settings| settings.concurrency = 5, mixed);
    fixture.client.enqueue(&Task { retention: Duration::from_secs(600), ..task("completed") }).await.unwrap();
    let tasks = ["active", "retry", "archived", "done"].map(task);
    fixture.client.enqueue_many(&tasks).await.unwrap();
    for _ in 0..5 {
        jobs.next().await;
    }
    fixture.until("settled", async |fixture| fixture.state("default").await.active == 1).await;
    let later = Task { process_at: Some(jiff::Timestamp::now() + Duration::from_secs(600)), ..task("scheduled") };
    fixture.client.pause("default").await.unwrap();
    fixture.client.enqueue_many(&[later, task("pending")]).await.unwrap();

    let seen = peer::run(&fixture.uri, &["inspect"]).await.unwrap().remove(0);
    let queue = &seen["Queues"]["default"];
    for state in ["pending", "active", "scheduled", "retry", "archived", "completed"] {
        let listed = &queue["Tasks"][state];
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["ID"]), (1, &state.into()), "{listed}");
        assert_eq!((&listed[0]["State"], &listed[0]["Payload"]), (&state.into(), &r#"{"username":"alice"}"#.into()));
    }
    assert_eq!(
        (&queue["Tasks"]["retry"][0]["LastErr"], &queue["Tasks"]["retry"][0]["Retried"]),
        (&"boom".into(), &1.into())
    );
    assert_eq!(queue["Tasks"]["active"][0]["Orphaned"], false);
    let info = &queue["Info"];
    assert_eq!(
        (&info["Size"], &info["Processed"], &info["Failed"], &info["Paused"]),
        (&6.into(), &4.into(), &2.into(), &true.into())
    );
    assert_eq!((&queue["Today"]["Processed"], &queue["Today"]["Failed"]), (&4.into(), &2.into()));
    let servers = seen["Servers"].as_array().unwrap();
    assert_eq!((servers.len(), &servers[0]["Concurrency"], &servers[0]["Status"]), (1, &5.into(), &"active".into()));
    assert_eq!(servers[0]["Queues"]["default"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_inspector_sees_our_running_tasks_with_the_next_heartbeat() {
    let fixture = Fixture::new();
    let (_server, mut jobs) = fixture.server(|_| {}, answer(|_| std::future::pending()));
    fixture.client.enqueue(&task("a")).await.unwrap();
    jobs.next().await;
    fixture
        .until("listed", async |fixture| {
            let seen = peer::run(&fixture.uri, &["inspect"]).await.unwrap().remove(0);
            let workers = &seen["Servers"][0]["ActiveWorkers"];
            workers.as_array().is_some_and(|workers| {
                workers.len() == 1 && workers[0]["TaskID"] == "a" && workers[0]["TaskType"] == "mail:send"
            })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_gos_tools_work_on_our_server() {
    let fixture = Fixture::new();
    let act =
        async |action: &str, id: &str| peer::run(&fixture.uri, &["act", "-action", action, "-id", id]).await.unwrap();
    let cancellable = answer(|job| async move {
        if job.retried > 0 {
            return Ok(());
        }
        job.cancelled.cancelled().await;
        Err(TaskError::Retry { after: Some(Duration::from_secs(600)), counted: true, cause: "cancelled".to_owned() })
    });
    let (_server, mut jobs) = fixture.server(|_| {}, cancellable);
    fixture.client.enqueue(&task("a")).await.unwrap();
    let running = jobs.next().await;
    fixture
        .until("cancelled", async |_| {
            act("cancel", "a").await;
            running.cancelled.is_cancelled()
        })
        .await;
    fixture.until("retried", async |fixture| fixture.state("default").await.retry == 1).await;
    act("pause", "").await;
    act("run", "a").await;
    assert_eq!(fixture.state("default").await.pending, 1);
    act("unpause", "").await;
    assert_eq!(jobs.next().await.retried, 1);
    nothing_left(&fixture).await;

    fixture.client.pause("default").await.unwrap();
    fixture.client.enqueue_many(&[task("b"), task("c")]).await.unwrap();
    act("archive", "b").await;
    act("delete", "c").await;
    let state = fixture.state("default").await;
    assert_eq!((state.archived, state.pending), (1, 0));
    assert_eq!(fixture.task_keys("default").await, ["asynq:{default}:t:b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_inspector_sees_a_go_server() {
    let fixture = Fixture::new();
    let _worker =
        Worker::start(&fixture.uri, &["-queues", "critical=6,default=3", "-concurrency", "7", "-strict"]).await;
    fixture.until("listed", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    let server = fixture.inspector.servers().await.unwrap().remove(0);
    assert_eq!((server.concurrency, server.strict_priority, server.queues["critical"]), (7, true, 6));
}
