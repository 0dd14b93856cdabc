//! Listens for wake-ups and cancellations, on a connection of its own that it opens again after every loss.

use super::Shared;
use crate::{error::Error, keys};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};

/// Pause before a lost connection is opened again; the polls of the other loops cover the time.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);
/// Pause after a refusal: some proxies have no subscriptions, and will not get them soon.
const REFUSED_DELAY: Duration = Duration::from_secs(10);
/// A connection on which the subscription takes longer is given up.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to check whether the server's other connection is a new one. This one only listens, so it would not notice
/// by itself that the machine at its other end is gone.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let mut delay = RECONNECT_DELAY;
        tokio::select! {
            () = shared.quit.cancelled() => return,
            ended = listen(&shared) => if let Err(error) = ended {
                shared.log_failure("failed to listen for wake-ups", &error);
                if !error.is_unreachable() {
                    delay = REFUSED_DELAY;
                }
            },
        }
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Listens until the connection is lost, or the one that takes tasks was.
async fn listen(shared: &Shared) -> Result<(), Error> {
    let wake = keys::wake(shared.broker.connection().database());
    let mut subscriber = shared.broker.connection().subscriber().await?;
    let channels = [&*wake, keys::CANCEL];
    let subscribed = tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscriber.subscribe(&channels)).await;
    subscribed.map_err(|_| Error::Unreachable(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))??;
    let opened = shared.broker.connection().number();
    shared.wake.all();
    let mut messages = subscriber.into_on_message();
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = poll.tick() => {
                let now = shared.broker.connection().number();
                if now.is_some() && now != opened {
                    return Ok(());
                }
                continue;
            }
        };
        let Some(message) = message else { return Ok(()) };
        let text = String::from_utf8_lossy(message.get_payload_bytes());
        if message.get_channel_name() == keys::CANCEL {
            shared.running.cancel(&text);
        } else if let Some(queue) = text.strip_prefix("pending:") {
            shared.wake.pending(queue);
        } else if let Some(due_ms) = text.strip_prefix("due:").and_then(|ms| ms.parse().ok()) {
            shared.wake.due(due_ms);
        } else if text.starts_with("ended:") {
            shared.wake.ended();
        } else if text == "drain" {
            shared.wake.drain();
        }
    }
}
