//! Which part of the resource replaces pods?
//!
//! Takes: the pod template as it shall be, and as it was desired before or is observed. Gives: the parts of the resource that
//! differ, in words. Pure. Does not: replace anything, nor mind what others added to the template (`kubectl rollout restart`).

use crate::{
    build::{
        checksum::FIELDS,
        child::{Child, Kind},
        names::{COMPONENT, Part},
    },
    controller::drift,
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Pointer inside the pod template -> part of the resource, where `{}` stands for `api` or `worker`. A container is looked for by
/// its name, because a webhook may put others before it.
const PLACES: [(&str, &str); 11] = [
    ("/container/image", "spec.image"),
    ("/container/imagePullPolicy", "spec.imagePullPolicy"),
    ("/spec/imagePullSecrets", "spec.imagePullSecrets"),
    ("/container/resources", RESOURCES),
    ("/metadata/labels", "spec.{}.pod.labels"),
    ("/spec/nodeSelector", "spec.{}.pod.nodeSelector"),
    ("/spec/tolerations", "spec.{}.pod.tolerations"),
    ("/spec/affinity", "spec.{}.pod.affinity"),
    ("/spec/priorityClassName", "spec.{}.pod.priorityClassName"),
    ("/spec/terminationGracePeriodSeconds", "spec.worker.shutdownGracePeriod"),
    ("/spec/volumes", "the name of a Secret or ConfigMap in spec"),
];

/// The API server writes amounts in its own way (`1000m`, `1`): observed ones are not compared.
const RESOURCES: &str = "spec.{}.resources";

/// The pod templates that were applied last.
pub(super) type Templates = BTreeMap<Part, Desired>;

/// A pod template that was desired, as one number per place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Desired([u64; PLACES.len()]);

impl Desired {
    /// Of the `template` of a part's Deployment.
    pub(super) fn new(part: Part, template: &Value) -> Self {
        Self(PLACES.map(|(place, _)| {
            let mut hasher = DefaultHasher::new();
            at(part, template, place).to_string().hash(&mut hasher);
            hasher.finish()
        }))
    }
}

/// The Deployments with the parts that they run.
pub(super) fn deployments(desired: &[Child]) -> impl Iterator<Item = (Part, &Child)> {
    let part = |child: &Child| {
        let name = child.object.labels().get(COMPONENT)?;
        Part::ALL.into_iter().find(|part| part.name() == name)
    };
    let deployments = desired.iter().filter(|child| child.kind == Kind::Deployment);
    deployments.filter_map(move |child| Some((part(child)?, child)))
}

/// What to remember of them.
pub(super) fn templates(desired: &[Child]) -> Templates {
    let of = |(part, child): (Part, &Child)| (part, Desired::new(part, template(&child.object)));
    deployments(desired).map(of).collect()
}

/// The pod template of a Deployment.
pub(super) fn template(deployment: &DynamicObject) -> &Value {
    &deployment.data["spec"]["template"]
}

/// Parts of the resource whose change replaces the pods. Without an earlier wish, as after a start of the operator, what is
/// observed is compared, and a setting that was taken back is not told.
pub(super) fn causes(part: Part, template: &Value, before: Option<&Desired>, observed: &Value) -> Vec<String> {
    let annotation = |template: &Value, key: &str| template["metadata"]["annotations"][key].clone();
    let checksums = FIELDS.into_iter().filter(|(key, _)| {
        let old = annotation(observed, key);
        !old.is_null() && old != annotation(template, key)
    });
    let now = Desired::new(part, template);
    let places = PLACES.into_iter().enumerate().filter(|(index, (place, field))| match before {
        Some(Desired(before)) => before[*index] != now.0[*index],
        None => {
            let (wanted, seen) = (at(part, template, place), at(part, observed, place));
            *field != RESOURCES && !wanted.is_null() && !drift::holds(wanted, seen)
        }
    });
    let fields = checksums.map(|(_, field)| field).chain(places.map(|(_, (_, field))| field));
    fields.map(|field| field.replace("{}", part.name())).collect()
}

fn at<'a>(part: Part, template: &'a Value, place: &str) -> &'a Value {
    let found = match place.strip_prefix("/container") {
        Some(rest) => {
            let containers = template["spec"]["containers"].as_array();
            let own = containers.and_then(|all| all.iter().find(|container| container["name"] == part.name()));
            own.and_then(|container| container.pointer(rest))
        }
        None => template.pointer(place),
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
    fn each_changed_part_is_named_once() {
        let (old, new) = (template("a", "1", "1"), template("b", "2", "2"));
        let before = Desired::new(Part::Api, &old);
        let named = causes(Part::Api, &new, Some(&before), &old);
        assert_eq!(named, ["spec.database or the content of its Secrets", "spec.image", "spec.api.resources"]);
        assert!(causes(Part::Api, &old, Some(&before), &old).is_empty());
    }

    #[test]
    fn after_a_start_of_the_operator_only_what_is_certain_is_named() {
        let (wanted, mut observed) = (template("a", "1000m", "1"), template("a", "1", "1"));
        observed["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
        observed["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        observed["spec"]["terminationGracePeriodSeconds"] = json!(30);
        assert!(causes(Part::Api, &wanted, None, &observed).is_empty());
        assert_eq!(causes(Part::Api, &template("b", "1", "1"), None, &observed), ["spec.image"]);
    }

    #[test]
    fn a_setting_that_is_taken_back_is_named() {
        let mut old = template("a", "1", "1");
        old["spec"]["nodeSelector"] = json!({"disk": "ssd"});
        let before = Desired::new(Part::Worker, &old);
        let new = template("a", "1", "1");
        assert_eq!(causes(Part::Worker, &new, Some(&before), &old), ["spec.worker.pod.nodeSelector"]);
    }
}
