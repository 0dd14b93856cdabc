//! A whole worker on a real Redis: from a task to a mail, the breaker, live edits, and the drain.

use crate::fixture::{Fixture, SOON, task, timing, until};
use inbox::{Action, Phase, Rule, Settings};
use queue::{Connection, Inspector, QueueState, Task};
use std::time::Duration;
use worker::process::{Options, Worker};

fn start(fixture: &Fixture) -> Worker {
    let options = Options { timing: timing(), probe_wait: |_, longest| longest };
    Worker::start(&fixture.live, None, options).expect("the worker starts")
}

async fn queue(fixture: &Fixture) -> QueueState {
    let inspector = Inspector::new(Connection::open(&fixture.redis_uri, None).expect("a good URI"));
    inspector.queue("critical", Duration::ZERO).await.expect("Redis answers")
}

async fn enqueue(fixture: &Fixture, username: &str) -> signup::Created {
    let created = fixture.sign_up(username).await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    created
}

#[tokio::test]
async fn a_task_becomes_a_mail_and_leaves_redis() {
    let fixture = Fixture::new().await;
    let worker = start(&fixture);
    let created = enqueue(&fixture, "alice1").await;
    fixture.inbox.wait_for(|message| message.to == ["alice1@example.com"], SOON).await.expect("the mail arrives");
    until("the ack", || async { queue(&fixture).await.active == 0 }).await;
    assert_eq!(fixture.value("state", created.intent.id).await, "sent");
    assert!(worker.readiness().check().await.is_ok());
    worker.shutdown().await;
}

#[tokio::test]
async fn a_payload_of_a_go_producer_is_processed() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice1").await;
    let worker = start(&fixture);
    let mut go = Task::new(signup::task::KIND, br#"{"username":"alice1"}"#.to_vec());
    go.queue = "critical".into();
    fixture.client().enqueue(&go).await.expect("Redis answers");
    fixture.inbox.wait_for(|message| message.to == ["alice1@example.com"], SOON).await.expect("the mail arrives");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_refused_mail_is_archived() {
    let fixture = Fixture::new().await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "5.1.1 unknown")]).expect("a good rule");
    let worker = start(&fixture);
    let created = enqueue(&fixture, "alice1").await;
    until("the archive", || async { queue(&fixture).await.archived == 1 }).await;
    assert_eq!(fixture.value("state", created.intent.id).await, "refused");
    worker.shutdown().await;
}

#[tokio::test]
async fn an_open_breaker_leaves_tasks_in_redis_until_the_server_is_back() {
    let fixture = Fixture::new().await;
    fixture.inbox.stop();
    let worker = start(&fixture);
    for number in 0..40 {
        enqueue(&fixture, &format!("user{number}")).await;
    }
    until("some attempts", || async { queue(&fixture).await.retry >= 5 }).await;
    until("a rest", || async { queue(&fixture).await.active == 0 }).await;
    let state = queue(&fixture).await;
    assert!(state.pending > 0, "an open breaker takes no tasks: {state:?}");
    fixture.inbox.start_again().expect("the same port");
    // A changed configuration is a reason to try at once.
    fixture.edit("initial: 15s", "initial: 16s").await;
    until("the pending ones", || async { queue(&fixture).await.pending == 0 }).await;
    let failures: i64 =
        sqlx::query_scalar("SELECT sum(failures) FROM email_intents").fetch_one(&fixture.sql).await.expect("a sum");
    assert_eq!(failures, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_paused_queue_is_left_alone_and_an_edit_resumes_it() {
    let fixture = Fixture::new().await;
    fixture.edit("name: critical, priority: 10", "name: critical, priority: 10, paused: true").await;
    let worker = start(&fixture);
    let first = enqueue(&fixture, "alice1").await;
    let mut second = task(&fixture.sign_up("bob1").await);
    second.queue = "default".into();
    fixture.client().enqueue(&second).await.expect("Redis answers");
    fixture.inbox.wait_for(|message| message.to == ["bob1@example.com"], SOON).await.expect("the other queue runs");
    assert_ne!(fixture.value("state", first.intent.id).await, "sent");
    fixture.edit(", paused: true", "").await;
    fixture.inbox.wait_for(|message| message.to == ["alice1@example.com"], SOON).await.expect("the mail arrives");
    worker.shutdown().await;
}

#[tokio::test]
async fn templates_are_replaced_while_running() {
    let fixture = Fixture::new().await;
    let folder = fixture.path("templates");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("subject.txt"), "Hello {{username}}").expect("a file");
    fixture.edit("mail:\n", &format!("mail:\n  templatesDir: {}\n", folder.display())).await;
    let worker = start(&fixture);
    enqueue(&fixture, "alice1").await;
    fixture.inbox.wait_for(|message| message.subject == "Hello alice1", SOON).await.expect("the edited subject");
    std::fs::write(folder.join("subject.txt"), "Hi {{username}}").expect("a file");
    let mut names = (0..).map(|number| format!("user{number}"));
    loop {
        let name = names.next().expect("endless");
        enqueue(&fixture, &name).await;
        let to = [format!("{name}@example.com")];
        let mail = fixture.inbox.wait_for(|message| message.to == to, SOON).await.expect("a mail");
        if mail.subject == format!("Hi {name}") {
            break;
        }
        assert_eq!(mail.subject, format!("Hello {name}"), "either the old template or the new one");
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let fixture = Fixture::new().await;
    fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hold("rcpt".into()))]).expect("a good rule");
    let worker = start(&fixture);
    let running = enqueue(&fixture, "alice1").await;
    fixture.inbox.wait_until_held("rcpt", 1, SOON).await.expect("RCPT arrives");
    let mut drain = std::pin::pin!(worker.shutdown());
    assert!(futures::poll!(drain.as_mut()).is_pending(), "the drain has begun");
    let waiting = enqueue(&fixture, "bob1").await;
    fixture.inbox.release("rcpt");
    let report = drain.await;
    assert_eq!(report.finished, 1);
    assert_eq!(fixture.value("state", running.intent.id).await, "sent");
    assert_ne!(fixture.value("state", waiting.intent.id).await, "sent");
    assert_eq!(queue(&fixture).await.pending, 1);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_hands_the_rest_back_unused() {
    let fixture = Fixture::new().await;
    fixture.edit("shutdownGracePeriod: 40s", "shutdownGracePeriod: 100ms").await;
    fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hang)]).expect("a good rule");
    let worker = start(&fixture);
    let created = enqueue(&fixture, "alice1").await;
    until("the dialogue", || async { fixture.value("state", created.intent.id).await == "sending" }).await;
    worker.shutdown().await;
    let row = fixture.value("state || ' ' || attempts || ' ' || failures", created.intent.id).await;
    assert_eq!(row, "dispatched 0 0");
    let state = queue(&fixture).await;
    assert_eq!((state.active, state.pending + state.retry + state.scheduled), (0, 1), "{state:?}");
}

#[tokio::test]
async fn mails_are_paced() {
    let fixture = Fixture::with(Settings::default(), timing(), ", maxPerSecond: 20").await;
    let worker = start(&fixture);
    for number in 0..10 {
        enqueue(&fixture, &format!("user{number}")).await;
    }
    fixture.inbox.wait_for(|message| message.id == 10, SOON).await.expect("ten mails");
    let messages = fixture.inbox.messages();
    let spread = messages[9].received_at.duration_since(messages[0].received_at);
    assert!(spread.as_millis() >= 225, "ten mails at 20 per second take about 450 ms, not {spread:?}");
    worker.shutdown().await;
}
