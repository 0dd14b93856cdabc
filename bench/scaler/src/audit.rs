//! What was asked of the API server, by its own log.
//!
//! Takes: the audit log's file, of which requests to `deployments/scale` have their body. Gives: finished requests
//! since a mark. Does not: show watches, or requests that are still under way.

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

/// Between two looks for a request that is waited for; when it came, the log itself says.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The log.
#[derive(Debug, Clone)]
pub(crate) struct Audit(pub(crate) PathBuf);

/// A place in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// When the API server received it.
    pub(crate) at: Timestamp,
    pub(crate) user: String,
    pub(crate) verb: String,
    /// With the subresource, as in `deployments/scale`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Of a write of `deployments/scale` that succeeded.
    pub(crate) replicas: Option<u32>,
}

impl Request {
    fn read(line: &str) -> Option<Self> {
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, part) = (text("/objectRef/resource"), text("/objectRef/subresource"));
        let resource = if part.is_empty() { kind } else { format!("{kind}/{part}") };
        let is_done = entry.pointer("/responseStatus/code").and_then(Value::as_u64).is_some_and(|code| code < 300);
        let replicas = entry.pointer("/requestObject/spec/replicas").and_then(Value::as_u64).filter(|_| is_done);
        Some(Self {
            at: text("/requestReceivedTimestamp").parse().ok()?,
            user: text("/user/username"),
            verb: text("/verb"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            replicas: replicas.and_then(|replicas| u32::try_from(replicas).ok()),
        })
    }

    /// Whether it is by the operator under test.
    pub(crate) fn is_ours(&self) -> bool {
        self.user.ends_with(":signup-operator")
    }

    pub(crate) fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&&*self.verb)
    }

    /// The number that it sets for a Deployment.
    pub(crate) fn scales(&self, namespace: &str, name: &str) -> Option<u32> {
        let is_it = self.resource == "deployments/scale" && self.namespace == namespace && self.name == name;
        self.replicas.filter(|_| is_it && self.is_write())
    }
}

impl Audit {
    /// Where the log ends now.
    pub(crate) fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark(self.0.metadata().context("the API server keeps no log")?.len()))
    }

    /// Requests after a mark, which moves to where the log ends.
    pub(crate) fn read(&self, mark: &mut Mark) -> anyhow::Result<Vec<Request>> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The last line may be half written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        mark.0 += whole as u64;
        let lines = String::from_utf8_lossy(&text[..whole]);
        Ok(lines.lines().filter_map(Request::read).collect())
    }

    /// Requests after a mark.
    pub(crate) fn since(&self, mut mark: Mark) -> anyhow::Result<Vec<Request>> {
        self.read(&mut mark)
    }

    /// The first of some requests after a mark; `None` when none comes in time.
    pub(crate) async fn first<T>(
        &self,
        mut mark: Mark,
        limit: Duration,
        is_it: impl Fn(&Request) -> Option<T>,
    ) -> anyhow::Result<Option<T>> {
        let began = Instant::now();
        loop {
            if let Some(found) = self.read(&mut mark)?.iter().find_map(&is_it) {
                return Ok(Some(found));
            }
            if began.elapsed() > limit {
                return Ok(None);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALED: &str = r#"{"verb": "patch", "requestReceivedTimestamp": "2026-11-30T10:00:00.250000Z",
        "user": {"username": "system:serviceaccount:signup-system:signup-operator"}, "responseStatus": {"code": 200},
        "objectRef": {"resource": "deployments", "subresource": "scale", "namespace": "run", "name": "a-worker"},
        "requestObject": {"spec": {"replicas": 50}}}"#;

    #[test]
    fn a_write_of_a_number_counts_when_it_was_accepted() {
        let request = Request::read(SCALED).expect("a request");
        assert!(request.is_ours() && request.is_write());
        assert_eq!((request.scales("run", "a-worker"), request.scales("run", "b-worker")), (Some(50), None));
        let refused = Request::read(&SCALED.replace("200", "409")).expect("a request");
        assert_eq!(refused.scales("run", "a-worker"), None);
    }
}
