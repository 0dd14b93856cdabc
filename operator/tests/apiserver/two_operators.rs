//! Two operators see the same pipeline: one works, the other writes nothing of it and takes over when the first has
//! gone.

use super::{
    api_server::{OPERATOR_TOKEN, config, entries, until},
    operator_run::{MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    events::v1::Event,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Client,
    api::{Patch, PatchParams, PostParams},
};
use operator::{
    controller::{self, Scope, operators::TAKE_OVER_AFTER},
    crd::SignupPipeline,
    leader::{Leader, Timing},
};
use serde_json::json;
use std::{num::NonZeroU16, time::Duration};
use tokio_util::task::AbortOnDropHandle;

/// The account of the second operator, as the API server knows it.
const SECOND: &str = "system:serviceaccount:signup-system:signup-operator";

/// An operator for the pipelines of `run`, with its Lease in the namespace of `home`. Dropped, it is gone as by a kill.
async fn operator(run: &Run, home: &Run, client: Client, after: Duration) -> [AbortOnDropHandle<()>; 2] {
    let identity = format!("{}_1", home.namespace);
    let mut leader = Leader::new(home.client.clone(), &home.namespace, "signup-operator", &identity, Timing::default());
    leader.acquire().await;
    let scope = Scope {
        namespace: Some(run.namespace.clone()),
        image: "signup:test".into(),
        identity,
        concurrency: NonZeroU16::MIN,
        secrets: run.access,
        gauges: None,
        operator: format!("{}/signup-operator", home.namespace),
        take_over_after: after,
    };
    let work = controller::run(client, scope, std::future::pending());
    let leads = tokio::spawn(async move { leader.hold().await });
    [leads, tokio::spawn(async { work.await.expect("it runs") })].map(AbortOnDropHandle::new)
}

/// Lets the second operator's account do that in the namespace of `run`.
async fn grant(run: &Run, name: &str, rule: serde_json::Value) {
    let role = json!({"metadata": {"name": name}, "rules": [rule]});
    let role: Role = serde_json::from_value(role).expect("a Role");
    run.api().create(&PostParams::default(), &role).await.expect("it is new");
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"metadata": {"name": name}, "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": SECOND}]});
    let binding: RoleBinding = serde_json::from_value(binding).expect("a RoleBinding");
    run.api().create(&PostParams::default(), &binding).await.expect("it is new");
}

/// A client with the second operator's account, which may do all in the namespace of `run`, and nothing else.
async fn second(run: &Run) -> Client {
    grant(run, "all", json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})).await;
    let mut config = config().await;
    config.auth_info.token = Some(secrecy::SecretString::from(OPERATOR_TOKEN));
    Client::try_from(config).expect("a client")
}

/// Waits for the one event in which the operator of `home` says that the pipeline is another's.
async fn told(run: &Run, home: &Run) -> String {
    let instance = format!("{}_1", home.namespace);
    until("it says so", async || {
        let events = run.api::<Event>().list(&Default::default()).await.ok()?.items.into_iter();
        let mut ours = events.filter(|event| {
            event.reason.as_deref() == Some("OperatedByAnother") && event.reporting_instance.as_ref() == Some(&instance)
        });
        let (first, next) = (ours.next()?, ours.next());
        assert!(next.is_none(), "{next:?}");
        first.note
    })
    .await
}

async fn looked_after_by(run: &Run, home: &Run) {
    let operator = format!("{}/signup-operator", home.namespace);
    let is = |pipeline: &SignupPipeline| {
        pipeline.status.as_ref().is_some_and(|all| all.operator.as_ref() == Some(&operator))
    };
    run.wait::<SignupPipeline>("demo", is).await;
}

/// What the second operator's account wrote, as `verb resource`; not the events in which it says why it does not.
fn written(run: &Run) -> Vec<String> {
    let all = entries(&run.namespace).into_iter().filter(|entry| entry["user"]["username"] == SECOND);
    let all = all.map(|entry| (entry["verb"].clone(), entry["objectRef"]["resource"].clone()));
    let text = |(verb, resource): (serde_json::Value, serde_json::Value)| format!("{verb} {resource}").replace('"', "");
    let is_read = |line: &String| ["get ", "list ", "watch "].iter().any(|verb| line.starts_with(verb));
    all.map(text).filter(|line| !is_read(line) && line != "create events").collect()
}

async fn api_pods(run: &Run, wanted: i32) {
    run.edit(json!({"api": {"replicas": wanted}})).await;
    let has = |api: &Deployment| api.spec.as_ref().and_then(|spec| spec.replicas) == Some(wanted);
    run.wait::<Deployment>("demo-api", has).await;
}

#[tokio::test]
async fn the_second_writes_nothing_and_says_so_and_takes_over_when_the_first_has_gone() {
    let (run, home, away) = (Run::new().await, Run::new().await, Run::new().await);
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    let first = operator(&run, &home, run.client.clone(), TAKE_OVER_AFTER).await;
    looked_after_by(&run, &home).await;
    let account = second(&run).await;
    let names = json!(["signup-operator"]);
    let mut right = json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]});
    right["resourceNames"] = names;
    grant(&home, "lease", right).await;
    let beside = operator(&run, &away, account.clone(), TAKE_OVER_AFTER).await;
    let note = told(&run, &away).await;
    let words = format!("operator {}/signup-operator looks after this pipeline, so operator", home.namespace);
    assert!(note.starts_with(&words) && note.contains("Fix: none where one operator shall take over"), "{note}");
    api_pods(&run, 3).await;
    assert_eq!(written(&run), Vec::<String>::new());

    drop((first, beside));
    let next = operator(&run, &away, account, Duration::from_secs(1)).await;
    looked_after_by(&run, &away).await;
    api_pods(&run, 4).await;
    assert!(written(&run).contains(&"patch deployments".to_owned()), "{:?}", written(&run));

    // Back again, it is the second now.
    let before = run.wait::<SignupPipeline>("demo", |_| true).await.status.expect("it has one").operator;
    let _back = operator(&run, &home, run.client.clone(), TAKE_OVER_AFTER).await;
    told(&run, &home).await;
    api_pods(&run, 5).await;
    assert_eq!(run.wait::<SignupPipeline>("demo", |_| true).await.status.expect("it has one").operator, before);
    drop(next);
}

#[tokio::test]
async fn a_lease_that_may_not_be_read_is_not_over_and_the_missing_right_is_told() {
    let (run, gone, away) = (Run::new().await, Run::new().await, Run::new().await);
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    let theirs = Patch::Merge(json!({"status": {"operator": format!("{}/other", gone.namespace)}}));
    run.api::<SignupPipeline>().patch_status("demo", &PatchParams::default(), &theirs).await.expect("it is there");
    let account = second(&run).await;
    let _operator = operator(&run, &away, account, Duration::from_secs(1)).await;
    let note = told(&run, &away).await;
    let words = format!("get on leases.coordination.k8s.io other in namespace {}", gone.namespace);
    assert!(note.contains(&words), "{note}");
    assert_eq!(written(&run), Vec::<String>::new());
    let right = json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]});
    grant(&gone, "lease", right).await;
    looked_after_by(&run, &away).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
}
