//! The span that a handler runs in.

use crate::harness::{Fixture, answer};
use queue::{Task, TaskError};
use serde_json::{Value, json};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What was logged so far, also by other tests.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_handler_lie_in_a_span_with_its_task_its_queue_and_its_attempt_alone() {
    let lines = Lines::default();
    let writer = lines.clone();
    // Of the whole process: with one of a thread, another thread may decide that no subscriber wants the span.
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let fixture = Fixture::new();
    let logging = answer(|job| async move {
        tracing::info!("at work");
        match job.retried {
            0 => Err(TaskError::Retry { after: Some(Duration::ZERO), counted: true, cause: "busy".to_owned() }),
            _ => Ok(()),
        }
    });
    let (server, mut jobs) = fixture.server(|_| {}, logging);
    let task = Task { id: "a".to_owned(), ..Task::new("mail:send", r#"{"username":"alice"}"#) };
    fixture.client.enqueue(&task).await.unwrap();
    for _ in 0..2 {
        jobs.next().await;
    }
    server.shutdown().await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spans: Vec<Value> =
        events.filter(|event| event["fields"]["message"] == "at work").map(|event| event["spans"].clone()).collect();
    let span = |attempt| json!([{"name": "task", "task.id": "a", "queue.name": "default", "task.attempt": attempt}]);
    assert_eq!(spans, [span(1), span(2)]);
}
