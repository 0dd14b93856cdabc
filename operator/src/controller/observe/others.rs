//! What others have on the pipeline's Deployments and pods: autoscalers, budgets, network policies, monitors.
//!
//! Takes: the resource and what the watches keep. Gives: what of it concerns the pipeline, what of ours yields to it,
//! and words for it. Does not: change or delete anything of it; see monitors that stand in another namespace.

use super::view::View;
use crate::{
    build::{
        self,
        child::{Child, Kind},
        names::{COMPONENT, Component},
    },
    controller::reason::{self, Finding},
    crd::{SignupPipeline, api_autoscaling::ApiAutoscalingMode},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    ResourceExt,
    api::DynamicObject,
    core::{Selector, SelectorExt},
};
use std::collections::BTreeMap;

/// Kinds that select pods, and where their selector stands.
const SELECTING: [(Kind, &str); 3] = [
    (Kind::PodDisruptionBudget, "/spec/selector"),
    (Kind::NetworkPolicy, "/spec/podSelector"),
    (Kind::PodMonitor, "/spec/selector"),
];

/// What others have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Name of the autoscaler that has the api's Deployment.
    api_autoscaler: Option<String>,
    /// What selects pods of ours, with the component of the pods.
    kept: Vec<(Kind, String, Component)>,
}

impl Others {
    /// Looks at what is there.
    pub fn look(pipeline: &SignupPipeline, view: &View) -> Self {
        let of_kind = |kind| view.of_others(kind, pipeline).into_iter();
        let deployment = Component::Api.child_name(&pipeline.name_any());
        let mut autoscalers = of_kind(Kind::HorizontalPodAutoscaler).filter(|one| scales(one, &deployment));
        let selecting = |(kind, at): (Kind, &'static str)| {
            let selected = move |object: DynamicObject| {
                let components = Component::ALL.into_iter().filter(|of| selects(&object, at, pipeline, *of));
                components.map(|component| (object.name_any(), component)).collect::<Vec<_>>()
            };
            of_kind(kind).flat_map(selected).map(move |(name, component)| (kind, name, component))
        };
        let mut kept: Vec<_> = SELECTING.into_iter().flat_map(selecting).collect();
        // A ServiceMonitor selects pods by their Service, as that is labelled by whomsoever.
        let (namespace, uid) = (pipeline.namespace().unwrap_or_default(), pipeline.uid().unwrap_or_default());
        if let Some(service) = view.child(Kind::Service, &namespace, &deployment, &uid) {
            let monitors = of_kind(Kind::ServiceMonitor);
            let monitors = monitors.filter(|monitor| matches(monitor, "/spec/selector", service.labels()));
            kept.extend(monitors.map(|monitor| (Kind::ServiceMonitor, monitor.name_any(), Component::Api)));
        }
        kept.sort();
        Self { api_autoscaler: autoscalers.next().map(|one| one.name_any()), kept }
    }

    /// Whether the number of api pods is set by an autoscaler of somebody else.
    pub fn scale_api(&self) -> bool {
        self.api_autoscaler.is_some()
    }

    /// Takes out what would block theirs: a pod with two budgets cannot be evicted at all.
    pub fn restrict(&self, children: &mut Vec<Child>) {
        let is_covered = |child: &Child| {
            let component = child.object.labels().get(COMPONENT);
            let same = |of: &Component| component.is_some_and(|component| component == of.name());
            self.kept.iter().any(|(kind, _, of)| *kind == Kind::PodDisruptionBudget && same(of))
        };
        children.retain(|child| child.kind != Kind::PodDisruptionBudget || !is_covered(child));
    }

    /// The resource does not say that somebody else sets the number of api pods, and somebody does.
    pub fn finding(&self, pipeline: &SignupPipeline) -> Option<Finding> {
        let name = self.api_autoscaler.as_ref()?;
        let deployment = Component::Api.child_name(&pipeline.name_any());
        let problem = format!(
            "HorizontalPodAutoscaler {name} sets the replicas of Deployment {deployment}, so the operator leaves them \
                alone"
        );
        let is_told = pipeline.spec.api.autoscaling.mode != ApiAutoscalingMode::External;
        is_told.then(|| Finding::with_default_fix(reason::FOREIGN_AUTOSCALER, problem))
    }

    /// What has to be known of it, to stand after a message; empty when there is nothing.
    pub fn note(&self) -> String {
        let note = |(kind, name, component): &(Kind, String, Component)| {
            let ours = match kind {
                Kind::PodDisruptionBudget => ", so the operator makes none for them",
                _ => "",
            };
            let kind = kind.resource().kind;
            format!("; {kind} {name} of somebody else is for the {} pods, too{ours}", component.name())
        };
        self.kept.iter().map(note).collect()
    }
}

/// Whether that autoscaler sets the replicas of that Deployment.
pub(in crate::controller) fn scales(autoscaler: &DynamicObject, deployment: &str) -> bool {
    let target = autoscaler.data.pointer("/spec/scaleTargetRef");
    target.is_some_and(|target| target["kind"] == "Deployment" && target["name"] == deployment)
}

/// An absent selector selects nothing, an empty one everything (`policy/v1`, `networking.k8s.io/v1`).
fn selects(object: &DynamicObject, at: &str, pipeline: &SignupPipeline, component: Component) -> bool {
    matches(object, at, &build::pod_labels(pipeline, component))
}

fn matches(object: &DynamicObject, at: &str, labels: &BTreeMap<String, String>) -> bool {
    let selector = object.data.pointer(at).cloned().and_then(|selector| serde_json::from_value(selector).ok());
    let selector = selector.and_then(|selector: LabelSelector| Selector::try_from(selector).ok());
    selector.is_some_and(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pipeline() -> SignupPipeline {
        crate::manifest::parse(include_str!("../../../../samples/minimal.yaml")).expect("it is valid").pipeline
    }

    fn selected(selector: serde_json::Value) -> Vec<&'static str> {
        let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "other"},
            "spec": {"selector": selector}});
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        let of = |component: &Component| selects(&object, "/spec/selector", &pipeline(), *component);
        Component::ALL.into_iter().filter(of).map(Component::name).collect()
    }

    #[test]
    fn pods_are_selected_by_labels_and_expressions_as_the_api_server_does() {
        assert_eq!(selected(json!({})), ["api", "worker"]);
        assert_eq!(selected(json!(null)), Vec::<&str>::new());
        assert_eq!(selected(json!({"matchLabels": {"app.kubernetes.io/component": "api"}})), ["api"]);
        assert_eq!(selected(json!({"matchLabels": {"app.kubernetes.io/instance": "other"}})), Vec::<&str>::new());
        let not_api = json!([{"key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["api"]}]);
        assert_eq!(selected(json!({"matchExpressions": not_api})), ["worker"]);
    }

    #[test]
    fn a_budget_of_ours_yields_for_the_pods_of_the_other_alone_and_the_words_say_so() {
        let text = include_str!("../../../../samples/production.yaml");
        let pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        let mut children = build::children(&pipeline, &build::Inputs::default()).expect("it is valid");
        let kept = vec![
            (Kind::PodDisruptionBudget, "team".to_owned(), Component::Api),
            (Kind::NetworkPolicy, "deny".to_owned(), Component::Worker),
        ];
        let others = Others { api_autoscaler: None, kept };
        let budgets = |children: &[Child]| {
            let budgets = children.iter().filter(|child| child.kind == Kind::PodDisruptionBudget);
            budgets.map(|child| child.name().to_owned()).collect::<Vec<_>>()
        };
        let before = budgets(&children);
        others.restrict(&mut children);
        let left: Vec<String> = before.iter().filter(|name| !name.ends_with("-api")).cloned().collect();
        assert!(left.len() < before.len(), "{before:?}");
        assert_eq!(budgets(&children), left);
        assert_eq!(
            others.note(),
            "; PodDisruptionBudget team of somebody else is for the api pods, too, so the operator makes none for \
                them; NetworkPolicy deny of somebody else is for the worker pods, too"
        );
    }
}
