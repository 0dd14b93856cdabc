//! What the operator asked of the API server, by the audit log, and how long edits waited, by its metrics.
//!
//! Takes: the audit log of this process' API server; the text of /metrics. Gives: figures. Does not: count requests of
//! the test itself, nor the Lease, which is in another namespace.

use super::{api_server::entries, fleet::NAMESPACE};
use std::time::Duration;

/// Long enough for several rounds of anything that is done every 2 seconds.
const WINDOW: Duration = Duration::from_secs(10);

/// Kinds that the cluster lacks are asked for every 30 s, whatever the number of pipelines.
const LACKING: [&str; 3] = ["httproutes", "podmonitors", "servicemonitors"];

/// Verb and resource of each of the operator's requests so far.
pub(super) fn requests() -> Vec<(String, String)> {
    let by_operator = |entry: &serde_json::Value| {
        entry["user"]["username"].as_str().is_some_and(|user| user.ends_with(":signup-operator"))
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let request = |entry: &serde_json::Value| (text(&entry["verb"]), text(&entry["objectRef"]["resource"]));
    entries(NAMESPACE).iter().filter(|entry| by_operator(entry)).map(request).collect()
}

/// Those after the first `before` that write.
pub(super) fn writes(before: usize) -> Vec<(String, String)> {
    let is_write = |verb: &str| !["get", "list", "watch"].contains(&verb);
    requests().split_off(before).into_iter().filter(|(verb, _)| is_write(verb)).collect()
}

/// The requests within a window.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) writes: usize,
    pub(super) reads: usize,
    /// Of `reads`, those of Secrets.
    secrets: usize,
}

impl Rest {
    /// Looks for a window; `None` when something was written.
    pub(super) async fn look() -> Option<Self> {
        let before = requests().len();
        // This is the time that is measured; nothing is waited for.
        tokio::time::sleep(WINDOW).await;
        let mut asked = requests().split_off(before);
        asked.retain(|(verb, kind)| verb != "watch" && !LACKING.contains(&&**kind));
        let reads = asked.iter().filter(|(verb, _)| verb == "get" || verb == "list").count();
        let secrets = asked.iter().filter(|(verb, kind)| verb == "get" && kind == "secrets").count();
        let rest = Self { writes: asked.len() - reads, reads, secrets };
        (rest.writes == 0).then_some(rest)
    }

    /// Whether nothing but Secrets was asked for.
    pub(super) fn is_still(&self) -> bool {
        self.reads == self.secrets
    }

    pub(super) fn reads_per_second(&self) -> f64 {
        self.reads as f64 / WINDOW.as_secs_f64()
    }
}

/// Turns that waited no longer than each of some bounds, in seconds.
#[derive(Debug)]
pub(super) struct Waits(Vec<(f64, u64)>);

impl Waits {
    /// Whether there was a turn and none waited longer than a bound of the histogram.
    pub(super) fn longest_at_most(&self, seconds: f64) -> bool {
        let within = self.0.iter().find(|(bound, _)| *bound == seconds).map(|(_, count)| *count);
        within.is_some_and(|count| count > 0 && self.0.last().is_some_and(|(_, all)| *all == count))
    }
}

/// The histogram of edits in the text of /metrics.
pub(super) fn wait_of_edits(metrics: &str) -> Waits {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("signup_operator_reconcile_queue_seconds_bucket{"));
    let bucket = |line: &str| {
        let (labels, count) = line.split_once("} ")?;
        let bound = labels.strip_prefix("cause=\"edit\",le=\"")?.strip_suffix('"')?;
        Some((bound.replace("+Inf", "inf").parse().ok()?, count.parse().ok()?))
    };
    Waits(lines.filter_map(bucket).collect())
}
