//! What a running process cannot take: a change of it replaces the pods, one by one.
//!
//! Gives: one table, from which the events of restarts (`controller::apply::restarts`), the edits of a local run
//! (`local::edits`) and a test of docs/deploying.md take it. Does not: find what changed.

use super::names::Component;

/// Annotation of a pod template: checksum of `spec.database` and the content of its Secrets.
pub(super) const DATABASE: &str = "signup.dev/restart-on-database";
/// Annotation of a pod template: checksum of the content of the Secrets of `spec.redis`.
pub(super) const REDIS: &str = "signup.dev/restart-on-redis";
/// Annotation of a pod template: the format of the logs.
pub(super) const LOGS: &str = "signup.dev/restart-on-logs";

/// Where a pod template shows a field of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownAt {
    /// A checksum in an annotation.
    Annotation(&'static str),
    /// A JSON pointer into the template; `/container` stands for the component's own container.
    Pointer(&'static str),
    /// The same, but the API server rewrites the value (`1000m`, `1`), so an observed one is not compared.
    Rewritten(&'static str),
    /// The volumes that the operator gives, and where they are mounted.
    OwnVolumes,
    /// The volumes that `pod` gives, and where they are mounted.
    MoreVolumes,
}

/// What an edit does in a local run, which has no pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InLocalRun {
    /// It takes effect from a new start on.
    AtStart,
    /// It takes effect at once.
    Live,
    /// It has no effect.
    Ignored,
}

/// A field of the resource that running processes cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The field in words, beginning with its path if it is one; `{}` stands for `api` or `worker`.
    pub field: &'static str,
    /// Where it is seen.
    pub shown_at: ShownAt,
    /// What an edit of it does in a local run.
    pub in_local_run: InLocalRun,
}

impl Restart {
    /// Whether the pods of that component show it.
    pub fn is_of(&self, component: Component) -> bool {
        let mut others = Component::ALL.into_iter().filter(|other| *other != component);
        others.all(|other| !self.field.starts_with(&format!("spec.{}.", other.name())))
    }

    /// Path of the field, such as `spec.database`; the first words of one that has none.
    pub fn path(&self) -> &'static str {
        self.field.split(' ').next().unwrap_or(self.field)
    }
}

const fn restart(field: &'static str, shown_at: ShownAt, in_local_run: InLocalRun) -> Restart {
    Restart { field, shown_at, in_local_run }
}

const SPREAD: &str = "/spec/topologySpreadConstraints";
const GRACE: &str = "/spec/terminationGracePeriodSeconds";

/// All of them, in the order in which an event names them.
pub const ALL: [Restart; 26] = {
    use InLocalRun::{AtStart, Ignored, Live};
    use ShownAt::{Annotation, MoreVolumes, OwnVolumes, Pointer, Rewritten};
    [
        restart("spec.database or the content of its Secrets", Annotation(DATABASE), AtStart),
        restart("spec.redis or the content of its Secrets", Annotation(REDIS), AtStart),
        restart("spec.observability.logFormat", Annotation(LOGS), Ignored),
        restart("spec.image", Pointer("/container/image"), Ignored),
        restart("spec.imagePullPolicy", Pointer("/container/imagePullPolicy"), Ignored),
        restart("spec.imagePullSecrets", Pointer("/spec/imagePullSecrets"), Ignored),
        restart("spec.{}.resources", Rewritten("/container/resources"), Ignored),
        restart("spec.{}.pod.labels", Pointer("/metadata/labels"), Ignored),
        restart("spec.{}.pod.nodeSelector", Pointer("/spec/nodeSelector"), Ignored),
        restart("spec.{}.pod.tolerations", Pointer("/spec/tolerations"), Ignored),
        restart("spec.{}.pod.affinity", Pointer("/spec/affinity"), Ignored),
        restart("spec.{}.pod.topologySpreadConstraints or its default", Pointer(SPREAD), Ignored),
        restart("spec.{}.pod.priorityClassName", Pointer("/spec/priorityClassName"), Ignored),
        restart("spec.{}.pod.schedulerName", Pointer("/spec/schedulerName"), Ignored),
        restart("spec.{}.pod.runtimeClassName", Pointer("/spec/runtimeClassName"), Ignored),
        restart("spec.{}.pod.env", Pointer("/container/env"), Ignored),
        restart("spec.{}.pod.envFrom", Pointer("/container/envFrom"), Ignored),
        restart("spec.podSecurity or spec.{}.pod.securityContext", Pointer("/spec/securityContext"), Ignored),
        restart("spec.{}.pod.containerSecurityContext", Pointer("/container/securityContext"), Ignored),
        restart("spec.{}.pod.dnsPolicy", Pointer("/spec/dnsPolicy"), Ignored),
        restart("spec.{}.pod.dnsConfig", Pointer("/spec/dnsConfig"), Ignored),
        restart("spec.{}.pod.hostAliases", Pointer("/spec/hostAliases"), Ignored),
        restart("spec.{}.pod.volumes or volumeMounts", MoreVolumes, Ignored),
        restart("spec.api.terminationGracePeriodSeconds", Pointer(GRACE), Ignored),
        restart("spec.worker.shutdownGracePeriod", Pointer(GRACE), AtStart),
        restart("the name of a Secret or ConfigMap in spec", OwnVolumes, Live),
    ]
};
