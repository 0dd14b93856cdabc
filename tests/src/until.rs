//! Waits for what a test expects to become true.
//!
//! Takes: a condition and a deadline. Gives: back when it holds. Does not: say why it does not; the panic names it.

use std::time::Duration;

/// How long a condition may take to come true on a loaded machine; nothing that works comes near it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a condition holds.
///
/// # Panics
///
/// With `what`, when it does not hold before the deadline.
pub async fn until(what: &str, deadline: Duration, condition: impl AsyncFn() -> bool) {
    servers::until(what, deadline, async || condition().await.then_some(()).ok_or_else(String::new)).await;
}
