//! Gives tasks of servers that are said to have ended to living ones, without waiting for their leases.
//!
//! Takes: what a [`crate::Supervisor`] said in Redis; a message wakes, and a poll covers lost ones. Gives: each task of
//! such a server back, fenced by the token under which it was held; the handler hears of it before. Does not: trust
//! what is said: a server that lives denies it, and is given the time to.

use super::{Shared, queues::Queue, recoverer::give_back};
use crate::{
    broker::{Ended, Guard, Settled},
    error::Error,
    handler::Handler,
};
use std::{sync::Arc, time::Duration};

/// What was said for shorter is not acted upon: a server of which it is not true hears of it within a few milliseconds.
const DENIAL_GRACE: Duration = Duration::from_millis(500);
/// Up to so much is added by chance, so that one server finds the tasks and the others find that there are none left.
const MAX_SPREAD: Duration = Duration::from_millis(150);
/// The longest sleep.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after an error.
const BACK_OFF: Duration = Duration::from_millis(500);
/// What the task's error text says.
const CAUSE: &str = "the server that ran the task has ended";

/// Runs until the server's loops end.
pub(crate) async fn run<H: Handler>(shared: Arc<Shared>, handler: Arc<H>) {
    loop {
        let pause = match take_over(&shared, &*handler).await {
            Ok(pause) => pause,
            Err(error) => {
                shared.log_failure("failed to take over the tasks of an ended server", &error);
                BACK_OFF
            }
        };
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = shared.wake.for_ended() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes over from every server that was said to have ended long enough ago, again at each poll while it is said: a
/// dequeue may have reached Redis after its sender's end. Returns how long to sleep.
async fn take_over<H: Handler>(shared: &Shared, handler: &H) -> Result<Duration, Error> {
    let now = shared.broker.now();
    let mut pause = POLL_INTERVAL;
    for Ended { server, told_ms } in shared.broker.ended(now).await? {
        if server == shared.identity() {
            shared.broker.deny_ended(&server).await?;
            tracing::warn!(server, "it was said that this server has ended, which is denied");
            continue;
        }
        let since = Duration::from_millis(u64::try_from(now.millis() - told_ms).unwrap_or(0));
        if since < DENIAL_GRACE {
            pause = pause.min(DENIAL_GRACE - since + shared.random_part_of(MAX_SPREAD));
            continue;
        }
        handler.server_ended(&server).await;
        let server_id = server.rsplit(':').next().unwrap_or_default();
        let mut recovered = 0;
        let queues = shared.queues.of(&shared.settings.borrow());
        for queue in queues {
            recovered += take_over_queue(shared, &queue, server_id).await?;
        }
        if recovered > 0 {
            tracing::warn!(server, recovered, "recovered the tasks of a server that has ended");
        }
    }
    Ok(pause)
}

async fn take_over_queue(shared: &Shared, queue: &Queue, server_id: &str) -> Result<u64, Error> {
    let max_payload_bytes = shared.settings.borrow().max_payload_bytes;
    let mut next = Some(0);
    let mut recovered = 0;
    while let Some(first) = next {
        let held = shared.broker.list_held(&queue.keys, server_id, first, max_payload_bytes).await?;
        let now = shared.broker.now();
        for (task, token) in &held.tasks {
            if give_back(shared, queue, task, Guard::Token(token), CAUSE, now).await? == Settled::Done {
                recovered += 1;
                queue.recovered.increment(1);
            }
        }
        next = held.next;
    }
    Ok(recovered)
}
