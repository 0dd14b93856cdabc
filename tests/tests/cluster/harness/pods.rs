//! A pipeline's pods from outside: which there are, since when, and what their admin ports say.
//!
//! Takes: a [`Pipeline`]. Gives: its pods, live ones only. Does not: change them.

use super::{
    pipeline::Pipeline,
    wait::{PATIENCE, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Port of health, metrics and the configuration in force.
const ADMIN_PORT: u16 = 8081;
/// A pod that ends while it is asked does not answer.
const ANSWER: Duration = Duration::from_secs(5);

impl Pipeline {
    /// Its pods, without those that are about to end; `component` is `api`, `worker`, or both when absent.
    pub(crate) async fn pods(&self, component: Option<&str>) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let component = component.map(|name| format!(",app.kubernetes.io/component={name}")).unwrap_or_default();
        let selector = format!("app.kubernetes.io/instance={}{component}", self.name);
        let all = pods.list(&ListParams::default().labels(&selector)).await.expect("the API server answers").items;
        all.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
    }

    /// Pod -> when its container started, which a restart changes.
    pub(crate) async fn containers(&self) -> BTreeMap<String, String> {
        let since = |pod: &Pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let running = statuses.first()?.state.as_ref()?.running.as_ref()?;
            Some(format!("{:?}", running.started_at))
        };
        let pods = self.pods(None).await;
        pods.iter().map(|pod| (pod.name_any(), since(pod).unwrap_or_default())).collect()
    }

    /// What the admin port of each pod says at `path`; `None` of a pod that does not answer.
    pub(crate) async fn admin(&self, path: &str) -> BTreeMap<String, Option<String>> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().expect("a client");
        let mut pages = BTreeMap::new();
        for pod in self.pods(None).await {
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
            pages.insert(pod.name_any(), get(&client, &format!("http://{address}:{ADMIN_PORT}{path}")).await);
        }
        pages
    }

    /// Hashes of the configurations that the pods run; one when all agree.
    pub(crate) async fn hashes(&self) -> BTreeSet<String> {
        let hash = |page: Option<String>| {
            let page: Value = serde_json::from_str(&page?).ok()?;
            page["hash"].as_str().map(str::to_owned)
        };
        let pages = self.admin("/config").await.into_values();
        pages.map(|page| hash(page).unwrap_or_else(|| "no answer".into())).collect()
    }

    /// Edits the spec and waits until every pod reports a configuration that none had before; gives the time from the
    /// API server's answer.
    pub(crate) async fn edit_everywhere(&self, spec: Value) -> Duration {
        let before = self.hashes().await;
        let what = format!("{spec} reaches every pod");
        self.patch(spec).await;
        let start = Instant::now();
        until(&what, PATIENCE, async || {
            let now = self.hashes().await;
            if now.len() == 1 && now.is_disjoint(&before) { Ok(()) } else { Err(format!("{before:?} -> {now:?}")) }
        })
        .await;
        start.elapsed()
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Option<String> {
    client.get(url).send().await.ok()?.text().await.ok()
}
