//! Does the operator run?
//!
//! Takes: its Deployment, pods and Lease. Gives: lines. Pure: the time is a parameter. Does not: judge its rights.

use super::{
    line::{Level, Line},
    seen::Seen,
};
use crate::controller::{observe::pod_events::PodEvents, status::pods::pod_trouble};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::ResourceExt;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How much longer than it lasts a Lease may be old: clocks of this machine and the operator's node differ.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Name of the Lease when the Deployment names none; the default of `operator run`.
const LEASE: &str = "signup-operator";

/// One Deployment of an operator, as its flags say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operator {
    /// The Deployment.
    pub(super) deployment: Deployment,
    /// Whether it watches Secrets.
    pub(super) watches_secrets: bool,
    /// Namespace that it serves; `None`: all.
    pub(super) serves: Option<String>,
    /// Name of its Lease, in its own namespace.
    pub(super) lease: String,
    /// Image of pipelines that name none.
    pub(super) image: Option<String>,
    /// Name of its ServiceAccount.
    pub(super) account: String,
}

impl Operator {
    /// Reads the flags of the container.
    pub(super) fn new(deployment: Deployment) -> Self {
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let arguments =
            pod.iter().flat_map(|pod| &pod.containers).flat_map(|container| container.args.iter().flatten());
        let flag = |name: &str| arguments.clone().find_map(|argument| argument.strip_prefix(name)).map(str::to_owned);
        let account = pod.and_then(|pod| pod.service_account_name.clone()).unwrap_or_else(|| "default".into());
        let (serves, lease, image) = (flag("--namespace="), flag("--lease-name="), flag("--image="));
        let watches_secrets = flag("--secrets-access=").is_some_and(|access| access == "watch");
        Self { watches_secrets, serves, lease: lease.unwrap_or_else(|| LEASE.into()), image, account, deployment }
    }

    /// Its namespace.
    pub(super) fn namespace(&self) -> String {
        self.deployment.namespace().unwrap_or_default()
    }

    /// Pods that it should have.
    fn wanted(&self) -> i32 {
        self.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    /// Namespace and name.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.namespace(), self.deployment.name_any())
    }
}

/// An operator, with what shows whether it works.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Running {
    pub(super) operator: Operator,
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) lease: Seen<Lease>,
}

/// Judges an operator.
pub(super) fn judge(Running { operator, pods, lease: seen }: &Running, now: Timestamp) -> [Line; 2] {
    [deployment(operator, pods, now), lease(operator, seen, now)]
}

/// What is wrong with the operators that serve a namespace, and so makes the status of its pipelines old. Nothing when
/// the caller may not list operators.
pub(super) fn serving(operators: &Seen<Vec<Running>>, namespace: &str, now: Timestamp) -> Vec<Line> {
    let Seen::There(operators) = operators else { return Vec::new() };
    let serves = |running: &&Running| running.operator.serves.as_deref().is_none_or(|served| served == namespace);
    let found: Vec<&Running> = operators.iter().filter(serves).collect();
    if found.is_empty() {
        let message = "no Deployment of an operator serves this namespace, so the status may be old";
        let fix = "install the chart signup-operator, or add the namespace to its watchNamespaces";
        return vec![Line::warning("operator", message, fix)];
    }
    let judged = found.iter().flat_map(|running| judge(running, now)).filter(|line| line.level == Level::Error);
    rivals(&found).into_iter().chain(judged).collect()
}

/// Those that share a Lease take turns; all others work at the same time, each as if it were alone.
fn rivals(serving: &[&Running]) -> Option<Line> {
    let working = serving.iter().map(|running| &running.operator).filter(|operator| operator.wanted() > 0);
    let leases: BTreeSet<_> = working.clone().map(|operator| (operator.namespace(), &operator.lease)).collect();
    (leases.len() > 1).then(|| {
        let names: Vec<String> = working.map(Operator::name).collect();
        let message = format!(
            "{} serve this namespace at the same time, and what one writes the other may undo",
            names.join(" and ")
        );
        let fix = "keep one: uninstall the others, or give them other namespaces with watchNamespaces";
        Line::error("operators", message, fix)
    })
}

/// No operator was found.
pub(super) fn none() -> Line {
    let fix = "`helm install signup-operator charts/signup-operator --namespace signup-system --create-namespace`; \
        when it is there, name its namespace with --operator-namespace";
    Line::error("operator", "no Deployment has the label app.kubernetes.io/name=signup-operator", fix)
}

/// Judges the Deployment.
fn deployment(operator: &Operator, pods: &[Arc<Pod>], now: Timestamp) -> Line {
    let (subject, name) = (format!("operator {}", operator.name()), operator.deployment.name_any());
    let namespace = operator.namespace();
    let wanted = operator.wanted();
    let ready = operator.deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let place = operator.serves.as_deref().map_or("every namespace".to_owned(), |served| format!("namespace {served}"));
    if wanted == 0 {
        let fix = format!("`kubectl -n {namespace} scale deployment {name} --replicas 1`");
        return Line::error(subject, "it is scaled to zero, so nobody looks at pipelines", fix);
    }
    if ready > 0 {
        return Line::ok(subject, format!("{ready} of {wanted} pods are ready; it serves {place}"));
    }
    match pod_trouble(pods, &PodEvents::default(), now) {
        Some(trouble) => Line::of(Level::Error, subject, &trouble),
        None => {
            let fix = format!(
                "see `kubectl -n {namespace} describe deployment,pods` and `kubectl -n {namespace} logs \
                    deployment/{name}`"
            );
            Line::error(subject, format!("0 of {wanted} pods are ready"), fix)
        }
    }
}

/// Judges the Lease.
fn lease(operator: &Operator, lease: &Seen<Lease>, now: Timestamp) -> Line {
    let (namespace, name) = (operator.namespace(), &operator.lease);
    let subject = format!("lease {namespace}/{name}");
    let logs = format!("see `kubectl -n {namespace} logs deployment/{}`", operator.deployment.name_any());
    let lease = match lease {
        Seen::There(lease) => lease,
        Seen::Absent => return Line::error(subject, "no operator has ever held it", logs),
        Seen::Forbidden => {
            let fix = format!("look with an account that may get leases in namespace {namespace}");
            return Line::warning(subject, "you may not read it, so whether the operator works is not known", fix);
        }
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let (Some(holder), Some(renewed)) = (holder, spec.renew_time) else {
        return Line::error(subject, "nobody holds it, so nobody looks at pipelines", logs);
    };
    let lasts = Duration::from_secs(spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0));
    let age = Duration::try_from(now.duration_since(renewed.0)).unwrap_or_default();
    if age > lasts + MAX_CLOCK_SKEW {
        let message = format!("{holder} renewed it last {} s ago, so nobody looks at pipelines", age.as_secs());
        return Line::error(subject, message, format!("{logs}; if the operator works, correct the clocks"));
    }
    Line::ok(subject, format!("{holder} holds it"))
}

/// The caller may not list operators.
pub(super) fn hidden(namespace: &str) -> Line {
    let finding =
        format!("you may not list Deployments in namespace {namespace}, so whether an operator runs is not known");
    Line::warning(
        "operator",
        finding,
        format!("look with an account that may list deployments in namespace {namespace}"),
    )
}

#[cfg(test)]
mod tests;
