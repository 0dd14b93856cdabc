//! Everything that people of a cluster can read without reading Secrets.
//!
//! Takes: a namespace and its pipeline, at several moments, because pods and their logs go. Gives: the lines that show
//! what a Secret held at one of those moments, or what a client sent. Does not: stop at the first.

use super::{
    cluster::{OPERATOR_NAMESPACE, kubectl},
    namespace::Namespace,
    pipeline::Pipeline,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};
use pipeline_tests::canary;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A shorter word is no secret, and would be found everywhere.
const SHORTEST: usize = 8;

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Source -> text.
    texts: BTreeMap<String, String>,
    /// What no text may hold.
    secrets: BTreeSet<String>,
    /// Codes of links, which no text may hold either.
    codes: HashSet<String>,
    moments: usize,
}

impl Shown {
    /// Reads everything there is at this moment.
    pub(crate) async fn collect(&mut self, namespace: &Namespace, pipeline: &Pipeline) -> &Self {
        self.moments += 1;
        self.read_secrets(namespace).await;
        for mail in namespace.inbox.mails().await {
            self.codes.extend(mail.text.iter().flat_map(|text| canary::codes(text)).map(str::to_owned));
        }
        self.read_logs(&namespace.name);
        self.read_logs(OPERATOR_NAMESPACE);
        self.read_objects(&namespace.name);
        self.add("events of the operator", &["get", "events", "--output", "json", "--namespace", OPERATOR_NAMESPACE]);
        for path in ["/metrics", "/config", "/readyz"] {
            for (pod, page) in pipeline.admin(path).await {
                self.texts.insert(format!("{} {pod}{path}", self.moments), page.unwrap_or_default());
            }
        }
        for pod in names("pods", OPERATOR_NAMESPACE) {
            let proxied = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8081/proxy/metrics");
            self.add(&format!("metrics of {pod}"), &["get", "--raw", &proxied]);
        }
        self
    }

    /// Lines that show a secret.
    pub(crate) fn leaks(&self) -> Vec<String> {
        assert!(self.secrets.len() > 10, "the Secrets were read: {}", self.secrets.len());
        let secrets: Vec<String> = self.secrets.iter().cloned().collect();
        let of = |(source, text): (&String, &String)| canary::leaks(source, text, &secrets, &self.codes);
        let lines = self.texts.iter().flat_map(of);
        lines.map(|line| line.chars().take(400).collect()).collect()
    }

    /// Sources that were read, for a test that wants to know that there was something.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(|(_, text)| !text.is_empty()).map(|(source, _)| source.as_str())
    }

    /// Values as they are and as the API shows them (base64), the lines of long ones, and the passwords of URIs.
    async fn read_secrets(&mut self, namespace: &Namespace) {
        let api: Api<Secret> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
        let all = api.list(&ListParams::default()).await.expect("the API server answers").items;
        for (key, value) in all.iter().flat_map(|secret| secret.data.iter().flatten()) {
            let encoded = serde_json::to_value(value).expect("a text of JSON");
            self.secrets.extend(encoded.as_str().map(str::to_owned));
            let text = String::from_utf8_lossy(&value.0);
            // A certificate is for everybody; its first line says so.
            if key.ends_with(".crt") || text.starts_with("-----BEGIN CERTIFICATE") {
                continue;
            }
            self.secrets.extend(canary::password(&text));
            self.secrets
                .extend(text.lines().filter(|line| !line.starts_with("-----")).map(|line| line.trim().to_owned()));
        }
        self.secrets.retain(|secret| secret.len() >= SHORTEST);
    }

    /// Of every container, and of the one that it replaced.
    fn read_logs(&mut self, namespace: &str) {
        for pod in names("pods", namespace) {
            let logs = ["logs", &pod, "--all-containers", "--namespace", namespace];
            self.add(&format!("log of {pod}"), &logs);
            self.add(&format!("earlier log of {pod}"), &[&logs[..], &["--previous"]].concat());
        }
    }

    /// Every kind of object but Secrets, with everything that the API server gives of it.
    fn read_objects(&mut self, namespace: &str) {
        let output = kubectl().args(["api-resources", "--namespaced", "--verbs=list", "--output=name"]).output();
        let kinds = String::from_utf8_lossy(&output.expect("kubectl runs").stdout).into_owned();
        for kind in kinds.lines().filter(|kind| *kind != "secrets") {
            let get = ["get", kind, "--output", "yaml", "--show-managed-fields", "--namespace", namespace];
            self.add(kind, &get);
        }
    }

    /// What a command prints; nothing when it fails, as for the earlier log of a pod that has none.
    fn add(&mut self, source: &str, arguments: &[&str]) {
        let output = kubectl().args(arguments).output().expect("kubectl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        self.texts.insert(format!("{} {source}", self.moments), text);
    }
}

fn names(kind: &str, namespace: &str) -> Vec<String> {
    let names = ["get", kind, "--namespace", namespace, "--output", "jsonpath={.items[*].metadata.name}"];
    let output = kubectl().args(names).output().expect("kubectl runs");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}
