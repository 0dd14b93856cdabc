//! The watches of the pipelines' children and pods.
//!
//! Takes: a client and a scope. Gives: a store per kind, filled by a watch on the operator's own label, and a turn for
//! the pipeline that an object belongs to. Of kinds by which others may have a say in our pods (autoscalers, budgets,
//! network policies, monitors) all are watched. Does not: watch or list Secrets.

use super::{absent, encoded::EncodedObject, pods::Pods};
use crate::{
    build::{
        child::Kind,
        names::{INSTANCE, MANAGED_BY},
    },
    controller::turns::{Name, Turns},
    crd::SignupPipeline,
};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future::join_all};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::DynamicObject,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::OnceCell, task::JoinSet, time::timeout};

/// Objects per page of a list, which is what is in memory undecoded at a time.
pub(crate) const PAGE_SIZE: u32 = 50;

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
    View { children, pods, is_filled: OnceCell::new() }
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

/// Pipelines that own it.
fn owners(object: &EncodedObject) -> impl Iterator<Item = Name> {
    let namespace = object.meta().namespace.as_deref();
    object.owner_references().iter().filter_map(move |owner| Name::from_owner_ref(namespace, owner, ()))
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

pub(super) fn objects(client: &Client, namespace: Option<&str>, kind: Kind) -> Api<EncodedObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

/// Takes out the errors of a watch, which tries again by itself. A forbidden watch needs a person, so it is logged as a
/// warning.
pub(crate) fn working<K: Send + 'static>(
    stream: impl Stream<Item = watcher::Result<K>> + Send + 'static,
    plural: &str,
) -> impl Stream<Item = watcher::Result<K>> + Send + 'static {
    let (plural, mut is_refused) = (plural.to_owned(), false);
    stream.filter(move |event| {
        let is_news = is_refused_anew(event, &mut is_refused);
        match event {
            Err(error) if is_news => {
                let fix = format!("grant the operator's ServiceAccount list and watch on {plural}");
                tracing::warn!(%error, plural, fix, "a watch is forbidden; it is tried again");
            }
            Err(error) => tracing::debug!(%error, plural, "a watch failed; it is tried again"),
            Ok(_) => {}
        }
        std::future::ready(event.is_ok())
    })
}

/// True at the first refusal since the watch worked.
fn is_refused_anew<K>(event: &watcher::Result<K>, is_refused: &mut bool) -> bool {
    let was_refused = *is_refused;
    match event {
        Ok(_) => *is_refused = false,
        Err(error) => *is_refused |= is_forbidden(error),
    }
    *is_refused && !was_refused
}

pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchError(status) => status.is_forbidden(),
        InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | NoResourceVersion => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_watch_that_may_not_be_made_is_told_once_and_again_when_it_had_worked() {
        let forbidden = || Err(watcher::Error::WatchError(Box::new(Status::failure("no", "Forbidden").with_code(403))));
        let other = || Err(watcher::Error::NoResourceVersion);
        let mut is_refused = false;
        let mut told = |event: watcher::Result<()>| is_refused_anew(&event, &mut is_refused);
        let told = [other(), forbidden(), other(), forbidden(), Ok(()), forbidden()].map(&mut told);
        assert_eq!(told, [false, true, false, false, false, true]);
    }
}
