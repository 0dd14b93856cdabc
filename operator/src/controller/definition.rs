//! Is the cluster's definition of SignupPipeline as new as this program?
//!
//! Takes: a client. Gives: a finding when the served schema lacks fields that this program knows: the API server would
//! drop them without a word. The schema is read from the API server's OpenAPI documents, which every account may read,
//! so no right on definitions is needed, in a namespace or in the cluster. Does not: install or change the definition.

use super::reason::{self, Finding};
use crate::crd::SignupPipeline;
use kube::{Client, CustomResourceExt, api::GetParams, core::request::Request};
use parking_lot::Mutex;
use serde_json::Value;
use std::{convert::Infallible, time::Duration};
use tokio::time::{sleep, timeout};

/// A definition that was outdated or could not be read is read again after this time. Only what was seen twice is
/// reported: the API server takes some seconds to publish a definition that was installed together with the operator.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The API server may never answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Stands for every field.
const WHOLE: &str = "SignupPipeline v1alpha1";

/// Fields named in a message; the rest is counted.
const MAX_NAMED: usize = 3;

/// The served definition, as far as it is known.
pub struct Definition {
    client: Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Option<Finding>,
    finding: Option<Finding>,
}

impl Definition {
    /// Knows nothing yet.
    pub fn new(client: Client) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// Reads it; whether it has every field. Trouble is logged when it is reported first.
    pub async fn is_current(&self) -> bool {
        let Ok(Ok(missing)) = timeout(ANSWER_TIMEOUT, missing(&self.client)).await else { return false };
        let (found, mut state) = (finding(&missing), self.state.lock());
        let is_sure = found.is_none() || found == state.seen;
        let is_current = found.is_none();
        state.seen.clone_from(&found);
        if is_sure && found != state.finding {
            if let Some(found) = &found {
                tracing::error!(reason = found.reason.name(), "{}", found.message);
            }
            state.finding = found;
        }
        is_current
    }

    /// Reads the definition every 10 s until it is current, and never again; `tell` is called when what is wrong with
    /// it has changed. Never returns.
    pub async fn watch(&self, tell: impl Fn()) -> Infallible {
        let mut told = None;
        loop {
            let is_current = self.is_current().await;
            let finding = self.finding();
            if finding != told {
                told = finding;
                tell();
            }
            if is_current {
                return std::future::pending().await;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// What is wrong with the definition.
    pub fn finding(&self) -> Option<Finding> {
        self.state.lock().finding.clone()
    }
}

/// Fields of this program's schema that the served one lacks; [`WHOLE`] when none is served.
pub(crate) async fn missing(client: &Client) -> Result<Vec<String>, kube::Error> {
    let not_served = || vec![WHOLE.to_owned()];
    let request = Request::new("/openapi/v3/apis/signup.dev").get("v1alpha1", &GetParams::default());
    let request = request.map_err(kube::Error::BuildRequest)?;
    let document: Value = match client.request(request).await {
        Ok(document) => document,
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(not_served()),
        Err(error) => return Err(error),
    };
    let ours = serde_json::to_value(SignupPipeline::crd()).unwrap_or_default();
    let ours = &ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    match document.pointer("/components/schemas/dev.signup.v1alpha1.SignupPipeline") {
        None => Ok(not_served()),
        Some(served) => Ok(lacks(ours, served)),
    }
}

/// Paths of properties that `served` lacks, topmost ones only.
pub(crate) fn lacks(ours: &Value, served: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for part in ["spec", "status"] {
        compare(&ours["properties"][part], &served["properties"][part], part, &mut paths);
    }
    paths
}

fn compare(ours: &Value, served: &Value, path: &str, paths: &mut Vec<String>) {
    for (name, field) in ours["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match served["properties"].get(name) {
            Some(served) => compare(field, served, &path, paths),
            None => paths.push(path),
        }
    }
    if ours["items"].is_object() {
        compare(&ours["items"], &served["items"], &format!("{path}[]"), paths);
    }
}

/// What is wrong, when fields are missing.
pub(crate) fn finding(missing: &[String]) -> Option<Finding> {
    if missing.is_empty() {
        return None;
    }
    if missing == [WHOLE] {
        let problem = format!("the cluster has no definition of {WHOLE}");
        return Some(Finding::with_default_fix(reason::CRD_OUTDATED, problem));
    }
    let named = missing.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(MAX_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let problem = format!(
        "the cluster's definition of SignupPipeline is older than the operator {}: it lacks {named}{more}, and drops \
            what a resource says there",
        env!("CARGO_PKG_VERSION")
    );
    Some(Finding::with_default_fix(reason::CRD_OUTDATED, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Value {
        serde_json::to_value(SignupPipeline::crd()).expect("JSON")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            .clone()
    }

    #[test]
    fn a_definition_that_has_every_field_is_current_also_with_fields_of_a_newer_one() {
        let mut served = ours();
        served["properties"]["spec"]["properties"]["fromTheFuture"] = serde_json::json!({"type": "string"});
        assert_eq!(finding(&lacks(&ours(), &served)), None);
    }

    #[test]
    fn the_fields_that_are_missing_are_named_wherever_they_stand() {
        let mut served = ours();
        let mut remove = |object: &str, field: &str| {
            let removed =
                served.pointer_mut(object).and_then(Value::as_object_mut).and_then(|fields| fields.remove(field));
            assert!(removed.is_some(), "{object}/{field}");
        };
        remove("/properties/spec/properties", "expose");
        remove("/properties/spec/properties/queues/items/properties", "paused");
        remove("/properties/status/properties", "config");
        remove("/properties/status/properties", "url");
        let found = finding(&lacks(&ours(), &served)).expect("it is outdated");
        assert_eq!(found.reason, reason::CRD_OUTDATED);
        assert!(
            found.message.contains("lacks spec.expose, spec.queues[].paused, status.config and 1 more"),
            "{}",
            found.message
        );
        assert!(found.message.contains("Fix: helm upgrade with crd.install=true"), "{}", found.message);
    }
}
