//! Which field of the resource replaces pods?
//!
//! Takes: the pod template as it should be, and as it was desired before or is observed. Gives: the fields of the
//! resource that differ, in words. Pure. Does not: replace anything. Ignores what others added to the template
//! (`kubectl rollout restart`).

use super::drift;
use crate::build::{
    child::{Child, Kind},
    names::{COMPONENT, Component},
    restarts::{self, Restart, ShownAt},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
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
            (ShownAt::Pointer(_), None) => !wanted.is_null() && !drift::holds(wanted, seen),
            (ShownAt::Rewritten(_), None) => false,
        }
    };
    let changed = restarts::ALL.into_iter().enumerate().filter(differs);
    changed.map(|(_, restart)| restart.field.replace("{}", component.name())).collect()
}

/// A container is found by its name, because a webhook may put others before it.
fn shown(component: Component, template: &Value, at: ShownAt) -> &Value {
    let pointer = match at {
        ShownAt::Annotation(key) => return &template["metadata"]["annotations"][key],
        ShownAt::Pointer(pointer) | ShownAt::Rewritten(pointer) => pointer,
    };
    let found = match pointer.strip_prefix("/container") {
        Some(rest) => {
            let containers = template["spec"]["containers"].as_array();
            let own = containers.and_then(|all| all.iter().find(|container| container["name"] == component.name()));
            own.and_then(|container| container.pointer(rest))
        }
        None => template.pointer(pointer),
    };
    found.unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
