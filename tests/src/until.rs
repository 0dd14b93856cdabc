//! Waits for what a test expects to become true.
//!
//! Takes: a condition and a deadline. Gives: back when it holds. Does not: say why it does not; the panic names it.

use std::time::Duration;
use tokio::time::Instant;

/// How long a condition may take to come true on a loaded machine; nothing that works comes near it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a condition holds.
///
/// # Panics
///
/// With `what`, when it does not hold before the deadline.
pub async fn until(what: &str, deadline: Duration, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
