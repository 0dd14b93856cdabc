//! What the watches have shown of the cluster.
//!
//! Takes: the stores that the watches fill. Gives: a pipeline's children and pods, and what is of others. Does not:
//! ask the API server.

use super::encoded::EncodedObject;
use crate::{
    build::{
        child::Kind,
        names::{INSTANCE, MANAGED_BY},
    },
    controller::turns::Name,
    crd::SignupPipeline,
};
use futures::{FutureExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Resource, ResourceExt,
    api::DynamicObject,
    runtime::reflector::{ObjectRef, Store},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::OnceCell, time::timeout};

/// A watch may lag behind our own write; within this time the write counts, and not what is observed.
pub(crate) const MAX_WATCH_LAG: Duration = Duration::from_secs(3);

/// How long the first lists are waited for.
const FILL_TIMEOUT: Duration = Duration::from_secs(15);

/// Objects of one kind, by name and namespace.
type Objects = Store<EncodedObject>;

/// The operator's view of the cluster.
pub struct View {
    children: BTreeMap<Kind, Objects>,
    pods: Store<Pod>,
    is_filled: OnceCell<()>,
}

impl View {
    /// Of the stores of all kinds, and of pods.
    pub(super) fn new(children: BTreeMap<Kind, Store<EncodedObject>>, pods: Store<Pod>) -> Self {
        Self { children, pods, is_filled: OnceCell::new() }
    }

    /// Waits until every kind that each cluster has was listed once; before, children that exist would count as
    /// missing, and the status would say so. A kind that cannot be listed delays reconciles by `FILL_TIMEOUT` at most.
    pub async fn filled(&self) {
        let kinds = self.children.iter().filter(|(kind, _)| !kind.is_optional());
        let all = async {
            let children = join_all(kinds.map(|(_, store)| store.wait_until_ready()));
            tokio::join!(children, self.pods.wait_until_ready())
        };
        let fill = async || {
            if timeout(FILL_TIMEOUT, all).await.is_err() {
                tracing::warn!("not every kind of child could be listed; going on without");
            }
        };
        self.is_filled.get_or_init(fill).await;
    }

    /// All children of the pipeline, and those of one of its name that were left without an owner
    /// (`kubectl delete --cascade=orphan`).
    pub fn children_of(&self, pipeline: &SignupPipeline) -> Vec<(Kind, Arc<DynamicObject>)> {
        let of_kind = |(kind, store): (&Kind, &Objects)| {
            let objects = store.state_filter(|object| is_child(object, pipeline)).into_iter();
            objects.map(|object| (*kind, Arc::new(object.decode(*kind)))).collect::<Vec<_>>()
        };
        self.children.iter().filter(|(kind, _)| kind.is_made()).flat_map(of_kind).collect()
    }

    /// Objects of that kind in the pipeline's namespace that are no pipeline's children. Of a kind that may not be
    /// watched there are none.
    pub fn of_others(&self, kind: Kind, pipeline: &SignupPipeline) -> Vec<DynamicObject> {
        let namespace = pipeline.namespace();
        // What other pipelines own is for their pods alone. Each that is decoded costs as much as building a child.
        let is_owned = |object: &EncodedObject| owners(object).next().is_some();
        let is_ours = |object: &EncodedObject| kind.is_made() && (is_owned(object) || is_child(object, pipeline));
        let is_other = |object: &EncodedObject| object.namespace() == namespace && !is_ours(object);
        let objects = self.children.get(&kind).map(|store| store.state_filter(is_other)).unwrap_or_default();
        objects.into_iter().map(|object| object.decode(kind)).collect()
    }

    /// Whether every object of that kind is known; never where it may not be watched.
    pub fn knows(&self, kind: Kind) -> bool {
        let ready = self.children.get(&kind).and_then(|store| store.wait_until_ready().now_or_never());
        ready.is_some_and(|ready| ready.is_ok())
    }

    /// The child of that kind and name, of the pipeline with this uid.
    pub fn child(&self, kind: Kind, namespace: &str, name: &str, uid: &str) -> Option<DynamicObject> {
        let reference = ObjectRef::new_with(name, kind).within(namespace);
        let object = self.children.get(&kind)?.get(&reference)?;
        let is_owned = object.owner_references().iter().any(|owner| owner.uid == uid);
        is_owned.then(|| object.decode(kind))
    }

    /// The pipeline's pods, sorted by name.
    pub fn pods(&self, namespace: &str, pipeline: &str) -> Vec<Arc<Pod>> {
        let ours = |pod: &Pod| {
            pod.namespace().as_deref() == Some(namespace)
                && pod.labels().get(INSTANCE).is_some_and(|name| name == pipeline)
        };
        let mut pods = self.pods.state_filter(ours);
        pods.sort_by_key(|pod| pod.name_any());
        pods
    }
}

/// Whether it is the pipeline's, or was left by one of its name.
fn is_child(object: &EncodedObject, pipeline: &SignupPipeline) -> bool {
    let owners = object.owner_references();
    let has = |label: &str, value: &str| object.labels().get(label).is_some_and(|found| found == value);
    let is_orphan = || {
        object.namespace() == pipeline.namespace()
            && has(INSTANCE, &pipeline.name_any())
            && has(MANAGED_BY.0, MANAGED_BY.1)
    };
    if owners.is_empty() { is_orphan() } else { owners.iter().any(|owner| Some(&owner.uid) == pipeline.uid().as_ref()) }
}

/// Pipelines that own it.
pub(super) fn owners(object: &EncodedObject) -> impl Iterator<Item = Name> {
    let namespace = object.meta().namespace.as_deref();
    object.owner_references().iter().filter_map(move |owner| Name::from_owner_ref(namespace, owner, ()))
}
