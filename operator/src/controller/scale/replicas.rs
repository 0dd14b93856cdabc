//! The workers' `replicas`, which have a field manager of their own.
//!
//! Takes: how many workers run and how many are wanted. Gives: the number, written through the Deployment's scale
//! subresource. A person's `kubectl scale` is overridden, as any foreign change to a child is; the operator yields to a
//! HorizontalPodAutoscaler, which would write again at once, until that is deleted. Does not: decide the number.

use crate::{
    build::names::SCALER_FIELD_MANAGER,
    controller::{
        observe::watch::MAX_WATCH_LAG,
        reason::{self, Finding},
    },
};
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler},
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time between two checks whether an autoscaler is still there.
const AUTOSCALER_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Name under which the HorizontalPodAutoscaler writes.
const HPA_MANAGER: &str = "kube-controller-manager";

/// The state of one Deployment's replicas between reconciles.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    written: Option<(u32, Instant)>,
    owns: bool,
    /// When an autoscaler was last seen; `None` while the number is ours.
    autoscaler: Option<Instant>,
}

/// The Deployment of the workers.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Replicas {
    /// The number of workers, when `observed` may be older than our own write.
    pub(super) fn now(&self, observed: u32) -> u32 {
        self.written.filter(|(_, at)| at.elapsed() < MAX_WATCH_LAG).map_or(observed, |(written, _)| written)
    }

    /// Makes `running` workers `wanted`; true when that changed the number.
    ///
    /// # Errors
    ///
    /// Why the number is not the operator's, or could not be written.
    pub(super) async fn keep(&mut self, target: &Target<'_>, running: u32, wanted: u32) -> Result<bool, Finding> {
        self.yield_to_autoscaler(target).await?;
        let believed = self.written.is_some_and(|(written, at)| written == wanted && at.elapsed() < MAX_WATCH_LAG);
        if believed || (running == wanted && self.has_settled(target, running).await) {
            return Ok(false);
        }
        match target.write(wanted, false).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                if status.message.contains(HPA_MANAGER) {
                    self.autoscaler = target.is_autoscaled().await.then(Instant::now);
                    self.yield_to_autoscaler(target).await?;
                }
                target.write(wanted, true).await
            }
            written => written,
        }
        .map_err(|error| target.trouble(&error))?;
        (self.written, self.owns) = (Some((wanted, Instant::now())), true);
        Ok(running != wanted)
    }

    /// Writes nothing while an autoscaler that was seen is there, also when its number and ours agree for a while;
    /// checks at an interval whether it still is.
    async fn yield_to_autoscaler(&mut self, target: &Target<'_>) -> Result<(), Finding> {
        let Some(seen) = self.autoscaler else { return Ok(()) };
        if seen.elapsed() >= AUTOSCALER_POLL_INTERVAL {
            self.autoscaler = target.is_autoscaled().await.then(Instant::now);
        }
        self.autoscaler.map_or(Ok(()), |_| Err(target.autoscaled()))
    }

    /// A Deployment that was created with another number than Kubernetes' default got it from the manager of its other
    /// fields, which gives the field up at its next apply; the scaler must own it by then. Read once.
    async fn has_settled(&mut self, target: &Target<'_>, running: u32) -> bool {
        if !self.owns && running != 1 {
            let Ok(deployment) = target.deployments().get_metadata(&target.name).await else { return true };
            let ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(SCALER_FIELD_MANAGER);
            self.owns = deployment.managed_fields().iter().any(ours);
            return self.owns;
        }
        true
    }
}

impl Target<'_> {
    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn write(&self, wanted: u32, force: bool) -> Result<(), kube::Error> {
        let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": self.name},
            "spec": {"replicas": wanted}});
        let params = PatchParams { force, ..PatchParams::apply(SCALER_FIELD_MANAGER) };
        self.deployments().patch_scale(&self.name, &params, &Patch::Apply(&scale)).await.map(|_| ())
    }

    /// Whether an autoscaler sets the number. Its ownership of the field outlives it, so that alone is no proof; where
    /// the operator may not list autoscalers, it counts as one.
    async fn is_autoscaled(&self) -> bool {
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &self.namespace);
        let Ok(autoscalers) = autoscalers.list(&ListParams::default()).await else { return true };
        let mut targets = autoscalers.items.into_iter().filter_map(|autoscaler| autoscaler.spec);
        targets.any(|spec| spec.scale_target_ref.kind == "Deployment" && spec.scale_target_ref.name == self.name)
    }

    fn autoscaled(&self) -> Finding {
        Finding::with_default_fix(
            reason::FOREIGN_WRITER,
            format!(
                "a HorizontalPodAutoscaler also sets the replicas of Deployment {}, so the operator leaves them alone",
                self.name
            ),
        )
    }

    fn trouble(&self, error: &kube::Error) -> Finding {
        let name = &self.name;
        match error {
            kube::Error::Api(status) if status.is_forbidden() => Finding::new(
                reason::FORBIDDEN,
                format!("the operator may not scale Deployment {name}"),
                "grant its ServiceAccount `patch` on deployments/scale in this namespace",
            ),
            _ => Finding::with_default_fix(reason::API_ERROR, format!("Deployment {name} could not be scaled")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_written_just_now_is_believed_although_the_watch_still_tells_the_one_before() {
        let mut replicas = Replicas::default();
        assert_eq!(replicas.now(1), 1);
        replicas.written = Some((2, Instant::now()));
        assert_eq!(replicas.now(1), 2);
        replicas.written = Instant::now().checked_sub(MAX_WATCH_LAG).map(|at| (2, at));
        assert_eq!((replicas.written.is_some(), replicas.now(4)), (true, 4), "somebody else's, and not ours any more");
    }
}
