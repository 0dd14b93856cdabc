//! Hands a pipeline over to the evaluation of its queues.
//!
//! Takes: the resource and what was observed. Gives: what the evaluation says now. Does not: read Redis, or decide.

use super::{
    super::{
        Context, endpoints,
        observe::{
            Observed,
            pods::{self, Report},
        },
        reason::Finding,
        scale::{Endpoint, Evaluation, Inputs, Scaling, known_as},
    },
    PipelineState,
};
use crate::crd::SignupPipeline;
use kube::ResourceExt;
use std::sync::Arc;

/// Two pipelines in one database would take each other's tasks.
fn shared_redis(context: &Context, pipeline: &SignupPipeline, observed: &Observed) -> Option<Finding> {
    let database = endpoints::redis_identity(pipeline, &observed.secrets());
    let (other, tell) = context.pipelines.share(pipeline, database);
    tell.into_iter().for_each(|name| context.turns.changed(name));
    other.map(|other| Finding::redis_shared(&other))
}

/// Hands over what is known to the evaluation, which the first reconcile begins; gives what came of it.
pub(super) async fn scaling(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    reports: &[Report],
    state: &mut PipelineState,
) -> Arc<Scaling> {
    let title = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    let inputs = Inputs {
        pipeline: evaluated(pipeline, &mut state.evaluated),
        endpoint: Endpoint::new(&pipeline.spec.redis, &observed.secrets()),
        known_as: known_as(&title, state.namespace.known()),
        shared: shared_redis(context, pipeline, observed),
        mail_connections: pods::mail_connections(reports),
    };
    state.evaluation.take_if(|evaluation| evaluation.has_ended());
    state.evaluation.get_or_insert_with(|| Evaluation::start(context.surroundings())).evaluate(inputs).await
}

/// The same one as before while the resource is not edited.
fn evaluated(pipeline: &SignupPipeline, known: &mut Option<Arc<SignupPipeline>>) -> Arc<SignupPipeline> {
    let is_same = |known: &Arc<SignupPipeline>| {
        let (known, newest) = (&known.metadata, &pipeline.metadata);
        (&known.uid, known.generation) == (&newest.uid, newest.generation)
    };
    let kept = known.take().filter(is_same).unwrap_or_else(|| {
        let (metadata, spec) = (pipeline.metadata.clone(), pipeline.spec.clone());
        Arc::new(SignupPipeline { metadata, spec, status: None })
    });
    Arc::clone(known.insert(kept))
}
