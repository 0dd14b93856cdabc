//! What the operator knows of the cluster without asking: its pipelines' children and pods.
//!
//! Takes: a client and a scope. Gives: a store per kind, filled by a watch on the operator's own label, and streams that
//! trigger a reconcile. Does not: watch or list Secrets, or anything that is not the operator's.

use super::packed::Packed;
use crate::{
    build::{
        child::Kind,
        names::{INSTANCE, MANAGED_BY},
    },
    crd::SignupPipeline,
};
use futures::{Stream, StreamExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::{
        Controller, WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::OnceCell, time::timeout};

/// Objects of one page of a list: so many are in memory at a time as they are on the wire.
pub(super) const PAGE: u32 = 50;

/// Longest wait for the first lists.
const FILL_LIMIT: Duration = Duration::from_secs(15);

/// Objects of one kind, by name and namespace.
type Objects = Store<Packed>;

/// The operator's view of the cluster.
pub struct View {
    children: BTreeMap<Kind, Objects>,
    pods: Store<Pod>,
    is_filled: OnceCell<()>,
}

impl View {
    /// Waits until every kind that each cluster has was listed once. Before, pipelines that run would look as if nothing of them
    /// did, and their status would say so. A kind that cannot be listed holds nobody up for longer than `FILL_LIMIT`.
    pub async fn filled(&self) {
        let kinds = self.children.iter().filter(|(kind, _)| !kind.is_optional());
        let all = async {
            let children = join_all(kinds.map(|(_, store)| store.wait_until_ready()));
            tokio::join!(children, self.pods.wait_until_ready())
        };
        let fill = async || {
            if timeout(FILL_LIMIT, all).await.is_err() {
                tracing::warn!("not every kind of child could be listed; going on without");
            }
        };
        self.is_filled.get_or_init(fill).await;
    }

    /// All children of the pipeline with this uid.
    pub fn children_of(&self, uid: &str) -> Vec<(Kind, Arc<DynamicObject>)> {
        let owned = |object: &Packed| object.owner_references().iter().any(|owner| owner.uid == uid);
        let of_kind = |(kind, store): (&Kind, &Objects)| {
            let (objects, resource) = (store.state_filter(owned).into_iter(), kind.resource());
            objects.map(|object| (*kind, Arc::new(object.unpack(&resource)))).collect::<Vec<_>>()
        };
        self.children.iter().flat_map(of_kind).collect()
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

/// Adds the watches of all kinds and of pods to `controller`. A kind that the cluster lacks, or may not be watched, is asked for
/// again and again (in the end every 30 s), so that one that comes later is found, without a right to look at definitions.
pub fn watch(
    mut controller: Controller<SignupPipeline>,
    client: &Client,
    namespace: Option<&str>,
) -> (Controller<SignupPipeline>, View) {
    let mut children = BTreeMap::new();
    for kind in Kind::ALL {
        let resource = kind.resource();
        let writer = Writer::new(resource.clone());
        children.insert(kind, writer.as_reader());
        controller = controller.owns_stream_with(objects(client, namespace, &resource, writer), resource);
    }
    let writer = Writer::new(());
    let pods = writer.as_reader();
    let api =
        namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
    let stream = watcher(api, own()).default_backoff().modify(forget_spec).reflect(writer).touched_objects();
    let controller = controller.watches_stream(working(stream), |pod: Pod| {
        let pipeline = pod.labels().get(INSTANCE)?;
        Some(ObjectRef::new(pipeline).within(&pod.namespace()?))
    });
    (controller, View { children, pods, is_filled: OnceCell::new() })
}

fn own() -> watcher::Config {
    watcher::Config::default().page_size(PAGE).labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1))
}

fn objects(
    client: &Client,
    namespace: Option<&str>,
    resource: &ApiResource,
    writer: Writer<Packed>,
) -> impl Stream<Item = watcher::Result<Packed>> + Send + use<> {
    let api: Api<Packed> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    };
    working(watcher(api, own()).default_backoff().reflect(writer).touched_objects()).boxed()
}

/// Without the errors of a watch, which tries again by itself: the controller would make every other trigger wait for it.
fn working<K: Send + 'static>(
    stream: impl Stream<Item = watcher::Result<K>> + Send,
) -> impl Stream<Item = watcher::Result<K>> + Send {
    stream.filter(|event| {
        if let Err(error) = event {
            tracing::debug!(%error, "a watch failed; it is tried again");
        }
        std::future::ready(event.is_ok())
    })
}

/// Most of a pod is its spec, and nothing of it is used.
fn forget_spec(pod: &mut Pod) {
    pod.managed_fields_mut().clear();
    pod.spec = None;
}
