//! The operator of the cluster: found, killed, scaled, and who of several leads.
//!
//! Takes: the cluster; tests that use this disturb everybody, so they take their turn alone. Gives: faults, and waits
//! until an operator leads again. Does not: install or change it.

use super::{
    cluster::{Cluster, OPERATOR, OPERATOR_NAMESPACE},
    wait::{PATIENCE, until},
};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;

/// The operator's pods and its Lease.
pub(crate) struct Operator {
    pods: Api<Pod>,
    /// Its Lease.
    pub(crate) leases: Api<Lease>,
    deployments: Api<Deployment>,
}

impl Operator {
    /// The operator of this cluster.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        fn api<K>(client: &Client) -> Api<K>
        where
            K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
            K::DynamicType: Default,
        {
            Api::namespaced(client.clone(), OPERATOR_NAMESPACE)
        }
        let client = &cluster.client;
        Self { pods: api(client), leases: api(client), deployments: api(client) }
    }

    /// Names of its pods, without those that are about to end.
    pub(crate) async fn pods(&self) -> Vec<String> {
        let own = ListParams::default().labels("app.kubernetes.io/component=operator");
        let pods = self.pods.list(&own).await.map(|list| list.items).unwrap_or_default();
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|pod| pod.name_any()).collect()
    }

    /// Identity in the Lease, when it names one.
    pub(crate) async fn holder(&self) -> Option<String> {
        let lease = self.leases.get_opt(OPERATOR).await.ok()??;
        lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
    }

    /// Waits until another than `before` leads, in one of the pods; gives its identity.
    pub(crate) async fn leads(&self, before: Option<&str>) -> String {
        until("an operator leads", PATIENCE, async || {
            let (holder, pods) = (self.holder().await, self.pods().await);
            let is_there = |identity: &String| pods.iter().any(|pod| identity.starts_with(&format!("{pod}_")));
            let leader = holder.clone().filter(|identity| Some(identity.as_str()) != before && is_there(identity));
            leader.ok_or_else(|| format!("holder {holder:?} of pods {pods:?}"))
        })
        .await
    }

    /// Waits until so many pods are there.
    pub(crate) async fn scale(&self, replicas: usize) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments.patch_scale(OPERATOR, &PatchParams::default(), &patch).await.expect("it is scaled");
        let own = ListParams::default().labels("app.kubernetes.io/component=operator");
        until("the operator is scaled", PATIENCE, async || {
            let pods = self.pods.list(&own).await.map_err(|error| error.to_string())?.items;
            let running =
                |pod: &&Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
            let running = pods.iter().filter(running).count();
            if pods.len() == replicas && running == replicas { Ok(()) } else { Err(format!("{} pods", pods.len())) }
        })
        .await;
    }

    /// Waits until the process of this identity does not run any more.
    pub(crate) async fn has_ended(&self, process: Pid) {
        let folder = format!("/proc/{}", process.as_raw_nonzero());
        until("the operator has ended", PATIENCE, async || {
            if fs::exists(&folder).unwrap_or(true) { Err("it runs".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// Deletes the pod of the operator with this identity, with grace: it may give its Lease up.
    pub(crate) async fn delete_pod_of(&self, identity: &str) {
        let (pod, _) = identity.rsplit_once('_').expect("the pod's name and random digits");
        self.pods.delete(pod, &DeleteParams::default()).await.expect("the pod is there");
    }

    /// Deletes the pods without grace; others take their place.
    pub(crate) async fn delete_pods(&self) {
        for pod in self.pods().await {
            self.pods.delete(&pod, &DeleteParams::default().grace_period(0)).await.expect("the pod is there");
        }
    }

    /// The process of the operator on this machine, which is the node.
    pub(crate) async fn process(&self) -> Pid {
        until("the operator's process is there", PATIENCE, async || {
            let processes = fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten();
            let is_operator = |pid: &i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(b"/operator\0run\0")
            };
            let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_operator);
            pids.next().and_then(Pid::from_raw).ok_or_else(|| "there is none".to_owned())
        })
        .await
    }
}

/// Ends a process at once; one that has just ended is as good as killed.
pub(crate) fn kill(process: Pid) {
    let _ = kill_process(process, Signal::KILL);
}
