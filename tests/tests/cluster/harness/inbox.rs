//! A namespace's own mail server: a pod of the image's `inbox`.
//!
//! Takes: the namespace and the image. Gives: the mails it took, and rules for what it does wrong. Does not: outlive
//! its pod; mails are asked for at the pod's address, which this machine reaches directly.

use super::wait::{PATIENCE, until};
use inbox::Rule;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, Client, api::PostParams};
use pipeline_tests::Line;
use serde::Deserialize;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Name of the pod and of its Service.
pub(crate) const NAME: &str = "inbox";
/// Port of SMTP.
pub(crate) const SMTP_PORT: u16 = 1025;
const HTTP_PORT: u16 = 8025;

/// A mail that was accepted.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mail {
    /// In order of arrival.
    pub(crate) id: u64,
    /// Recipients.
    pub(crate) to: Vec<String>,
    /// Decoded.
    pub(crate) subject: String,
    /// Without angle brackets.
    pub(crate) message_id: String,
    /// The plain text part.
    pub(crate) text: Option<String>,
    /// The HTML part.
    pub(crate) html: Option<String>,
    /// When the final dot arrived.
    pub(crate) received_at: Timestamp,
}

impl Mail {
    /// As the checker knows it from an inbox's journal.
    fn line(&self) -> Line {
        let mut hasher = DefaultHasher::new();
        (&self.subject, &self.text, &self.html).hash(&mut hasher);
        Line {
            phase: "accepted".into(),
            received_at_unix_ns: i64::try_from(self.received_at.as_nanosecond()).expect("a time before 2262"),
            mail: self.id,
            message_id: self.message_id.clone(),
            to: self.to.clone(),
            fingerprint: format!("{:016x}", hasher.finish()),
        }
    }
}

/// The mail server; its pod is ready.
#[derive(Debug)]
pub(crate) struct Inbox {
    url: String,
    client: reqwest::Client,
}

impl Inbox {
    /// Starts the pod, with more arguments and the volumes they need, and waits until it is ready.
    pub(crate) async fn start(client: &Client, namespace: &str, pod: &Value) -> Self {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let create = PostParams::default();
        pods.create(&create, &serde_json::from_value(pod.clone()).expect("a pod")).await.expect("the pod is taken");
        let service = json!({
            "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [{"name": "smtp", "port": SMTP_PORT}]},
        });
        let service: Service = serde_json::from_value(service).expect("a Service");
        services.create(&create, &service).await.expect("the Service is taken");
        let address = until("the inbox is ready", PATIENCE, async || {
            let pod = pods.get(NAME).await.map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            let ready =
                status.conditions.iter().flatten().any(|known| known.type_ == "Ready" && known.status == "True");
            status.pod_ip.clone().filter(|_| ready).ok_or_else(|| format!("{status:?}"))
        })
        .await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { url: format!("http://{address}:{HTTP_PORT}"), client }
    }

    /// The mails so far, copies included.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        let answer = self.client.get(format!("{}/messages.json", self.url)).send().await.expect("the inbox answers");
        answer.json().await.expect("mails as JSON")
    }

    /// The mails so far, for the checker.
    pub(crate) async fn lines(&self) -> Vec<Line> {
        self.mails().await.iter().map(Mail::line).collect()
    }

    /// Waits for a mail to `address`.
    pub(crate) async fn mail_to(&self, address: &str) -> Mail {
        until("the mail arrives", PATIENCE, async || {
            let mails = self.mails().await;
            let count = mails.len();
            let found = mails.into_iter().find(|mail| mail.to.iter().any(|to| to == address));
            found.ok_or_else(|| format!("{count} mails to others"))
        })
        .await
    }

    /// Waits until this many mails have arrived.
    pub(crate) async fn until_mails(&self, count: usize) {
        until("mails arrive", PATIENCE, async || {
            let arrived = self.mails().await.len();
            if arrived >= count { Ok(()) } else { Err(format!("{arrived} of {count}")) }
        })
        .await;
    }

    /// How often each rule can still be used; `None`: always.
    pub(crate) async fn uses_left(&self) -> Vec<Option<u32>> {
        let answer = self.client.get(format!("{}/rules", self.url)).send().await.expect("the inbox answers");
        let rules: Vec<Rule> = answer.json().await.expect("rules as JSON");
        rules.into_iter().map(|rule| rule.times).collect()
    }

    /// Replaces the rules of what it does wrong.
    pub(crate) async fn rules(&self, rules: &[Rule]) {
        let answer = self.client.post(format!("{}/rules", self.url)).json(rules).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.expect("the inbox takes the rules");
    }
}

/// The pod; `arguments` and `volumes` (name, mount path, source) are added to it.
pub(crate) fn pod(image: &str, arguments: &[&str], volumes: &[(&str, &str, Value)]) -> Value {
    let mut all = vec![format!("--smtp=0.0.0.0:{SMTP_PORT}"), format!("--http=0.0.0.0:{HTTP_PORT}")];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let mounts = volumes.iter().map(|(name, path, _)| json!({"name": name, "mountPath": path}));
    let sources = volumes.iter().map(|(name, _, source)| {
        let mut volume = source.clone();
        volume["name"] = json!(name);
        volume
    });
    json!({
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}
            },
            "volumes": sources.collect::<Vec<_>>(),
            "containers": [{
                "name": NAME,
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["/inbox"],
                "args": all,
                "volumeMounts": mounts.collect::<Vec<_>>(),
                "readinessProbe": {"tcpSocket": {"port": SMTP_PORT}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}
