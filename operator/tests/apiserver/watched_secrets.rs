//! What is watched is read when it changes.

use super::{
    api_server::audit,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use operator::{controller::observe::named::SecretAccess, crd::SignupPipeline, manifest};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_secret_that_is_watched_is_read_at_once_when_it_is_changed_made_or_deleted() {
    let mut run = Run::new().await;
    run.access = SecretAccess::Watch;
    run.secrets_with_redis().await;
    let smtp = MINIMAL
        .replace("smtp: {host: smtp.example.com}", "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}");
    assert!(manifest::parse(&smtp).is_ok_and(|parsed| parsed.pipeline.spec.mail.smtp.auth_secret_ref.is_some()));
    run.pipeline(&smtp).await;
    run.start();
    run.condition("Ready", "False", "SecretMissing").await;
    let began = Instant::now();
    run.secret("app-smtp", &[("username", "u"), ("password", "one")]).await;
    let hash = run.wait("demo", |pipeline: &SignupPipeline| {
        let ready =
            pipeline.status.as_ref().and_then(|status| status.conditions.iter().find(|one| one.type_ == "Ready"));
        ready.is_some_and(|ready| ready.reason != "SecretMissing")
    });
    let hash = hash.await.status.and_then(|status| status.config).expect("it is there").hash;
    let worker = FakePod::new().await;
    worker.runs(&hash);
    let pod = run.pod("demo-worker", &worker).await;
    run.condition("ConfigApplied", "True", "AsDesired").await;
    run.secret("app-smtp", &[("username", "u"), ("password", "two")]).await;
    run.wait::<Pod>(&pod, |pod| pod.annotations().contains_key("signup.dev/sync")).await;
    // Another Secret, and another label, are no reason for anything.
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
    run.api::<Secret>().patch_metadata("app-smtp", &PatchParams::default(), &label).await.expect("it is there");
    run.secret("unnamed", &[("username", "u")]).await;
    run.api::<Secret>().delete("app-smtp", &DeleteParams::default()).await.expect("it is there");
    run.condition("Ready", "False", "SecretMissing").await;
    assert!(began.elapsed() < Duration::from_secs(45), "Secrets that are not watched are read once a minute");
    let reads = audit(&run.namespace).into_iter().filter(|(verb, _, name)| verb == "get" && name == "unnamed").count();
    assert_eq!(reads, 0, "nobody names it");
}
