//! Applications that take nothing, as the status tells it. What a worker says of them comes from [`FakePod`] in the
//! words of the worker, whose own tests hold them against a receiver that is down.

use super::operator_run::{FakePod, MINIMAL, Run};
use serde_json::{Value, json};

const WEBHOOKS: &str = "  webhooks:
  - {url: \"https://app.example/hooks/topsecret\", secretRef: {name: hooks}}
";

fn failing(fault: &str, said: &str) -> Value {
    json!([{"host": "app.example", "works": false, "since": "2026-11-30T10:00:00Z", "fault": fault, "said": said}])
}

#[tokio::test]
async fn the_status_says_which_application_takes_nothing_since_when_why_and_what_to_do_and_turns_back() {
    let run = Run::with_pipeline(&format!("{MINIMAL}{WEBHOOKS}")).await;
    run.secret("hooks", &[("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]).await;
    let worker = FakePod::new().await;
    worker.tells_of_webhooks(json!([]));
    run.pod("demo-worker", &worker).await;
    run.condition("WebhooksDelivered", "Unknown", "NotKnown").await;
    worker.tells_of_webhooks(failing("connection", "no connection: connection refused"));
    let down = run.condition("WebhooksDelivered", "False", "ReceiverDown").await;
    let expected = "no webhooks are delivered to app.example since 2026-11-30T10:00:00Z (no connection: connection \
                    refused); signups and mails go on, and what is owed waits until its deadline. Fix: see that \
                    app.example runs and listens there";
    assert!(down.message.starts_with(expected), "{}", down.message);
    worker.tells_of_webhooks(json!([{"host": "app.example", "works": true}]));
    run.condition("WebhooksDelivered", "True", "Answers").await;
    worker.tells_of_webhooks(failing("refused", "status 410"));
    let refused = run.condition("WebhooksDelivered", "False", "ReceiverRefuses").await;
    assert!(refused.message.contains("(status 410)") && !refused.message.contains("topsecret"), "{}", refused.message);

    // That was the third change within ten minutes. An edit that takes the webhook away is told at once.
    run.edit(json!({"webhooks": null})).await;
    run.condition("WebhooksDelivered", "True", "NoWebhooks").await;
}
