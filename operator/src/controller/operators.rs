//! Which operator a pipeline belongs to, where several see it.
//!
//! Takes: who we are, the Lease of leader election as `namespace/name`, which upgrades, restarts and other numbers of
//! replicas leave as it is; and `status.operator`. Gives: a `Verdict`, before anything else of the pipeline is
//! written. Does not: fight for it. It is claimed by one write that names the version it was read at, where nobody has
//! it, or whose Lease has not been held for a while; a Lease that may not be read has not ended.

use super::{
    Context, reason,
    reconcile::{PipelineState, ReconcileError, reconcile},
    status::report,
    turns::MIN_WAIT,
};
use crate::{build::names::FIELD_MANAGER, crd::SignupPipeline};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::EventType,
};
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// For so long a Lease may be held by nobody before its operator counts as gone: longer than an upgrade, which gives it
/// up for 1 to 2 s, and than a crash, after which the next process waits for its 15 s to pass.
pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(30);

/// The Leases of other operators, and who we are.
pub(super) struct Operators {
    client: Client,
    own: String,
    take_over_after: Duration,
    leases: tokio::sync::Mutex<HashMap<String, Seen>>,
}

/// The Lease of another operator as we saw it, on our own clock.
struct Seen {
    /// Of the Lease while somebody holds it.
    version: Option<String>,
    renewed: Instant,
    looked: Instant,
}

/// Whose a pipeline is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    /// Another's, whose Lease is held, or may not be read.
    Theirs {
        operator: String,
        is_readable: bool,
    },
    /// It changed since it was read.
    Later,
}

impl Operators {
    pub(super) fn new(client: Client, own: String, take_over_after: Duration) -> Self {
        Self { client, own, take_over_after, leases: tokio::sync::Mutex::default() }
    }

    /// Time between two looks at a pipeline that is another's, and at a Lease.
    fn interval(&self) -> Duration {
        self.take_over_after / 3
    }

    /// `has_claimed`: we wrote so once, which a definition older than this operator drops.
    async fn judge(&self, pipeline: &SignupPipeline, has_claimed: bool) -> Result<Verdict, kube::Error> {
        let named = pipeline.status.as_ref().and_then(|status| status.operator.as_deref());
        let Some(operator) = named.filter(|named| *named != self.own) else {
            let is_ours = named.is_some() || has_claimed;
            return if is_ours { Ok(Verdict::Ours) } else { self.claim(pipeline).await };
        };
        match self.is_gone(operator).await? {
            Some(true) => {
                let (name, namespace) = (pipeline.name_any(), pipeline.namespace());
                tracing::info!(pipeline = name, namespace, operator, "taking over from an operator whose Lease ended");
                self.claim(pipeline).await
            }
            readable => Ok(Verdict::Theirs { operator: operator.to_owned(), is_readable: readable.is_some() }),
        }
    }

    /// Writes that it is ours, unless it changed since it was read.
    async fn claim(&self, pipeline: &SignupPipeline) -> Result<Verdict, kube::Error> {
        let api: Api<SignupPipeline> = Api::namespaced(self.client.clone(), &pipeline.namespace().unwrap_or_default());
        // A status without it would count as one of the newest generation.
        let generation = pipeline.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1);
        let patch = json!({
            "metadata": {"resourceVersion": pipeline.resource_version()},
            "status": {"operator": self.own, "observedGeneration": generation},
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch_status(&pipeline.name_any(), &params, &Patch::Merge(patch)).await {
            Ok(_) => Ok(Verdict::Ours),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(Verdict::Later),
            Err(error) => Err(error),
        }
    }

    /// Whether nobody has held that operator's Lease for long enough; `None`: it may not be read.
    async fn is_gone(&self, operator: &str) -> Result<Option<bool>, kube::Error> {
        let Some((namespace, name)) = operator.split_once('/') else { return Ok(Some(true)) };
        let mut leases = self.leases.lock().await;
        if let Some(seen) = leases.get(operator).filter(|seen| seen.looked.elapsed() < self.interval()) {
            return Ok(Some(seen.renewed.elapsed() > self.take_over_after));
        }
        let version = match Api::<Lease>::namespaced(self.client.clone(), namespace).get_opt(name).await {
            Ok(lease) => lease.filter(is_held).and_then(|lease| lease.resource_version()),
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                leases.remove(operator);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let looked = Instant::now();
        let before = leases.get(operator);
        let renewed = before.filter(|seen| version.is_none() || seen.version == version);
        let renewed = renewed.map_or(looked, |seen| seen.renewed);
        leases.insert(operator.to_owned(), Seen { version, renewed, looked });
        Ok(Some(renewed.elapsed() > self.take_over_after))
    }
}

fn is_held(lease: &Lease) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
    holder.is_some_and(|holder| !holder.is_empty())
}

/// A reconcile, where the pipeline is ours. Gives the time after which to look again.
pub(super) async fn turn(
    pipeline: &Arc<SignupPipeline>,
    context: &Context,
    state: &mut PipelineState,
) -> Result<Option<Duration>, ReconcileError> {
    let verdict = context.operators.judge(pipeline, state.is_claimed).await;
    match verdict.map_err(|error| ReconcileError::Claim(Box::new(error)))? {
        Verdict::Ours => {
            state.is_claimed = true;
            context.pipelines.is_ours(&pipeline.uid().unwrap_or_default());
            metrics::counter!("signup_operator_reconciles_total").increment(1);
            reconcile(pipeline, context, state).await
        }
        Verdict::Theirs { operator, is_readable } => {
            // What was kept of it ends: its evaluation, above all.
            *state = PipelineState::default();
            yield_to(pipeline, context, &operator, is_readable).await;
            Ok(Some(context.operators.interval()))
        }
        Verdict::Later => Ok(Some(MIN_WAIT)),
    }
}

/// Says so once.
async fn yield_to(pipeline: &SignupPipeline, context: &Context, operator: &str, is_readable: bool) {
    let (uid, to) = (pipeline.uid().unwrap_or_default(), format!("{operator} {is_readable}"));
    let Some(others) = context.pipelines.yield_to(&uid, to) else { return };
    others.into_iter().for_each(|name| context.turns.changed(name));
    let (own, (lease_namespace, lease)) = (&context.operators.own, operator.split_once('/').unwrap_or_default());
    let problem = format!("operator {operator} looks after this pipeline, so operator {own} writes nothing of it");
    let fix = if is_readable {
        "none where one operator shall take over from the other; else let only one of them serve this namespace \
            (watchNamespaces)"
            .to_owned()
    } else {
        format!(
            "let only one of them serve this namespace (watchNamespaces); to take over when the other's Lease ends, \
                grant this one's ServiceAccount get on leases.coordination.k8s.io {lease} in namespace \
                {lease_namespace}"
        )
    };
    let (name, namespace, reason) = (pipeline.name_any(), pipeline.namespace(), reason::OPERATED_BY_ANOTHER);
    tracing::warn!(pipeline = name, namespace, operator, fix, "another operator looks after this pipeline");
    let note = format!("{problem}. Fix: {fix}.");
    report::publish(&context.recorder, pipeline, EventType::Warning, reason.name(), "Yield", note).await;
}

#[cfg(test)]
mod tests;
