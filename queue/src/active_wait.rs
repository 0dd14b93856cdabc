//! Waiting for a reply without letting the thread sleep at once.
//!
//! Takes: a future that Redis' reply ends. Gives: its output. Does not: hold up other tasks of the runtime, which run
//! between two polls, nor poll for long. What it buys and costs: `docs/decisions/0007-a-caller-polls-for-its-reply.md`.
//!
//! Redis nearby answers within tens of microseconds, and a core that fell asleep meanwhile takes about as long again to
//! wake up. Measured on two otherwise idle virtual cores, one caller enqueueing one task after the other: 68 us a task
//! asleep, 30 us awake. Callers with more to do than to wait should batch instead; batches wait in the ordinary way.

use std::{
    pin::pin,
    sync::LazyLock,
    task::Poll,
    time::{Duration, Instant},
};

/// About what going to sleep and waking up would cost, so that polling in vain doubles the cost at most.
const MAX_POLL: Duration = Duration::from_micros(50);

/// On a single core nothing could work on the reply while we poll for it.
static SEVERAL_CORES: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1));

/// Awaits `reply`, polling for it without sleep for the first 50 us.
pub(crate) async fn wait_actively<F: Future>(reply: F) -> F::Output {
    if *SEVERAL_CORES { poll_for(reply, MAX_POLL).await } else { reply.await }
}

async fn poll_for<F: Future>(reply: F, limit: Duration) -> F::Output {
    let mut reply = pin!(reply);
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Poll::Ready(output) = futures::poll!(reply.as_mut()) {
            return output;
        }
        // Lets other tasks run and the runtime ask the kernel, without waiting there.
        tokio::task::yield_now().await;
    }
    reply.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Ready when polled for the third time, and wakes nothing.
    fn third_poll() -> impl Future<Output = u32> {
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        })
    }

    #[tokio::test]
    async fn the_reply_is_polled_for_without_a_wake_up() {
        assert_eq!(poll_for(third_poll(), Duration::MAX).await, 3);
    }

    #[tokio::test]
    async fn after_the_limit_only_a_wake_up_ends_the_wait() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(poll_for(receiver, Duration::ZERO));
        sender.send("reply").expect("the receiver lives");
        assert_eq!(waiting.await.expect("no panic"), Ok("reply"));
    }

    #[tokio::test]
    async fn other_tasks_run_between_two_polls() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let other = tokio::spawn(async move { sender.send("reply") });
        // One thread: without a pause for the other task this would poll for ever.
        assert_eq!(poll_for(receiver, Duration::MAX).await, Ok("reply"));
        assert_eq!(other.await.expect("no panic"), Ok(()));
    }
}
