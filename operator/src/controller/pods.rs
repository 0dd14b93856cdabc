//! The running pods: what they run.
//!
//! Takes: pods with their addresses. Gives: a [`Report`] per pod from its admin port. Does not: change a pod; `nudge` does.

use crate::build::names::{ADMIN_PORT, COMPONENT, Part};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde::Deserialize;
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
    /// What the last dialogue with the mail server came to; `None` before the first one.
    pub mail: Option<Mail>,
}

/// A worker's last dialogue with the mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// The server works.
    Works,
    /// It does not, and the dialogue ended at that step: `connect`, `greeting`, `tls`, `auth`, `mail`, ...; empty when unknown.
    Fails(String),
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
        // Connections that waited for the next look would be most of the memory: two of each pod.
        let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).pool_max_idle_per_host(0).no_proxy();
        Ok(Self(client.build()?))
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
            report.mail = mail(&response.text().await.unwrap_or_default());
        }
        report
    }
}

fn mail(metrics: &str) -> Option<Mail> {
    let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    if value("signup_mail_reachable ")? > 0.0 {
        return Some(Mail::Works);
    }
    let phases =
        metrics.lines().filter_map(|line| line.strip_prefix("signup_mail_failing{phase=\"")?.split_once("\"} "));
    let failing = phases.into_iter().find(|(_, value)| value.trim().parse::<f64>().is_ok_and(|value| value > 0.0));
    Some(Mail::Fails(failing.map(|(phase, _)| phase.to_owned()).unwrap_or_default()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_a_worker_tell_whether_the_mail_server_works_and_at_which_step_it_fails() {
        assert_eq!(mail("signup_mail_sent_total 0\n"), None);
        assert_eq!(mail("signup_mail_reachable 1\nsignup_mail_failing{phase=\"tls\"} 0\n"), Some(Mail::Works));
        let failing =
            "signup_mail_reachable 0\nsignup_mail_failing{phase=\"auth\"} 0\nsignup_mail_failing{phase=\"tls\"} 1\n";
        assert_eq!(mail(failing), Some(Mail::Fails("tls".into())));
        assert_eq!(mail("signup_mail_reachable 0\n"), Some(Mail::Fails(String::new())), "an older worker");
    }
}
