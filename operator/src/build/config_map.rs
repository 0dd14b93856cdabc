//! ConfigMap `<name>-config`: one `pipeline.yaml` for every process, and `identity.yaml`.
//!
//! Takes: the resource. Gives: the ConfigMap. Does not: hold a secret.

use super::{
    Subject,
    child::{Child, Kind, child},
    document::document,
    mounts, names,
};
use pipeline::{Document, Identity, document::InvalidDocument, identity};
use serde_json::json;

/// The text of `pipeline.yaml`, checked as the processes will check it.
pub(super) fn text(subject: &Subject<'_>) -> Result<String, InvalidDocument> {
    let document = document(subject.name, subject.namespace, subject.spec, &mounts::paths(subject.spec));
    let text = document.to_yaml()?;
    Document::parse(&text)?;
    Ok(text)
}

pub(super) fn build(subject: &Subject<'_>, identity: &Identity) -> Result<Child, InvalidDocument> {
    let mut content = json!({"data": {"pipeline.yaml": text(subject)?}});
    if *identity != Identity::default() {
        content["data"][identity::FILE] = identity.to_yaml().into();
    }
    Ok(child(subject, Kind::ConfigMap, None, names::config_map(subject.name), content))
}
