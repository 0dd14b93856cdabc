//! Waiting for a condition, never for a time.
//!
//! Takes: a question that answers what it sees. Gives: the answer, or a panic with the last thing seen at the deadline.
//! Does not: sleep longer than a look takes to be worth it.

use std::time::{Duration, Instant};

/// Far above what anything here needs on two busy cores: pods that start, roll and end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Asks until `look` gives something; `Err` tells what is seen instead.
///
/// # Panics
///
/// With `what` and the last `Err`, when it does not before the deadline.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}; last seen: {seen}"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
