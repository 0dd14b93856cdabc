//! Reads a cluster: the only file of the check that talks to it. It writes nothing but questions about rights.
//!
//! Takes: a client. Gives: what is there, or that the caller may not know. Does not: judge.

use super::{
    error::CheckError,
    line::Line,
    offers::OPTIONAL,
    process::{Operator, Running},
    rights::{self, Right},
    seen::Seen,
};
use crate::{
    controller::{
        definition::missing,
        edge::{self, Class},
        undecodable::{self, Guarded},
    },
    crd::SignupPipeline,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        authentication::v1::SelfSubjectReview,
        authorization::v1::{
            SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview, SubjectAccessReviewSpec,
        },
        coordination::v1::Lease,
        core::v1::Pod,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Client, CustomResourceExt, ResourceExt,
    api::{ListParams, PostParams},
    core::GroupVersionKind,
};
use std::{fmt::Debug, sync::Arc};

/// Requests under way at once.
pub(super) const CONCURRENCY: usize = 8;
/// Label of the operator's Deployments and pods, as the chart sets it.
const OPERATORS: &str = "app.kubernetes.io/name=signup-operator";

/// Waits for an answer; neither absence nor a missing right is an error.
pub(super) async fn seen<T>(
    what: &str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<Seen<T>, CheckError> {
    match answer.await {
        Ok(found) => Ok(Seen::There(found)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Seen::Absent),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(Seen::Forbidden),
        Err(source) => Err(CheckError::Look { what: what.to_owned(), source: Box::new(source) }),
    }
}

/// All objects of a kind, in one namespace or in all, with a label selector.
pub(super) async fn list<K>(client: &Client, namespace: Option<&str>, labels: &str) -> Result<Seen<Vec<K>>, CheckError>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope> + Clone + Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let what = format!("list {}", K::plural(&K::DynamicType::default()));
    let params = ListParams::default().labels(labels);
    Ok(seen(&what, api.list(&params)).await?.map(|list| list.items))
}

/// The pipelines that can be decoded, and the others by namespace/name with what is wrong.
pub(super) async fn pipelines(
    client: &Client,
    namespace: Option<&str>,
) -> Result<Seen<(Vec<SignupPipeline>, Vec<(String, Line)>)>, CheckError> {
    let all = list::<Guarded>(client, namespace, "").await?;
    Ok(all.map(|all| {
        let (mut decoded, mut others) = (Vec::new(), Vec::new());
        for pipeline in all {
            let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
            match pipeline.0 {
                Ok(pipeline) => decoded.push(pipeline),
                Err(invalid) => {
                    let subject = format!("{namespace}/{name} resource");
                    others.push((name, Line::error(subject, undecodable::problem(&invalid), undecodable::FIX)));
                }
            }
        }
        (decoded, others)
    }))
}

pub(super) async fn version(client: &Client) -> Result<Info, CheckError> {
    let answer = client.apiserver_version().await;
    answer.map_err(|source| CheckError::Look {
        what: "ask the API server for its version".into(),
        source: Box::new(source),
    })
}

pub(super) async fn definition(client: &Client) -> Result<Seen<CustomResourceDefinition>, CheckError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    seen("read the definition", api.get(SignupPipeline::crd_name())).await
}

/// Fields of this program that the served definition lacks; every account may ask.
pub(super) async fn missing_fields(client: &Client) -> Result<Vec<String>, CheckError> {
    let what = "read the API server's OpenAPI document of signup.dev";
    missing(client).await.map_err(|source| CheckError::Look { what: what.into(), source: Box::new(source) })
}

/// Whether each of the optional kinds is served.
pub(super) async fn kinds(client: &Client) -> [bool; OPTIONAL.len()] {
    let mut found = [false; OPTIONAL.len()];
    for (found, (group, version, kind, _)) in found.iter_mut().zip(OPTIONAL) {
        *found = kube::discovery::pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await.is_ok();
    }
    found
}

pub(super) async fn classes(client: &Client) -> Result<Seen<Vec<Class>>, CheckError> {
    seen("list ingress classes", edge::classes(client)).await
}

/// The operators of all namespaces; when the caller may not see those, the ones of namespace `own`.
pub(super) async fn operators(client: &Client, own: &str) -> Result<Seen<Vec<Running>>, CheckError> {
    let mut found = list::<Deployment>(client, None, OPERATORS).await?;
    if found == Seen::Forbidden {
        found = list::<Deployment>(client, Some(own), OPERATORS).await?;
    }
    let deployments = match found {
        Seen::There(deployments) => deployments,
        Seen::Absent => return Ok(Seen::Absent),
        Seen::Forbidden => return Ok(Seen::Forbidden),
    };
    let mut running = Vec::new();
    for operator in deployments.into_iter().map(Operator::new) {
        let pods = list::<Pod>(client, Some(&operator.namespace()), OPERATORS).await?;
        // Without the right to see them, the Deployment itself still says how many are ready.
        let pods = if let Seen::There(pods) = pods { pods.into_iter().map(Arc::new).collect() } else { Vec::new() };
        let leases: Api<Lease> = Api::namespaced(client.clone(), &operator.namespace());
        let lease = seen("read the Lease", leases.get(&operator.lease)).await?;
        running.push(Running { operator, pods, lease });
    }
    Ok(Seen::There(running))
}

/// Rights that the operator needs and does not have; `None` when the caller may not ask. The operator's own account may
/// ask for itself.
pub(super) async fn denied(client: &Client, operator: &Operator) -> Result<Option<Vec<Right>>, CheckError> {
    let needed = rights::needed(operator);
    let user = rights::user(operator);
    let others = match needed.first() {
        Some(first) => allowed(client, Some(&user), first).await?,
        None => None,
    };
    let user = match others {
        Some(_) => Some(user),
        None if whoami(client).await? == Some(user) => None,
        None => return Ok(None),
    };
    let answers = stream::iter(needed).map(|right| {
        let user = user.as_deref();
        async move { allowed(client, user, &right).await.map(|allowed| (right, allowed == Some(true))) }
    });
    let answers: Vec<(Right, bool)> = answers.buffered(CONCURRENCY).try_collect().await?;
    Ok(Some(answers.into_iter().filter(|(_, allowed)| !allowed).map(|(right, _)| right).collect()))
}

/// Whether `user` (`None`: the caller) has the right; `None` when the caller may not ask.
async fn allowed(client: &Client, user: Option<&str>, right: &Right) -> Result<Option<bool>, CheckError> {
    let (what, resource_attributes) = ("ask for a right", Some(right.attributes()));
    let status = match user {
        Some(user) => {
            let groups = groups(user);
            let spec = SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups,
                resource_attributes,
                ..Default::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let api = Api::all(client.clone());
            let answer = seen(what, api.create(&PostParams::default(), &review)).await?;
            if let Seen::There(review) = answer { review.status } else { return Ok(None) }
        }
        None => {
            let spec = SelfSubjectAccessReviewSpec { resource_attributes, ..Default::default() };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let api = Api::all(client.clone());
            let answer = seen(what, api.create(&PostParams::default(), &review)).await?;
            if let Seen::There(review) = answer { review.status } else { return Ok(None) }
        }
    };
    Ok(Some(status.is_some_and(|status| status.allowed)))
}

/// Groups of a ServiceAccount's user (Kubernetes, "Service Accounts": `system:serviceaccounts` and that of its
/// namespace).
fn groups(user: &str) -> Option<Vec<String>> {
    let namespace = user.strip_prefix("system:serviceaccount:")?.split(':').next()?;
    let all = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    Some(all.into_iter().chain(["system:authenticated".to_owned()]).collect())
}

async fn whoami(client: &Client) -> Result<Option<String>, CheckError> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let answer = seen("ask who is asking", api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    let Seen::There(review) = answer else { return Ok(None) };
    Ok(review.status.and_then(|status| status.user_info).and_then(|user| user.username))
}
