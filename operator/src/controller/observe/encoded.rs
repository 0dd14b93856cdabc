//! Children as the stores of the watches keep them: encoded as JSON text.
//!
//! Takes: an object of the API server. Gives: the metadata that a store needs, and the whole object again by `decode`.
//! Does not: keep `managedFields`, which are half of the text and are read when somebody else has written, nor figures
//! of a status that nobody reads and that change all the time.
//!
//! As a tree of JSON values an object takes twenty times its text; with 200 pipelines that was most of the operator's
//! memory.

use crate::build::child::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    api::{DynamicObject, TypeMeta},
    core::DynamicResourceScope,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Figures that change all the time, of HorizontalPodAutoscalers and PodDisruptionBudgets.
const FIGURES: [&str; 9] = [
    "currentMetrics",
    "currentReplicas",
    "desiredReplicas",
    "lastScaleTime",
    "currentHealthy",
    "desiredHealthy",
    "expectedPods",
    "disruptionsAllowed",
    "disruptedPods",
];

/// An object as JSON text, with the metadata by which it is found.
#[derive(Debug, Clone)]
pub struct EncodedObject {
    metadata: ObjectMeta,
    text: Box<[u8]>,
}

impl EncodedObject {
    /// The whole object but for `managedFields`, and with its kind, which the API server leaves out in lists.
    pub fn decode(&self, kind: Kind) -> DynamicObject {
        let resource = kind.resource();
        // The text was written below from such an object; an empty object would be applied anew, which repairs it.
        let mut object = serde_json::from_slice(&self.text).unwrap_or_else(|_| DynamicObject::new("", &resource));
        object.metadata.resource_version.clone_from(&self.metadata.resource_version);
        object.types = Some(TypeMeta { api_version: resource.api_version, kind: resource.kind });
        object
    }

    /// A hash of all that is kept but the version, so that a change of what is not kept is none. Of this process alone.
    pub fn content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        hasher.finish()
    }
}

impl<'de> Deserialize<'de> for EncodedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = DynamicObject::deserialize(deserializer)?;
        object.metadata.managed_fields = None;
        let resource_version = object.metadata.resource_version.take();
        if let Some(status) = object.data.get_mut("status").and_then(Value::as_object_mut) {
            status.retain(|name, _| !FIGURES.contains(&&**name));
        }
        let text = serde_json::to_vec(&object).map_err(D::Error::custom)?.into_boxed_slice();
        let DynamicObject { metadata, .. } = object;
        // By its labels only an object without an owner is found.
        let is_orphan = metadata.owner_references.as_ref().is_none_or(Vec::is_empty);
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version,
            owner_references: metadata.owner_references,
            labels: metadata.labels.filter(|_| is_orphan),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, text })
    }
}

/// Stores keep the kind in each key; as an `ApiResource` it would be five texts.
impl Resource for EncodedObject {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.resource().kind.into()
    }

    fn group(kind: &Kind) -> Cow<'_, str> {
        kind.resource().group.into()
    }

    fn version(kind: &Kind) -> Cow<'_, str> {
        kind.resource().version.into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.resource().plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_unpacked_is_what_was_packed_with_its_kind_and_without_managed_fields() {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "metadata": {
            "name": "demo", "namespace": "app", "uid": "u", "resourceVersion": "7", "labels": {"team": "a"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "w"}]}});
        let expected = object.clone();
        object["metadata"]["managedFields"] = json!([{"manager": "somebody"}]);
        for key in ["apiVersion", "kind"] {
            object.as_object_mut().expect("it is one").remove(key);
        }
        let encoded: EncodedObject = serde_json::from_value(object.clone()).expect("an object");
        let unpacked = encoded.decode(Kind::ConfigMap);
        assert_eq!(serde_json::to_value(unpacked).expect("JSON"), expected);
        let meta = encoded.meta();
        assert_eq!((meta.name.as_deref(), meta.resource_version.as_deref()), (Some("demo"), Some("7")));
        assert_eq!(meta.owner_references.as_ref().map(Vec::len), Some(1));
        for (status, is_news) in [(json!({"lastScaleTime": "now"}), false), (json!({"replicas": 2}), true)] {
            let mut later = object.clone();
            (later["metadata"]["resourceVersion"], later["status"]) = (json!("8"), json!({}));
            let before: EncodedObject = serde_json::from_value(later.clone()).expect("an object");
            later["status"] = status;
            let later: EncodedObject = serde_json::from_value(later).expect("an object");
            assert_eq!(later.content() != before.content(), is_news);
        }
    }
}
