//! Is the definition of SignupPipelines in the cluster the one that this program knows?
//!
//! Takes: the CustomResourceDefinition that the cluster has. Gives: a line. Pure. Does not: mind descriptions, which
//! change nothing.

use super::line::{Level, Line};
use crate::{
    controller::definition::{finding, lacks},
    crd::SignupPipeline,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

const SUBJECT: &str = "definition";
const INSTALL: &str = "upgrade the chart signup-operator to this version, or `operator crd | kubectl apply \
    --server-side --force-conflicts -f -`";

/// Judges the definition; `None`: there is none.
pub(super) fn judge(found: Option<&CustomResourceDefinition>) -> Line {
    let name = SignupPipeline::crd_name();
    let Some(found) = found else {
        let fix = "`helm install signup-operator charts/signup-operator --namespace signup-system --create-namespace`";
        return Line::error(SUBJECT, format!("CustomResourceDefinition {name} is not there"), fix);
    };
    let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_established =
        conditions.clone().any(|condition| condition.type_ == "Established" && condition.status == "True");
    if !is_established {
        let bad = conditions.clone().find(|condition| condition.status == "False");
        let why =
            bad.and_then(|condition| condition.message.as_deref()).unwrap_or("the API server has not taken it yet");
        let fix = "wait some seconds; else correct what the message names, or delete the definition that is in its way";
        return Line::error(SUBJECT, format!("{name} is not established: {why}"), fix);
    }
    compare(&schema(&SignupPipeline::crd()), &schema(found))
}

/// Judges what is served, for a caller that may not read the definition itself.
pub(super) fn judge_served(missing: &[String]) -> Line {
    match finding(missing) {
        Some(older) => Line::of(Level::Error, SUBJECT, &older),
        None => Line::ok(SUBJECT, "pipelines are served, with every field of this program"),
    }
}

/// The schema of our version, `null` when the definition has no such version.
fn schema(definition: &CustomResourceDefinition) -> Value {
    let version = SignupPipeline::crd().spec.versions.into_iter().next().map(|version| version.name);
    let mut versions = definition.spec.versions.iter();
    let found = versions.find(|known| version.as_ref() == Some(&known.name) && known.served);
    let schema = found.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.clone());
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    drop_descriptions(&mut schema);
    schema
}

fn compare(ours: &Value, theirs: &Value) -> Line {
    let name = SignupPipeline::crd_name();
    if theirs.is_null() {
        return Line::error(SUBJECT, format!("{name} does not serve v1alpha1"), INSTALL);
    }
    if let Some(older) = finding(&lacks(ours, theirs)) {
        return Line::of(Level::Error, SUBJECT, &older);
    }
    if let Some(first) = lacks(theirs, ours).first() {
        let message = format!("{name} is newer than this program: it has {first}");
        return Line::warning(SUBJECT, message, "use the program of the operator's image");
    }
    if ours != theirs {
        let message = format!("{name} has other defaults or rules than this program");
        return Line::warning(SUBJECT, message, INSTALL);
    }
    Line::ok(SUBJECT, format!("{name} is established, and the same as this program's"))
}

fn drop_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // A field may have the name; its schema is an object.
            fields.retain(|name, value| name != "description" || !value.is_string());
            fields.values_mut().for_each(drop_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_descriptions),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn established() -> Value {
        let mut definition = serde_json::to_value(SignupPipeline::crd()).expect("JSON");
        definition["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
        definition
    }

    fn judge_json(definition: Value) -> Line {
        judge(Some(&serde_json::from_value(definition).expect("a definition")))
    }

    fn spec(definition: &mut Value) -> &mut Value {
        definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").expect("it has a spec")
    }

    #[test]
    fn the_definition_of_this_build_is_as_it_should_be_whatever_its_descriptions_say() {
        let mut definition = established();
        spec(&mut definition)["description"] = "other words".into();
        assert_eq!(judge_json(definition).level, Level::Ok);
    }

    #[test]
    fn an_older_definition_is_told_with_the_fields_that_it_lacks() {
        let mut definition = established();
        spec(&mut definition)["properties"]["task"]["properties"].as_object_mut().expect("fields").remove("delay");
        let line = judge_json(definition);
        assert_eq!(line.level, Level::Error);
        assert!(line.message.contains("lacks spec.task.delay"), "{}", line.message);
        assert!(line.fix.expect("a fix").contains("helm upgrade"));
    }

    #[test]
    fn a_newer_definition_and_other_rules_are_warnings() {
        let (mut newer, mut other) = (established(), established());
        spec(&mut newer)["properties"]["color"] = json!({"type": "string"});
        spec(&mut other)["properties"]["api"]["properties"]["replicas"]["maximum"] = json!(7.0);
        let (newer, other) = (judge_json(newer), judge_json(other));
        assert_eq!((newer.level, other.level), (Level::Warning, Level::Warning));
        assert!(newer.message.contains("it has spec.color") && other.message.contains("other defaults or rules"));
    }

    #[test]
    fn a_definition_that_is_absent_or_not_taken_is_told() {
        assert!(judge(None).fix.expect("a fix").contains("helm install"));
        assert_eq!(judge_served(&[]).level, Level::Ok);
        assert!(judge_served(&["spec.color".into()]).message.contains("lacks spec.color"));
        let mut refused = established();
        refused["status"]["conditions"] = json!([
            {"type": "NamesAccepted", "status": "False", "message": "sup is taken"},
            {"type": "Established", "status": "False", "message": "x"}]);
        assert!(judge_json(refused).message.contains("sup is taken"));
    }
}
