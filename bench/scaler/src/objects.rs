//! Objects as JSON, of any kind.
//!
//! Takes: a client and objects. Gives: them in the cluster. Does not: know kinds: the plural of a kind is guessed, as
//! kube does it.

use anyhow::Context;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::Value;

/// Of a kind, in a namespace or in none.
pub(crate) fn api(client: &Client, (version, kind): (&str, &str), namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Makes an object so, or as the field manager wants it.
pub(crate) async fn apply(client: &Client, manager: &str, object: Value) -> anyhow::Result<DynamicObject> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (version, kind) = (text("/apiVersion").context("no apiVersion")?, text("/kind").context("no kind")?);
    let name = text("/metadata/name").context("no name")?.to_owned();
    let api = api(client, (version, kind), text("/metadata/namespace"));
    let params = PatchParams::apply(manager).force();
    api.patch(&name, &params, &Patch::Apply(&object)).await.with_context(|| format!("failed to apply {kind} {name}"))
}
