//! What is wrong with one pipeline?
//!
//! Takes: a [`Snapshot`] of the cluster. Gives: lines, the cause before its effects. Pure: the time is a parameter.
//! Does not: read the cluster.

use super::{
    conditions, exposure,
    line::{Level, Line},
    pods, secrets,
    seen::Seen,
    snapshot::Snapshot,
};
use crate::{
    build::{child::Kind, names::Component},
    controller::reason::{self, Finding},
    crd::SignupPipeline,
};
use jiff::Timestamp;
use kube::{ResourceExt, api::DynamicObject};

/// There is no pipeline of that name, or none at all.
pub(super) fn none(namespace: Option<&str>, name: Option<&str>, found: &[SignupPipeline]) -> Line {
    let place = namespace.map_or("the cluster".to_owned(), |namespace| format!("namespace {namespace}"));
    let Some(name) = name else { return Line::ok("pipelines", format!("{place} has none")) };
    let others: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
    let has = if others.is_empty() { "has none".to_owned() } else { format!("has {}", others.join(", ")) };
    let subject = format!("{}/{name}", namespace.unwrap_or_default());
    Line::error(subject, format!("there is no such pipeline; {place} {has}"), "name another, or its namespace with -n")
}

/// Judges a pipeline.
pub(super) fn judge(snapshot: &Snapshot, now: Timestamp) -> Vec<Line> {
    let pipeline = &snapshot.pipeline;
    let mut lines = secrets::judge(pipeline, &snapshot.found, false);
    let shared = snapshot.shares_with.as_deref().map(Finding::redis_shared);
    lines.extend(shared.map(|finding| Line::of(Level::Error, "Redis", &finding)));
    match &snapshot.children {
        Ok(found) => lines.extend(children(pipeline, found)),
        Err(finding) => lines.push(Line::of(Level::Error, "configuration", finding)),
    }
    lines.extend(exposure::judge(snapshot, now));
    let namespace = pipeline.namespace().unwrap_or_default();
    match &snapshot.pods {
        Seen::There(found) => lines.extend(pods::pods(&namespace, found, &snapshot.events, now)),
        Seen::Absent | Seen::Forbidden => {
            let fix = format!("look with an account that may list pods in namespace {namespace}");
            lines.push(Line::warning("pods", "you may not list them", fix));
        }
    }
    let told = conditions::judge(pipeline, now);
    // The operator's conditions say some of it too; then they say it once.
    lines.retain(|line| line.level == Level::Ok || !told.iter().any(|other| other.message.ends_with(&line.message)));
    told.into_iter().chain(lines).collect()
}

fn children(pipeline: &SignupPipeline, found: &[(Kind, String, Seen<DynamicObject>)]) -> Vec<Line> {
    let uid = pipeline.uid().unwrap_or_default();
    let (mut missing, mut lines, mut owned) = (Vec::new(), Vec::new(), 0);
    let mut deployments = Vec::new();
    for (kind, name, seen) in found {
        let title = format!("{} {name}", kind.resource().kind);
        match seen {
            Seen::There(object) if object.owner_references().iter().any(|owner| owner.uid == uid) => {
                owned += 1;
                let component =
                    Component::ALL.into_iter().find(|component| component.child_name(&pipeline.name_any()) == *name);
                deployments.extend(
                    component
                        .filter(|_| *kind == Kind::Deployment)
                        .map(|component| pods::deployment(&pipeline.name_any(), component, object)),
                );
            }
            Seen::There(_) => {
                let finding =
                    Finding::with_default_fix(reason::NAME_TAKEN, format!("{title} exists and is not this pipeline's"));
                lines.push(Line::of(Level::Error, title, &finding));
            }
            Seen::Absent => missing.push(title),
            Seen::Forbidden => {
                let fix = format!("look with an account that may get {}", kind.resource().plural);
                lines.push(Line::warning(title, "you may not read it", fix));
            }
        }
    }
    lines.push(if missing.is_empty() {
        Line::ok("children", format!("{owned} of {} are there and owned by the pipeline", found.len()))
    } else {
        missing_children(pipeline, &missing)
    });
    lines.extend(deployments);
    lines
}

fn missing_children(pipeline: &SignupPipeline, missing: &[String]) -> Line {
    let fix = if pipeline.spec.paused {
        "remove spec.paused"
    } else {
        "remove what the other lines name; then the operator makes them, when it runs (`operator check`)"
    };
    Line::error("children", format!("missing: {}", missing.join(", ")), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{edge::Class, observe::pod_events::PodEvents, shared_host::Neighbours};
    use serde_json::json;

    fn judge(snapshot: &Snapshot) -> Vec<Line> {
        super::judge(snapshot, "2026-01-01T00:01:00Z".parse().expect("a time"))
    }

    fn snapshot(more: &str) -> Snapshot {
        let text = include_str!("../../../samples/minimal.yaml").replace("spec:\n", &format!("spec:\n  {more}\n"));
        let mut pipeline = crate::manifest::parse(&text).expect("valid").pipeline;
        pipeline.metadata.uid = Some("1".into());
        Snapshot {
            found: Vec::new(),
            children: Ok(Vec::new()),
            pods: Seen::There(Vec::new()),
            gateways: Vec::new(),
            classes: Seen::There(vec![Class { name: "contour".into(), is_default: false }]),
            shares_with: None,
            events: PodEvents::default(),
            neighbours: Neighbours::default(),
            pipeline,
        }
    }

    fn line(lines: &[Line], subject: &str) -> Line {
        lines.iter().find(|line| line.subject == subject).unwrap_or_else(|| panic!("{subject} in {lines:?}")).clone()
    }

    fn object(uid: &str) -> Seen<DynamicObject> {
        let owner = json!([{"apiVersion": "v", "kind": "k", "name": "demo", "uid": uid}]);
        let object =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo-api", "ownerReferences": owner}});
        Seen::There(serde_json::from_value(object).expect("an object"))
    }

    #[test]
    fn children_that_are_missing_or_somebody_elses_are_told() {
        let mut snapshot = snapshot("");
        let child = |kind, name: &str, seen| (kind, name.to_owned(), seen);
        snapshot.children = Ok(vec![
            child(Kind::Service, "demo-api", object("2")),
            child(Kind::ConfigMap, "demo-config", object("1")),
            child(Kind::Deployment, "demo-worker", Seen::Absent),
        ]);
        let lines = judge(&snapshot);
        assert_eq!(line(&lines, "children").message, "missing: Deployment demo-worker");
        assert_eq!(
            line(&lines, "Service demo-api").fix.as_deref(),
            Some("delete or rename it, or rename the pipeline")
        );
        snapshot.pipeline.spec.paused = true;
        assert_eq!(line(&judge(&snapshot), "children").fix.as_deref(), Some("remove spec.paused"));
    }

    #[test]
    fn a_shared_redis_database_is_told_once_though_the_status_says_it_too() {
        let mut snapshot = snapshot("");
        snapshot.shares_with = Some("shop/other".into());
        assert!(
            line(&judge(&snapshot), "Redis").message.starts_with("pipeline shop/other uses the same Redis database")
        );
        let condition = json!({"type": "Degraded", "status": "True", "reason": "RedisShared",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": Finding::redis_shared("shop/other").message});
        snapshot.pipeline.status = serde_json::from_value(json!({"conditions": [condition]})).expect("a status");
        let lines = judge(&snapshot);
        assert_eq!(lines.iter().filter(|line| line.message.contains("shop/other")).count(), 1, "{lines:?}");
    }
}
