//! Which field of the resource replaces pods?
//!
//! Takes: the pod template as it should be, and as it was desired before or is observed. Gives: the fields of the
//! resource that differ, in words, and the children with the defaults that pods keep until one does. Pure. Does not:
//! replace anything. Ignores what others added to the template (`kubectl rollout restart`).

use super::drift;
use crate::{
    build::{
        self, Inputs,
        child::{Child, Kind},
        names::{COMPONENT, Component},
        pod_defaults,
        restarts::{self, Restart, ShownAt},
    },
    crd::{SignupPipeline, forms::ours::VOLUMES},
};
use kube::{ResourceExt, api::DynamicObject};
use pipeline::document::InvalidDocument;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

/// The pod templates that were applied last.
pub(crate) type Templates = BTreeMap<Component, Desired>;

/// A pod template that was desired, as one number per field that replaces pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Desired([u64; restarts::ALL.len()]);

impl Desired {
    /// Of the `template` of a component's Deployment.
    pub(crate) fn new(component: Component, template: &Value) -> Self {
        Self(restarts::ALL.map(|restart| {
            let mut hasher = DefaultHasher::new();
            shown(component, template, restart.shown_at).to_string().hash(&mut hasher);
            hasher.finish()
        }))
    }
}

/// The Deployments with the components that they run.
pub(crate) fn deployments(desired: &[Child]) -> impl Iterator<Item = (Component, &Child)> {
    let component = |child: &Child| {
        let name = child.object.labels().get(COMPONENT)?;
        Component::ALL.into_iter().find(|component| component.name() == name)
    };
    let deployments = desired.iter().filter(|child| child.kind == Kind::Deployment);
    deployments.filter_map(move |child| Some((component(child)?, child)))
}

/// What is kept of them for the next reconcile.
pub(crate) fn templates(desired: &[Child]) -> Templates {
    let of = |(component, child): (Component, &Child)| (component, Desired::new(component, template(&child.object)));
    deployments(desired).map(of).collect()
}

/// The children, with the [`pod_defaults`] that pods have where nothing else replaces them: new defaults come with the
/// next restart, and are no cause of one.
///
/// # Errors
///
/// Those of [`build::children`].
pub(crate) fn with_kept_defaults(
    pipeline: &SignupPipeline,
    mut inputs: Inputs,
    observed: &[(Kind, Arc<DynamicObject>)],
    before: &Templates,
) -> Result<Vec<Child>, InvalidDocument> {
    let name = pipeline.name_any();
    let seen = |component: Component| {
        let name = component.child_name(&name);
        let mut all = observed.iter();
        all.find(|(kind, object)| *kind == Kind::Deployment && object.name_any() == name).map(|(_, object)| object)
    };
    let older = |component| Some((component, pod_defaults::kept(seen(component)?)?));
    inputs.pod_defaults = Component::ALL.into_iter().filter_map(older).collect();
    let children = build::children(pipeline, &inputs)?;
    let is_replaced = |(component, child): &(Component, &Child)| {
        let (wanted, before) = (template(&child.object), before.get(component));
        let seen = seen(*component).filter(|_| inputs.pod_defaults.contains_key(component));
        seen.is_some_and(|seen| !causes(*component, wanted, before, template(seen)).is_empty())
    };
    let replaced: Vec<Component> = deployments(&children).filter(is_replaced).map(|(component, _)| component).collect();
    if replaced.is_empty() {
        return Ok(children);
    }
    inputs.pod_defaults.retain(|component, _| !replaced.contains(component));
    build::children(pipeline, &inputs)
}

/// The pod template of a Deployment.
pub(crate) fn template(deployment: &DynamicObject) -> &Value {
    &deployment.data["spec"]["template"]
}

/// Fields of the resource whose change replaces the pods. Without a template that was desired before, as after a start
/// of the operator, the observed one is compared, and a removed setting is not named.
pub(crate) fn causes(
    component: Component,
    template: &Value,
    before: Option<&Desired>,
    observed: &Value,
) -> Vec<String> {
    let now = Desired::new(component, template);
    let differs = |(index, restart): &(usize, Restart)| {
        let wanted = shown(component, template, restart.shown_at);
        let seen = shown(component, observed, restart.shown_at);
        match (restart.shown_at, before) {
            (ShownAt::Annotation(_), _) => !seen.is_null() && seen != wanted,
            (_, Some(Desired(before))) => before[*index] != now.0[*index],
            (ShownAt::Rewritten(_), None) => false,
            (_, None) => !wanted.is_null() && !drift::holds(&wanted, &seen),
        }
    };
    let shown_there = restarts::ALL.into_iter().enumerate().filter(|(_, restart)| restart.is_of(component));
    let changed = shown_there.filter(differs);
    changed.map(|(_, restart)| restart.field.replace("{}", component.name())).collect()
}

fn shown(component: Component, template: &Value, at: ShownAt) -> Cow<'_, Value> {
    let pointer = match at {
        ShownAt::Annotation(key) => return Cow::Borrowed(&template["metadata"]["annotations"][key]),
        ShownAt::OwnVolumes => return Cow::Owned(volumes(component, template, true)),
        ShownAt::MoreVolumes => return Cow::Owned(volumes(component, template, false)),
        ShownAt::Pointer(pointer) | ShownAt::Rewritten(pointer) => pointer,
    };
    let found = match pointer.strip_prefix("/container") {
        Some(rest) => container(component, template).and_then(|own| own.pointer(rest)),
        None => template.pointer(pointer),
    };
    Cow::Borrowed(found.unwrap_or(&Value::Null))
}

/// A container is found by its name, because a webhook may put others before it.
fn container(component: Component, template: &Value) -> Option<&Value> {
    let containers = template["spec"]["containers"].as_array();
    containers.and_then(|all| all.iter().find(|container| container["name"] == component.name()))
}

/// Volumes and mounts of the operator's, or the others. The mode of files is not the volume's giver's doing but that of
/// `podSecurity`.
fn volumes(component: Component, template: &Value, own: bool) -> Value {
    let of = |list: Option<&Value>| {
        let all = list.and_then(Value::as_array).into_iter().flatten();
        let is_own = |object: &&Value| VOLUMES.iter().any(|name| object["name"] == *name) == own;
        all.filter(is_own).cloned().collect::<Vec<Value>>()
    };
    let (mut volumes, mounts) = (
        of(template.pointer("/spec/volumes")),
        of(container(component, template).and_then(|own| own.get("volumeMounts"))),
    );
    for secret in volumes.iter_mut().filter(|_| own).filter_map(|volume| volume.get_mut("secret")?.as_object_mut()) {
        secret.remove("defaultMode");
    }
    if volumes.is_empty() && mounts.is_empty() {
        return Value::Null;
    }
    json!({"volumes": volumes, "volumeMounts": mounts})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(image: &str, cpu: &str, database: &str) -> Value {
        json!({
            "metadata": {"labels": {"app": "x"}, "annotations": {"signup.dev/restart-on-database": database}},
            "spec": {"containers": [{"name": "api", "image": image, "resources": {"requests": {"cpu": cpu}}}]},
        })
    }

    #[test]
    fn each_changed_field_is_named_once() {
        let (old, new) = (template("a", "1", "1"), template("b", "2", "2"));
        let before = Desired::new(Component::Api, &old);
        let named = causes(Component::Api, &new, Some(&before), &old);
        assert_eq!(named, ["spec.database or the content of its Secrets", "spec.image", "spec.api.resources"]);
        assert!(causes(Component::Api, &old, Some(&before), &old).is_empty());
    }

    #[test]
    fn after_a_start_of_the_operator_only_what_is_certain_is_named() {
        let (wanted, mut observed) = (template("a", "1000m", "1"), template("a", "1", "1"));
        observed["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
        observed["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        observed["spec"]["terminationGracePeriodSeconds"] = json!(30);
        assert!(causes(Component::Api, &wanted, None, &observed).is_empty());
        assert_eq!(causes(Component::Api, &template("b", "1", "1"), None, &observed), ["spec.image"]);
    }

    #[test]
    fn a_setting_that_is_taken_back_is_named() {
        let mut old = template("a", "1", "1");
        old["spec"]["nodeSelector"] = json!({"disk": "ssd"});
        let before = Desired::new(Component::Worker, &old);
        let new = template("a", "1", "1");
        assert_eq!(causes(Component::Worker, &new, Some(&before), &old), ["spec.worker.pod.nodeSelector"]);
    }
}
