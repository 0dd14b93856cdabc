//! What the operator wrote to the API server, as the API server's own log has it.
//!
//! Takes: the audit log, which keeps every write that has ended. Gives: the operator's, in order. Does not: see reads.

use super::cluster::{OPERATOR, OPERATOR_NAMESPACE, state};
use jiff::Timestamp;
use serde_json::Value;
use std::fs;

/// One write of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// When the API server got it.
    pub(crate) at: Timestamp,
    /// The pod that sent it.
    pub(crate) pod: String,
    /// `create`, `update`, `patch`, `delete`.
    pub(crate) verb: String,
    /// Plural of the kind, with its subresource: `signuppipelines/status`.
    pub(crate) resource: String,
    /// Namespace and name.
    pub(crate) object: String,
    /// HTTP status of the answer.
    pub(crate) code: i64,
}

impl Write {
    /// Whether it is about a Lease.
    pub(crate) fn is_of_a_lease(&self) -> bool {
        self.resource == "leases"
    }
}

/// The operator's writes from `since` on.
pub(crate) fn writes(since: Timestamp) -> Vec<Write> {
    let log = fs::read_to_string(state().join("audit.log")).expect("the API server writes an audit log");
    let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR}");
    // The last line may be half written.
    let entries = log.lines().filter(|line| line.contains(&user)).filter_map(|line| serde_json::from_str(line).ok());
    entries.filter_map(|entry| write(&entry, &user)).filter(|write| write.at >= since).collect()
}

fn write(entry: &Value, user: &str) -> Option<Write> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if entry["user"]["username"] != user {
        return None;
    }
    let object = &entry["objectRef"];
    let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    Some(Write {
        at: entry["requestReceivedTimestamp"].as_str()?.parse().ok()?,
        pod: text(&entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
        verb: text(&entry["verb"]),
        resource: text(&object["resource"]) + &subresource,
        object: format!("{}/{}", text(&object["namespace"]), text(&object["name"])),
        code: entry["responseStatus"]["code"].as_i64()?,
    })
}
