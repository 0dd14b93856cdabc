//! The workers' `replicas`, which have a field manager of their own.
//!
//! Takes: how many workers run and how many are wanted. Gives: the number, written through the Deployment's scale
//! subresource if that is still the version that was decided on. A person's `kubectl scale` is overridden, as any
//! foreign change to a child is, once; who does it again within a minute is left alone for ten. The operator yields to
//! a HorizontalPodAutoscaler, which would write again at once, until that is deleted. Does not: decide the number.

use crate::{
    build::{child::Kind, names::SCALER_FIELD_MANAGER},
    controller::{
        apply::contest::{FIGHT, PEACE},
        observe::{
            others::scales,
            view::{MAX_WATCH_LAG, View},
        },
        reason::{self, Finding},
        scale_subresource::{DecidedOn, is_owned_by_another, write_decided, write_replicas},
    },
    crd::SignupPipeline,
};
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler},
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, ObjectMeta},
    core::Status,
};
use std::time::{Duration, Instant};

/// Time between two checks whether an autoscaler is still there, where they may not be watched.
const AUTOSCALER_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Name under which the HorizontalPodAutoscaler writes.
const HPA_MANAGER: &str = "kube-controller-manager";

/// The state of one Deployment's replicas between reconciles.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    written: Option<(u32, Instant)>,
    /// The Deployment's version after that.
    version: Option<String>,
    owns: bool,
    /// The last number could not be written.
    pub(super) is_refused: bool,
    /// When an autoscaler was last seen; `None` while the number is ours.
    autoscaler: Option<Instant>,
    /// Whose number was overridden last, and when.
    overridden: Option<(String, Instant)>,
    /// Who is left alone, and since when.
    fights: Option<(String, Instant)>,
}

/// Pods of the workers' Deployment.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    /// As observed.
    pub(super) observed: u32,
    /// As they are, when what was observed may be older than our own write.
    pub(super) running: u32,
    /// The version of the Deployment in which so many run.
    version: Option<String>,
    /// Its generation; that of our own last write is not known.
    generation: Option<i64>,
}

impl Workers {
    /// As a Deployment says of this number and its metadata.
    pub(super) fn of(replicas: u32, metadata: &ObjectMeta) -> Self {
        let (version, generation) = (metadata.resource_version.clone(), metadata.generation);
        Self { observed: replicas, running: replicas, version, generation }
    }

    /// What a number was decided on.
    fn decided_on(&self) -> Option<DecidedOn<'_>> {
        let (replicas, generation) = (self.running, self.generation);
        self.version.as_deref().map(|version| DecidedOn { version, replicas, generation })
    }
}

/// What came of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It was there.
    AsItWas,
    /// It was written.
    Changed,
    /// The Deployment has changed since it was observed: nothing was written.
    Stale,
}

/// The Deployment of the workers.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) view: &'a View,
    pub(super) pipeline: &'a SignupPipeline,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Replicas {
    /// The workers, when what a watch says may be older than our own write.
    pub(super) fn workers(&self, seen: Workers) -> Workers {
        match self.written.filter(|(written, at)| *written != seen.observed && at.elapsed() < MAX_WATCH_LAG) {
            Some((running, _)) => Workers { running, version: self.version.clone(), generation: None, ..seen },
            None => seen,
        }
    }

    /// The workers as they were just read.
    pub(super) fn found(&mut self, found: Option<Workers>) -> Option<Workers> {
        self.written = None;
        found
    }

    /// Makes so many workers `wanted`.
    ///
    /// # Errors
    ///
    /// Why the number is not the operator's, or could not be written.
    pub(super) async fn keep(&mut self, target: &Target<'_>, workers: &Workers, wanted: u32) -> Result<Kept, Finding> {
        let running = &workers.running;
        self.yield_to_autoscaler(target).await?;
        self.yield_to_fighter(target)?;
        let believed = self.written.is_some_and(|(written, at)| written == wanted && at.elapsed() < MAX_WATCH_LAG);
        // After a refusal also a number that is there already is written: that shows whether another would be taken.
        if !self.is_refused && (believed || (*running == wanted && self.has_settled(target, *running).await)) {
            return Ok(Kept::AsItWas);
        }
        // Taking over a number that stays needs no certain version: another number has another owner, who is told.
        let decided_on = workers.decided_on();
        let written = match target.write(wanted, decided_on.filter(|_| *running != wanted), false).await {
            Err(kube::Error::Api(status)) if is_owned_by_another(&status) => {
                self.may_override(target, &status).await?;
                let written = target.write(wanted, decided_on, true).await;
                if written.is_ok() {
                    metrics::counter!("signup_operator_foreign_writes_total").increment(1);
                    self.overridden = Some((owner(&status), Instant::now()));
                }
                written
            }
            written => written,
        };
        match written {
            Ok(version) => {
                (self.written, self.version, self.owns) = (Some((wanted, Instant::now())), version, true);
                Ok(if *running == wanted { Kept::AsItWas } else { Kept::Changed })
            }
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(Kept::Stale),
            Err(error) => Err(target.trouble(&error)),
        }
    }

    /// Writes nothing while an autoscaler that was seen is there, also when its number and ours agree for a while;
    /// checks at an interval whether it still is.
    async fn yield_to_autoscaler(&mut self, target: &Target<'_>) -> Result<(), Finding> {
        if let Some(name) = target.autoscaler() {
            return Err(target.autoscaled(&name));
        }
        let Some(seen) = self.autoscaler else { return Ok(()) };
        if target.view.knows(Kind::HorizontalPodAutoscaler) {
            self.autoscaler = None;
        } else if seen.elapsed() >= AUTOSCALER_POLL_INTERVAL {
            self.autoscaler = target.is_autoscaled().await.then(Instant::now);
        }
        self.autoscaler.map_or(Ok(()), |_| Err(target.autoscaled("of any name")))
    }

    /// Writes nothing while somebody is left alone.
    fn yield_to_fighter(&mut self, target: &Target<'_>) -> Result<(), Finding> {
        self.fights.take_if(|(_, since)| since.elapsed() >= PEACE);
        self.fights.as_ref().map_or(Ok(()), |(writer, _)| Err(target.fought_over(writer)))
    }

    /// Nobody's number is overridden a second time within a minute, and an autoscaler's never. The watch may not have
    /// shown that one yet; a number outlives it.
    async fn may_override(&mut self, target: &Target<'_>, refusal: &Status) -> Result<(), Finding> {
        if refusal.message.contains(HPA_MANAGER) {
            self.autoscaler = target.is_autoscaled().await.then(Instant::now);
            return self.autoscaler.map_or(Ok(()), |_| Err(target.autoscaled("seen just now")));
        }
        let writer = owner(refusal);
        let same = |(known, at): &mut (String, Instant)| *known == writer && at.elapsed() < FIGHT;
        self.fights = self.overridden.take_if(same).map(|(writer, _)| (writer, Instant::now()));
        self.yield_to_fighter(target)
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

    /// Writes the number into the Deployment that was decided on; gives the next version.
    async fn write(
        &self,
        wanted: u32,
        decided_on: Option<DecidedOn<'_>>,
        force: bool,
    ) -> Result<Option<String>, kube::Error> {
        let (began, deployments) = (Instant::now(), self.deployments());
        let written = match decided_on {
            Some(decided_on) => write_decided(&deployments, &self.name, wanted, decided_on, force).await,
            None => write_replicas(&deployments, &self.name, wanted, None, force).await,
        };
        metrics::histogram!("signup_operator_write_seconds").record(began.elapsed());
        written
    }

    /// The workers as they are now; `None` without a Deployment.
    pub(super) async fn read_in(&self, time: Duration) -> Result<Option<Workers>, Finding> {
        let read = tokio::time::timeout(time, self.deployments().get_opt(&self.name)).await;
        let read = read.map_err(|_| self.silent())?.map_err(|error| self.trouble(&error))?;
        Ok(read.and_then(|read| Some(Workers::of(u32::try_from(read.spec?.replicas?).ok()?, &read.metadata))))
    }

    pub(super) fn silent(&self) -> Finding {
        let problem = format!("Deployment {} could not be scaled: the API server does not answer", self.name);
        Finding::with_default_fix(reason::API_ERROR, problem)
    }

    /// Whether an autoscaler sets the number. Its ownership of the field outlives it, so that alone is no proof; where
    /// the operator may not list autoscalers, it counts as one.
    async fn is_autoscaled(&self) -> bool {
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &self.namespace);
        let Ok(autoscalers) = autoscalers.list(&ListParams::default()).await else { return true };
        let mut targets = autoscalers.items.into_iter().filter_map(|autoscaler| autoscaler.spec);
        targets.any(|spec| spec.scale_target_ref.kind == "Deployment" && spec.scale_target_ref.name == self.name)
    }

    /// The autoscaler that has the Deployment, as far as they are watched.
    fn autoscaler(&self) -> Option<String> {
        let all = self.view.of_others(Kind::HorizontalPodAutoscaler, self.pipeline).into_iter();
        let mut found = all.filter(|autoscaler| scales(autoscaler, &self.name));
        found.next().map(|autoscaler| autoscaler.name_any())
    }

    fn autoscaled(&self, by: &str) -> Finding {
        let name = &self.name;
        let problem = format!(
            "a HorizontalPodAutoscaler ({by}) also sets the replicas of Deployment {name}, so the operator leaves them \
                alone"
        );
        Finding::with_default_fix(reason::FOREIGN_WRITER, problem)
    }

    fn fought_over(&self, writer: &str) -> Finding {
        let name = &self.name;
        let problem = format!(
            "{writer} (a field manager) sets the replicas of Deployment {name} again and again, so the operator leaves \
                them alone for 10 minutes"
        );
        let fix = "end that writer, or set spec.worker.autoscaling.mode to External";
        Finding::new(reason::FOREIGN_WRITER, problem, fix)
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

/// The field manager that a refused apply names: `conflict with "kubectl" with subresource "scale" using ...`.
fn owner(refusal: &Status) -> String {
    let quoted = |message: &str| message.split('"').nth(1).map(str::to_owned);
    let causes = refusal.details.iter().flat_map(|details| &details.causes);
    let named = causes.into_iter().find_map(|cause| quoted(&cause.message));
    named.unwrap_or_else(|| "somebody".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_written_just_now_is_believed_although_the_watch_still_tells_the_one_before() {
        let mut replicas = Replicas { version: Some("8".into()), ..Replicas::default() };
        let seen = |replicas: &Replicas, observed| {
            let metadata = ObjectMeta { resource_version: Some("7".into()), ..ObjectMeta::default() };
            let Workers { running, version, .. } = replicas.workers(Workers::of(observed, &metadata));
            (running, version.unwrap_or_default())
        };
        assert_eq!(seen(&replicas, 1), (1, "7".into()));
        replicas.written = Some((2, Instant::now()));
        assert_eq!(seen(&replicas, 1), (2, "8".into()));
        replicas.written = Instant::now().checked_sub(MAX_WATCH_LAG).map(|at| (2, at));
        assert!(replicas.written.is_some());
        assert_eq!(seen(&replicas, 4), (4, "7".into()), "somebody else's, and not ours any more");
    }
}
