//! Waits for what a test expects to become true.
//!
//! Takes: what is expected, in words, how long it may take, and an attempt to see it. Gives: what the attempt found.
//! Does not: judge how long it took; a patience is far above what anything that works needs.

use std::time::{Duration, Instant};

/// Bounds of the time between two attempts, which doubles: what is there at once costs no wait, and what takes long is
/// not slowed down by being asked for.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(80));

/// Attempts until something is found; `Err` says what is seen instead.
///
/// # Panics
///
/// With `what` and the last `Err`, when nothing was found within `patience`.
pub async fn until<T>(what: &str, patience: Duration, mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let (start, mut interval) = (Instant::now(), POLL_INTERVAL.0);
    loop {
        match attempt().await {
            Ok(found) => return found,
            Err(seen) => give_up_after(start, patience, what, &seen),
        }
        tokio::time::sleep(interval).await;
        interval = POLL_INTERVAL.1.min(interval * 2);
    }
}

/// [`until`] for a thread that may block.
///
/// # Panics
///
/// As [`until`].
pub fn until_blocking<T>(what: &str, patience: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let (start, mut interval) = (Instant::now(), POLL_INTERVAL.0);
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(seen) => give_up_after(start, patience, what, &seen),
        }
        std::thread::sleep(interval);
        interval = POLL_INTERVAL.1.min(interval * 2);
    }
}

fn give_up_after(start: Instant, patience: Duration, what: &str, seen: &str) {
    assert!(start.elapsed() < patience, "not within {patience:?}: {what}; last seen: {seen}");
}
