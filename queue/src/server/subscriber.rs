//! Listens for wake-ups and cancellations, on a connection of its own that it opens again after every loss.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::Shared;
use crate::error::Error;
use crate::keys;

/// Pause before a lost connection is opened again; the safety polls cover the time.
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.quit.cancelled() => return,
            ended = listen(&shared) => if let Err(error) = ended {
                shared.log_trouble("failed to listen for wake-ups", &error);
            },
        }
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = tokio::time::sleep(OPEN_AGAIN_AFTER) => {}
        }
    }
}

/// Listens until the connection is lost.
async fn listen(shared: &Shared) -> Result<(), Error> {
    let wake = keys::wake(shared.broker.connection().database());
    let mut subscriber = shared.broker.connection().subscriber().await?;
    subscriber.subscribe(&[&*wake, keys::CANCEL]).await?;
    shared.wake.all();
    let mut messages = subscriber.into_on_message();
    while let Some(message) = messages.next().await {
        let text = String::from_utf8_lossy(message.get_payload_bytes());
        if message.get_channel_name() == keys::CANCEL {
            shared.running.cancel(&text);
        } else if let Some(queue) = text.strip_prefix("pending:") {
            shared.wake.pending(queue);
        } else if let Some(due_ms) = text.strip_prefix("due:").and_then(|ms| ms.parse().ok()) {
            shared.wake.due(due_ms);
        }
    }
    Ok(())
}
