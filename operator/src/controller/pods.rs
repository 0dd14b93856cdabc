//! The running pods: what they run, and a nudge when their files have changed.
//!
//! Takes: pods with their addresses. Gives: a [`Report`] per pod from its admin port; and, where a pod's configuration is
//! old, a changed annotation, upon which the kubelet brings the mounted files up to date at once instead of within minutes.
//! Does not: restart a pod.

use crate::build::names::{ADMIN_PORT, COMPONENT, Part, SYNC};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::json;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// A pod that takes longer is asked again at the next look.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Body of `GET /config`.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    hash: String,
    refused: Option<String>,
}

/// What a pod tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Name of the pod.
    pub pod: String,
    /// Its part; `None` for a pod without our label.
    pub part: Option<Part>,
    /// Hash of the configuration in force; `None` when the pod does not answer.
    pub hash: Option<String>,
    /// Why a newer configuration was refused.
    pub refused: Option<String>,
    /// Whether it can do its job, or what is missing; `None` when the pod does not answer.
    pub ready: Option<Result<(), String>>,
    /// Whether the last dialogue found a working mail server; `None` before the first one.
    pub mail: Option<bool>,
}

/// Asks pods on their admin ports.
#[derive(Debug, Clone)]
pub struct Pods(reqwest::Client);

impl Pods {
    /// Ready to ask.
    ///
    /// # Errors
    ///
    /// The HTTP client's, when it cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self(reqwest::Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?))
    }

    /// Asks all pods at once.
    pub async fn ask(&self, pods: &[Arc<Pod>]) -> Vec<Report> {
        join_all(pods.iter().filter(|pod| is_live(pod)).map(|pod| self.ask_one(pod))).await
    }

    async fn ask_one(&self, pod: &Pod) -> Report {
        let part =
            Part::ALL.into_iter().find(|part| pod.labels().get(COMPONENT).is_some_and(|name| name == part.name()));
        let mut report = Report { pod: pod.name_any(), part, ..Report::default() };
        let Some(address) = address(pod) else { return report };
        let get = |path: &str| self.0.get(format!("http://{address}{path}")).send();
        let (config, ready) = tokio::join!(get("/config"), get("/readyz"));
        if let Ok(response) = config
            && let Ok(config) = response.json::<Config>().await
        {
            (report.hash, report.refused) = (Some(config.hash), config.refused);
        }
        if let Ok(response) = ready {
            let works = response.status().is_success();
            let text = response.text().await.unwrap_or_default();
            let missing = text.trim().trim_start_matches("not ready: ").chars().take(200).collect();
            report.ready = Some(if works { Ok(()) } else { Err(missing) });
        }
        if part == Some(Part::Worker)
            && let Ok(response) = get("/metrics").await
        {
            report.mail = mail_reachable(&response.text().await.unwrap_or_default());
        }
        report
    }
}

fn mail_reachable(metrics: &str) -> Option<bool> {
    let value = metrics.lines().find_map(|line| line.strip_prefix("signup_mail_reachable "))?;
    value.trim().parse::<f64>().ok().map(|value| value > 0.0)
}

/// Neither ended nor about to end.
pub fn is_live(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn address(pod: &Pod) -> Option<SocketAddr> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(address, ADMIN_PORT))
}

/// Hash of the configuration that the pods shall run, and of the Secrets they shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As the pods report it.
    pub config: String,
    /// Of all mounted Secrets, salted.
    pub secrets: String,
}

/// Patches the annotation of each pod that has to look at its files: all of them after a change since `before`, and those
/// that report another configuration. A pod is patched once per version.
///
/// # Errors
///
/// The API server's, at the first pod that cannot be patched. A pod that is gone is no error.
pub async fn nudge(
    client: &Client,
    pods: &[Arc<Pod>],
    reports: &[Report],
    before: Option<&Version>,
    version: &Version,
) -> Result<(), kube::Error> {
    let token = format!("{}-{}", version.config, version.secrets);
    for pod in pods.iter().filter(|pod| is_live(pod)) {
        let report = reports.iter().find(|report| report.pod == pod.name_any());
        let old = report.is_some_and(|report| report.hash.as_ref().is_some_and(|hash| *hash != version.config));
        let changed = before.is_some_and(|before| before != version);
        if !(old || changed) || pod.annotations().get(SYNC) == Some(&token) {
            continue;
        }
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {SYNC: token}}}));
        match api.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
