//! Whose a field of a child is: ours are set back once, with the writer's name, and what others add is kept.

use super::{
    api_server::{audit, until},
    operator_run::{MINIMAL, Run},
    scaling::{redis, replicas, with_redis},
};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v1::Scale, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use operator::build::child::Kind;
use serde_json::{Value, json};

fn by(writer: &str) -> PatchParams {
    PatchParams { field_manager: Some(writer.to_owned()), ..PatchParams::default() }
}

fn objects(run: &Run, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(run.client.clone(), &run.namespace, &kind.resource())
}

async fn write(run: &Run, kind: Kind, name: &str, writer: &str, patch: &Value) -> DynamicObject {
    objects(run, kind).patch(name, &by(writer), &Patch::Merge(patch)).await.expect("it is accepted")
}

/// Notes of events about undone writes.
async fn told(run: &Run) -> Vec<String> {
    let events = run.api::<Event>().list(&Default::default()).await.expect("it answers").items;
    let undone = events.into_iter().filter(|event| event.reason.as_deref() == Some("ForeignChangeUndone"));
    undone.filter_map(|event| event.note).collect()
}

/// A child, a field of it that is ours with a foreign value, and what others may add.
fn cases() -> Vec<(Kind, &'static str, &'static str, Value, Value)> {
    let added = json!({"metadata": {"annotations": {"team": "a"}, "labels": {"team": "a"}}});
    let mut with_finalizer = added.clone();
    with_finalizer["metadata"]["finalizers"] = json!(["example.com/keep"]);
    let mut restarted = added.clone();
    restarted["spec"]["template"]["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "now"});
    let mut pulls = added.clone();
    pulls["imagePullSecrets"] = json!([{"name": "registry"}]);
    vec![
        (Kind::ConfigMap, "demo-config", "/data/pipeline.yaml", json!("x"), added.clone()),
        (Kind::ServiceAccount, "demo-api", "/automountServiceAccountToken", json!(true), pulls),
        (Kind::NetworkPolicy, "demo-worker", "/spec/ingress", json!([{}]), added.clone()),
        (Kind::Service, "demo-api", "/spec/type", json!("NodePort"), added.clone()),
        (Kind::Deployment, "demo-worker", "/spec/revisionHistoryLimit", json!(1), restarted),
        (Kind::HorizontalPodAutoscaler, "demo-api", "/spec/maxReplicas", json!(99), added.clone()),
        (Kind::PodDisruptionBudget, "demo-api", "/spec/maxUnavailable", json!("50%"), added),
        (Kind::Ingress, "demo", "/spec/ingressClassName", json!("other"), with_finalizer),
    ]
}

/// The merge patch that sets one field.
fn patch(pointer: &str, value: &Value) -> Value {
    let names: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    names.into_iter().rev().fold(value.clone(), |inner, name| json!({name: inner}))
}

#[tokio::test]
async fn of_every_kind_a_field_of_ours_is_set_back_with_the_writers_name_and_what_others_add_is_kept() {
    let own = "spec:\n  api: {autoscaling: {mode: Auto}}\n  expose: {host: a.example.com, ingress: {className: own}}\n";
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", own)).await;
    run.wait::<k8s_openapi::api::networking::v1::Ingress>("demo", |_| true).await;
    let mut expected = Vec::new();
    for (kind, name, pointer, value, added) in cases() {
        let writer = format!("writer-of-{}", kind.resource().plural);
        let before = objects(&run, kind).get(name).await.expect("it is there").data.pointer(pointer).cloned();
        write(&run, kind, name, "adder", &added).await;
        write(&run, kind, name, &writer, &patch(pointer, &value)).await;
        expected.push((kind, name, pointer, before, added, writer));
    }
    for (kind, name, pointer, before, added, writer) in expected {
        let is_back = async || {
            let found = objects(&run, kind).get(name).await.ok()?;
            (found.data.pointer(pointer) == before.as_ref()).then_some(found)
        };
        let found = until(&format!("{name} is as it was, and of nobody else"), is_back).await;
        assert_eq!(found.labels()["team"], "a", "{kind:?}");
        assert_eq!(found.annotations()["team"], "a", "{kind:?}");
        let kept = serde_json::to_value(&found).expect("JSON");
        for place in ["/metadata/finalizers", "/spec/template/metadata/annotations", "/imagePullSecrets"] {
            let Some(added) = added.pointer(place) else { continue };
            let kept = kept.pointer(place).expect("it is kept");
            match added.as_object() {
                Some(added) => added.iter().for_each(|(name, value)| assert_eq!(&kept[name], value)),
                None => assert_eq!(kept, added),
            }
        }
        let path = pointer.trim_start_matches('/').replace('/', ".");
        let words = format!("{writer} (a field manager) had set {path} of {} {name}; set back", kind.resource().kind);
        until(&words, async || told(&run).await.contains(&words).then_some(())).await;
    }
}

fn grace(deployment: &Deployment) -> Option<i64> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.termination_grace_period_seconds
}

#[tokio::test]
async fn who_writes_a_second_time_within_a_minute_is_left_alone_and_the_rest_of_the_child_is_kept() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let foreign = patch("/spec/template/spec/terminationGracePeriodSeconds", &json!(7));
    write(&run, Kind::Deployment, "demo-api", "tuner", &foreign).await;
    run.wait::<Deployment>("demo-api", |api| grace(api) == Some(50)).await;
    write(&run, Kind::Deployment, "demo-api", "tuner", &foreign).await;
    let degraded = run.condition("Degraded", "True", "ForeignWriter").await;
    let words = "tuner (a field manager) sets spec.template.spec.terminationGracePeriodSeconds of Deployment demo-api \
        again and again";
    assert!(degraded.message.starts_with(words), "{}", degraded.message);
    let writes = || {
        let all = audit(&run.namespace).into_iter();
        all.filter(|(verb, kind, name)| verb == "patch" && kind == "deployments" && name == "demo-api").count()
    };
    let before = writes();
    write(&run, Kind::Deployment, "demo-api", "tuner", &json!({"metadata": {"labels": {"seen": "a"}}})).await;
    run.edit(json!({"api": {"pod": {"labels": {"team": "a"}}}})).await;
    let team = |api: &Deployment| api.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?.get("team").cloned();
    let edited = run.wait::<Deployment>("demo-api", |api| team(api).is_some()).await;
    assert_eq!(grace(&edited), Some(7), "an edit of something else leaves it alone, too");
    assert_eq!(writes(), before + 2, "that of the tuner, and that of the edit");
    // Another writer's change is another matter.
    let other = patch("/spec/revisionHistoryLimit", &json!(1));
    write(&run, Kind::Deployment, "demo-api", "somebody-else", &other).await;
    let limit = |api: &Deployment| api.spec.as_ref()?.revision_history_limit;
    let after = run.wait::<Deployment>("demo-api", |api| limit(api) == Some(3)).await;
    assert_eq!(grace(&after), Some(7));
    let set_back = patch("/spec/template/spec/terminationGracePeriodSeconds", &json!(50));
    write(&run, Kind::Deployment, "demo-api", "tuner", &set_back).await;
    run.condition("Degraded", "False", "AsDesired").await;
}

#[tokio::test]
async fn a_number_of_workers_that_somebody_sets_again_and_again_is_left_alone_and_told() {
    let run = with_redis(&redis().await, "{minReplicas: 2, maxReplicas: 5, cooldownPeriod: 0s}").await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    run.wait::<Deployment>("demo-worker", |worker| replicas(worker) == Some(2)).await;
    for _ in 0..2 {
        run.wait::<Deployment>("demo-worker", |worker| replicas(worker) == Some(2)).await;
        let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
        let _: Scale =
            run.api::<Deployment>().patch_scale("demo-worker", &by("own-scaler"), &patch).await.expect("accepted");
    }
    let condition = run.condition("AbleToScale", "False", "ForeignWriter").await;
    let words = "own-scaler (a field manager) sets the replicas of Deployment demo-worker again and again";
    assert!(condition.message.starts_with(words), "{}", condition.message);
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(4));
}
