//! The watches of the pipelines' children and pods.
//!
//! Takes: a client and a scope. Gives: a [`View`] whose stores are filled by a watch per kind on the operator's own
//! label, and a turn for the pipeline that an object belongs to. Of kinds by which others may have a say in our pods
//! (autoscalers, budgets, network policies, monitors) all are watched. Does not: watch or list Secrets.

use super::{
    absent,
    encoded::EncodedObject,
    pods::Pods,
    refused::working,
    view::{View, owners},
};
use crate::{
    build::{
        child::Kind,
        names::{INSTANCE, MANAGED_BY},
    },
    controller::turns::{Name, Turns},
    crd::SignupPipeline,
};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};
use tokio::task::JoinSet;

/// Objects per page of a list, which is what is in memory undecoded at a time.
pub(crate) const PAGE_SIZE: u32 = 50;

/// Starts the watches of all kinds and of pods. A kind that the cluster lacks, or that may not be watched, is tried
/// again (`absent`), so that a kind that is installed later is found without a right on definitions.
pub(in crate::controller) fn watch(
    watches: &mut JoinSet<()>,
    client: &Client,
    namespace: Option<&str>,
    (pipelines, turns): (&Store<SignupPipeline>, &Arc<Turns>),
    asked: Arc<Pods>,
) -> View {
    let mut children = BTreeMap::new();
    for kind in Kind::ALL {
        let writer = Writer::new(kind);
        children.insert(kind, writer.as_reader());
        let which = if kind.may_be_of_others() { all() } else { own() };
        let events = absent::seldom(kind, watcher(objects(client, namespace, kind), which));
        let events = events.default_backoff().reflect(writer);
        let events = news(working(events, &kind.resource().plural));
        let known = pipelines.clone();
        let concerned = move |object: &EncodedObject| concerned(kind, object, &known);
        watches.spawn(trigger(events, concerned, pipelines.clone(), Arc::clone(turns)));
    }
    let writer = Writer::new(());
    let pods = writer.as_reader();
    let events = watcher(api(client, namespace), own()).default_backoff();
    let known = pods.clone();
    let events =
        events.modify(forget_spec).reflect(writer).inspect_ok(move |event| asked.note(event, || known.state()));
    let events = working(events, "pods");
    watches.spawn(trigger(events, pipeline_of, pipelines.clone(), Arc::clone(turns)));
    View::new(children, pods)
}

/// Objects of a kind in one namespace or all.
pub(in crate::controller) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace))
}

/// An object changes the pipelines that it belongs to. A list, at the start, after a gap in the watch, or of a kind
/// that was installed just now, changes all: what it lacks has no event.
async fn trigger<K, I: IntoIterator<Item = Name>>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    pipelines_of: impl Fn(&K) -> I,
    pipelines: Store<SignupPipeline>,
    turns: Arc<Turns>,
) {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let each = events.for_each(|event| {
        match event {
            Ok(Apply(object) | Delete(object)) => {
                pipelines_of(&object).into_iter().for_each(|name| turns.changed(name));
            }
            Ok(InitDone) => pipelines.state().iter().for_each(|pipeline| turns.changed(Name::from_obj(pipeline))),
            Ok(Init | InitApply(_)) | Err(_) => {}
        }
        std::future::ready(())
    });
    each.await;
}

/// Pipelines that it belongs to, or, where it may be somebody else's, whose pods it may concern.
fn concerned(kind: Kind, object: &EncodedObject, pipelines: &Store<SignupPipeline>) -> Vec<Name> {
    let owners: Vec<Name> = owners(object).collect();
    if !owners.is_empty() || !kind.may_be_of_others() {
        return owners;
    }
    let namespace = object.namespace();
    let near = pipelines.state_filter(|pipeline| pipeline.namespace() == namespace);
    near.iter().map(|pipeline| Name::from_obj(&**pipeline)).collect()
}

/// Without changes of an object that change nothing of what is kept: figures of a status.
fn news(
    events: impl Stream<Item = watcher::Result<watcher::Event<EncodedObject>>> + Send + 'static,
) -> impl Stream<Item = watcher::Result<watcher::Event<EncodedObject>>> + Send + 'static {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let number = RandomState::new();
    let number = move |object: &EncodedObject| number.hash_one(object.meta().uid.as_deref());
    // Numbers in place of texts: there are ten objects to a pipeline.
    let mut known: HashMap<u64, u64> = HashMap::new();
    events.filter(move |event| {
        let is_news = match event {
            Ok(Init) => {
                known.clear();
                true
            }
            Ok(Apply(object) | InitApply(object)) => {
                let content = object.content();
                known.insert(number(object), content) != Some(content)
            }
            Ok(Delete(object)) => {
                known.remove(&number(object));
                true
            }
            Ok(InitDone) | Err(_) => true,
        };
        std::future::ready(is_news)
    })
}

fn pipeline_of(pod: &Pod) -> Option<Name> {
    let pipeline = pod.labels().get(INSTANCE)?;
    Some(Name::new(pipeline).within(&pod.namespace()?))
}

fn all() -> watcher::Config {
    watcher::Config::default().page_size(PAGE_SIZE)
}

fn own() -> watcher::Config {
    all().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1))
}

fn objects(client: &Client, namespace: Option<&str>, kind: Kind) -> Api<EncodedObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

/// Most of a pod is its spec, of which the node, the gates and the limits are used.
fn forget_spec(pod: &mut Pod) {
    pod.managed_fields_mut().clear();
    let Some(spec) = pod.spec.take() else { return };
    let limits = |container: Container| Container {
        name: container.name,
        resources: container.resources.map(|all| ResourceRequirements { limits: all.limits, ..Default::default() }),
        ..Container::default()
    };
    pod.spec = Some(PodSpec {
        node_name: spec.node_name,
        readiness_gates: spec.readiness_gates,
        containers: spec.containers.into_iter().map(limits).collect(),
        init_containers: spec.init_containers.map(|containers| containers.into_iter().map(limits).collect()),
        ..PodSpec::default()
    });
}
