//! From a signal to a soft stop to a hard stop.
//!
//! Takes: SIGTERM and SIGINT. Gives: two tokens: `soft` (take no new work, finish what runs) at the first signal,
//! `hard` (give up what still runs) at the second one or when the grace period is over. Does not: end the process;
//! `main` returns when its work has ended.

use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The stop tokens of a process.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The operating system's, when a handler cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Self::default();
        let tokens = shutdown.clone();
        tokio::spawn(async move {
            for token in [&tokens.soft, &tokens.hard] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Cancelled by the first signal.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled by the second signal, or `grace` after the first one where [`Self::limit`] runs.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Waits for the soft stop, then at most `grace`, then makes it a hard one.
    pub async fn limit(&self, grace: Duration) {
        self.soft.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(grace) => self.hard.cancel(),
            () = self.hard.cancelled() => {}
        }
    }

    /// Starts the soft stop from inside, e.g. when a part of the process cannot go on.
    pub fn begin(&self) {
        self.soft.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_hard_stop_comes_when_the_grace_period_is_over() {
        let shutdown = Shutdown::default();
        let start = tokio::time::Instant::now();
        shutdown.begin();
        shutdown.limit(Duration::from_secs(40)).await;
        assert!(shutdown.hard().is_cancelled());
        assert_eq!(start.elapsed(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_stops_before_a_signal() {
        let shutdown = Shutdown::default();
        let limited = tokio::time::timeout(Duration::from_secs(3600), shutdown.limit(Duration::from_secs(1))).await;
        assert!(limited.is_err() && !shutdown.soft().is_cancelled() && !shutdown.hard().is_cancelled());
    }
}
