//! Watches the metadata of Secrets and ConfigMaps.
//!
//! Takes: a client and a scope. Gives: what changed, to [`Named`]. Does not: keep anything of what is seen: the
//! metadata of a Secret may hold its content (`kubectl apply` writes it into an annotation).

use super::Named;
use crate::controller::{
    observe::{refused::working, watch::api},
    validate::Source,
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use std::{collections::HashSet, fmt::Debug, sync::Arc};

/// Objects per page of a list. They are not kept.
const PAGE_SIZE: u32 = 200;

/// A client, and the one namespace to watch; `None`: all.
type Scope = (Client, Option<String>);

pub(super) async fn secrets(scope: Scope, named: Arc<Named>) {
    watch::<Secret>(scope, Source::Secret, named).await;
}

pub(super) async fn config_maps(scope: Scope, named: Arc<Named>) {
    watch::<ConfigMap>(scope, Source::ConfigMap, named).await;
}

async fn watch<K>((client, namespace): Scope, source: Source, named: Arc<Named>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let events = watcher(api::<PartialObjectMeta<K>>(&client, namespace.as_deref()), config).default_backoff();
    let mut seen = HashSet::new();
    let each = working(events, &K::plural(&())).for_each(|event| {
        if let Ok(event) = event {
            named.note(source, &event, &mut seen);
        }
        std::future::ready(())
    });
    each.await;
}
