//! An edit reaches running pods: they are synced, and the status counts those that have it.

use super::{
    api_server::until,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Event, Pod},
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use operator::crd::{SignupPipeline, status::ConfigStatus};
use serde_json::json;

const SYNC: &str = "signup.dev/sync";

fn config(pipeline: &SignupPipeline) -> Option<ConfigStatus> {
    pipeline.status.as_ref()?.config.clone()
}

#[tokio::test]
async fn an_edit_nudges_every_pod_once_and_counts_those_that_have_it() {
    let run = Run::with_pipeline(MINIMAL).await;
    let hash = run.wait("demo", |pipeline| config(pipeline).is_some()).await;
    let hash = config(&hash).expect("it is there").hash;
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    api.runs(&hash);
    worker.runs(&hash);
    let pods = [run.pod("demo-api", &api).await, run.pod("demo-worker", &worker).await];
    run.condition("ConfigApplied", "True", "AsDesired").await;
    let generation = run.wait::<Deployment>("demo-api", |_| true).await.metadata.generation;

    run.edit(json!({"task": {"delay": "1s"}})).await;
    for pod in &pods {
        run.wait::<Pod>(pod, |pod| pod.annotations().contains_key(SYNC)).await;
    }
    run.condition("ConfigApplied", "False", "Spreading").await;
    let newest = config(&run.wait("demo", |pipeline| config(pipeline).is_some_and(|config| config.hash != hash)).await);
    let newest = newest.expect("it is there").hash;
    api.runs(&newest);
    let half = ConfigStatus { hash: newest.clone(), applied_pods: 1, total_pods: 2, applied_at: None };
    run.wait("demo", |pipeline| config(pipeline).as_ref() == Some(&half)).await;
    worker.runs(&newest);
    let applied = run.condition("ConfigApplied", "True", "AsDesired").await;
    let told = config(&run.wait("demo", |_| true).await).expect("it is there");
    assert_eq!(told.applied_at, Some(applied.last_transition_time));
    assert_eq!(
        run.wait::<Deployment>("demo-api", |_| true).await.metadata.generation,
        generation,
        "no pod was replaced"
    );
}

#[tokio::test]
async fn a_rotated_secret_nudges_the_pods_too() {
    let smtp = MINIMAL
        .replace("smtp: {host: smtp.example.com}", "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}");
    let mut run = Run::new().await;
    run.secret("app-smtp", &[("username", "u"), ("password", "one")]).await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.secret("app-redis", &[("uri", "redis://127.0.0.1:1/0")]).await;
    run.pipeline(&smtp).await;
    run.start();
    let hash = config(&run.wait("demo", |pipeline| config(pipeline).is_some()).await).expect("it is there").hash;
    let worker = FakePod::new().await;
    worker.runs(&hash);
    let pod = run.pod("demo-worker", &worker).await;
    run.condition("ConfigApplied", "True", "AsDesired").await;
    run.secret("app-smtp", &[("username", "u"), ("password", "two")]).await;
    run.wait::<Pod>(&pod, |pod| pod.annotations().contains_key(SYNC)).await;
}

#[tokio::test]
async fn an_edit_of_the_mails_texts_nudges_the_pods_too() {
    let text =
        MINIMAL.replace("from: no-reply@example.com,", "from: no-reply@example.com, templatesRef: {name: texts},");
    let mut run = Run::new().await;
    run.secrets().await;
    let write = async |run: &Run, subject: &str| {
        let data = json!({"subject.txt": subject, "body.txt": "{{link}}", "body.html": "{{link}}"});
        let texts = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "texts"}, "data": data});
        let params = PatchParams::apply("test").force();
        run.api::<ConfigMap>().patch("texts", &params, &Patch::Apply(texts)).await.expect("the ConfigMap is valid");
    };
    write(&run, "one").await;
    run.pipeline(&text).await;
    run.start();
    let hash = config(&run.wait("demo", |pipeline| config(pipeline).is_some()).await).expect("it is there").hash;
    let worker = FakePod::new().await;
    worker.runs(&hash);
    let pod = run.pod("demo-worker", &worker).await;
    run.condition("ConfigApplied", "True", "AsDesired").await;
    write(&run, "two").await;
    run.wait::<Pod>(&pod, |pod| pod.annotations().contains_key(SYNC)).await;
}

#[tokio::test]
async fn an_event_names_the_fields_that_replace_pods() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.edit(json!({"image": "signup:other", "api": {"pod": {"labels": {"team": "signup"}}}})).await;
    for words in [
        "demo-api are replaced, because spec.image and spec.api.pod.labels changed",
        "demo-worker are replaced, because spec.image changed",
    ] {
        until(words, async || {
            let events = run.api::<Event>().list(&Default::default()).await.ok()?.items;
            let told = |event: &Event| event.message.as_deref().is_some_and(|message| message.ends_with(words));
            events.iter().any(told).then_some(())
        })
        .await;
    }
}
