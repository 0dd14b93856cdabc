//! What is wrong is said with its fix, and what runs runs on.

use super::operator_run::{FakePod, MINIMAL, Run};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
    events::v1::Event,
    networking::v1::Ingress,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

#[tokio::test]
async fn a_missing_secret_is_named_and_its_creation_is_enough() {
    let mut run = Run::new().await;
    run.secret("app-redis", &[("uri", "redis://127.0.0.1:1/0")]).await;
    run.pipeline(MINIMAL).await;
    run.start();
    for kind in ["Degraded", "Reconciling"] {
        run.condition(kind, "True", "SecretMissing").await;
    }
    let ready = run.condition("Ready", "False", "SecretMissing").await;
    assert!(ready.message.contains("Secret app-db, named by spec.database.secretRef"), "{}", ready.message);
    assert!(ready.message.contains("Fix: create it with the key uri"), "{}", ready.message);
    assert!(run.api::<Deployment>().get_opt("demo-api").await.expect("it answers").is_none());
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
}

/// Waits for an event that begins with these words.
async fn event(run: &Run, words: &str) {
    super::api_server::until(words, async || {
        let events = run.api::<Event>().list(&Default::default()).await.ok()?.items;
        let told = |event: &Event| event.note.as_deref().is_some_and(|note| note.starts_with(words));
        events.iter().any(told).then_some(())
    })
    .await;
}

/// Equal events of some minutes are a series, which keeps its first words, and these differ in their words alone.
#[tokio::test]
async fn each_missing_secret_has_an_event_that_names_it() {
    let mut run = Run::new().await;
    run.secret("app-redis", &[("uri", "redis://127.0.0.1:1/0")]).await;
    run.pipeline(&MINIMAL.replace("example.com}}", "example.com, authSecretRef: {name: app-smtp}}}")).await;
    run.start();
    event(&run, "Reconciling is True: Secret app-db").await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    event(&run, "Reconciling is True: Secret app-smtp").await;
    run.secret("app-smtp", &[("username", "app"), ("password", "canary")]).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
    run.edit(json!({"redis": {"secretRef": {"name": "absent"}}})).await;
    event(&run, "Ready is False: Secret absent").await;
}

#[tokio::test]
async fn a_missing_key_is_told_with_the_keys_that_exist_and_what_runs_is_not_touched() {
    let run = Run::with_pipeline(MINIMAL).await;
    let before = run.wait::<Deployment>("demo-worker", |_| true).await.metadata.generation;
    run.secret("other", &[("dsn", "canary"), ("host", "canary")]).await;
    run.edit(json!({"database": {"secretRef": {"name": "other"}}, "task": {"delay": "7s"}})).await;
    let waiting = run.condition("Reconciling", "True", "SecretKeyMissing").await;
    assert!(
        waiting.message.contains("(it has dsn, host)") && !waiting.message.contains("canary"),
        "{}",
        waiting.message
    );
    let map: ConfigMap = run.wait("demo-config", |_| true).await;
    assert!(map.data.expect("it has data")["pipeline.yaml"].contains("delay: 10s"));
    assert_eq!(run.wait::<Deployment>("demo-worker", |_| true).await.metadata.generation, before);
}

#[tokio::test]
async fn an_object_of_somebody_else_is_not_taken_over() {
    let mut run = Run::new().await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.secret("app-redis", &[("uri", "redis://127.0.0.1:1/0")]).await;
    let service = json!({"metadata": {"name": "demo-api"}, "spec": {"ports": [{"port": 1}]}});
    let service: Service = serde_json::from_value(service).expect("a Service");
    run.api().create(&PostParams::default(), &service).await.expect("the name is free");
    run.pipeline(MINIMAL).await;
    run.start();
    let waiting = run.condition("Reconciling", "True", "NameTaken").await;
    assert!(waiting.message.contains("Service demo-api exists"), "{}", waiting.message);
    assert!(run.wait::<Service>("demo-api", |_| true).await.labels().is_empty());
}

#[tokio::test]
async fn a_cluster_without_the_gateway_api_is_told_and_the_rest_works() {
    let expose = "expose: {host: app.example.com, gateway: {parentRefs: [{name: edge}]}}";
    let run = Run::with_pipeline_and_redis(&MINIMAL.replace("spec:\n", &format!("spec:\n  {expose}\n"))).await;
    let degraded = run.condition("Degraded", "True", "GatewayApiMissing").await;
    assert!(degraded.message.contains("expose.ingress"), "{}", degraded.message);
    run.wait::<Deployment>("demo-worker", |_| true).await;
}

#[tokio::test]
async fn an_ingress_that_nobody_takes_is_told_with_its_class_or_that_it_names_none() {
    let expose = "spec:\n  expose: {host: app.example.com, ingress: {}}\n";
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", expose)).await;
    let fix = "it names no class. Fix: set spec.expose.ingress.className to one of `kubectl get ingressclass`";
    let exposed = run.condition_saying("Exposed", "False", fix).await;
    assert_eq!(exposed.reason, "AddressPending");
    run.edit(json!({"expose": {"ingress": {"className": "absent"}}})).await;
    run.condition_saying("Exposed", "False", "IngressClass absent does not exist (the cluster has ").await;
    let address = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}));
    run.api::<Ingress>().patch_status("demo", &PatchParams::default(), &address).await.expect("it is there");
    run.condition("Exposed", "True", "AddressAssigned").await;
}

#[tokio::test]
async fn a_certificate_that_is_not_there_yet_holds_nothing_up_and_is_told() {
    let expose = "spec:\n  expose: {host: app.example.com, ingress: {tlsSecretName: cert}}\n";
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", expose)).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let exposed = run.condition("Exposed", "False", "CertificateMissing").await;
    assert!(exposed.message.contains("Secret cert, named by spec.expose.ingress.tlsSecretName"), "{}", exposed.message);
    run.secret("cert", &[("tls.crt", "no certificate"), ("tls.key", "canary")]).await;
    run.condition_saying("Exposed", "False", "holds no PEM certificate under tls.crt").await;
    let made = rcgen::generate_simple_self_signed(["other.example.com".to_owned()]).expect("a certificate");
    run.secret("cert", &[("tls.crt", &made.cert.pem()), ("tls.key", "canary")]).await;
    let unfit = run.condition("Exposed", "False", "CertificateUnfit").await;
    assert!(unfit.message.contains("is for other.example.com, and not for app.example.com"), "{}", unfit.message);
    let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("a certificate");
    run.secret("cert", &[("tls.crt", &made.cert.pem()), ("tls.key", "canary")]).await;
    run.condition("Exposed", "False", "AddressPending").await;
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_when_it_does_though_nothing_else_happens() {
    let expose = "spec:\n  expose: {host: app.example.com, ingress: {tlsSecretName: cert}}\n";
    let mut run = Run::new().await;
    run.secrets().await;
    run.pipeline(&MINIMAL.replace("spec:\n", expose)).await;
    let mut parameters = rcgen::CertificateParams::new(vec!["app.example.com".to_owned()]).expect("a host");
    // The first look comes before it ends, unless the machine is very slow; then it has ended already.
    parameters.not_after = (std::time::SystemTime::now() + std::time::Duration::from_secs(6)).into();
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = parameters.self_signed(&key).expect("a certificate").pem();
    run.secret("cert", &[("tls.crt", &pem), ("tls.key", "canary")]).await;
    run.start();
    run.condition_saying("Exposed", "False", "named by spec.expose.ingress.tlsSecretName, ended at").await;
    run.condition("Exposed", "False", "CertificateExpired").await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_told_with_its_pod_and_its_fix() {
    let run = Run::with_pipeline(MINIMAL).await;
    let name = run.pod("demo-api", &FakePod::new().await).await;
    let waiting = json!({"reason": "ImagePullBackOff", "message": "Back-off pulling image"});
    let container = json!({"name": "api", "image": "signup:test", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": waiting}});
    let status = Patch::Merge(json!({"status": {"phase": "Pending", "containerStatuses": [container]}}));
    run.api::<Pod>().patch_status(&name, &PatchParams::default(), &status).await.expect("it is there");
    let degraded = run.condition("Degraded", "True", "ImagePullFailed").await;
    assert!(
        degraded.message.contains(&format!("pod {name} cannot fetch the image signup:test")),
        "{}",
        degraded.message
    );
    assert!(
        degraded.message.contains("Fix: correct spec.image, or name the registry's credentials"),
        "{}",
        degraded.message
    );
}

#[tokio::test]
async fn redis_that_does_not_answer_is_told_by_every_condition_that_it_spoils_and_stops_nothing() {
    let run = Run::with_pipeline(MINIMAL).await;
    let condition = run.condition("RedisReachable", "False", "NoAnswer").await;
    assert!(
        condition.message.contains("Secret app-redis") && condition.message.contains("Fix:"),
        "{}",
        condition.message
    );
    run.condition("ScalingActive", "False", "NoAnswer").await;
    assert_eq!(run.condition("Degraded", "True", "NoAnswer").await.message, condition.message);
    run.condition("Stalled", "False", "AsDesired").await;
    // The api goes on, and the workers cannot.
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    worker.is_not_ready("Redis does not answer");
    run.pod("demo-api", &api).await;
    run.pod("demo-worker", &worker).await;
    run.deployment_is_complete("demo-api", 2).await;
    run.condition("DatabaseReachable", "True", "Answers").await;
    let ready = run.condition("Ready", "False", "NoAnswer").await;
    assert!(ready.message.contains("Redis does not answer"), "{}", ready.message);
    assert!(ready.message.contains("signups go on, mails wait"), "{}", ready.message);
}

#[tokio::test]
async fn a_mail_server_that_takes_nothing_ends_ready_until_it_works_again() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    run.pod("demo-api", &api).await;
    run.pod("demo-worker", &worker).await;
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    worker.measures("signup_mail_reachable 0\nsignup_mail_failing{phase=\"auth\"} 1\n");
    for (kind, status) in [("Ready", "False"), ("Degraded", "True")] {
        let told = run.condition(kind, status, "CredentialsRefused").await;
        assert!(told.message.contains("the mail server smtp.example.com:587 refuses"), "{}", told.message);
        assert!(told.message.contains("signups go on, mails are kept and tried again"), "{}", told.message);
    }
    worker.measures("signup_mail_reachable 1\n");
    run.condition("Ready", "True", "AsDesired").await;
    run.condition("Degraded", "False", "AsDesired").await;
}

#[tokio::test]
async fn a_changed_database_uri_rolls_the_pods_and_an_event_names_the_field() {
    let run = Run::with_pipeline(MINIMAL).await;
    let annotation = |deployment: &Deployment| {
        let template = &deployment.spec.as_ref()?.template;
        template.metadata.as_ref()?.annotations.as_ref()?.get("signup.dev/restart-on-database").cloned()
    };
    let before = annotation(&run.wait("demo-worker", |_| true).await);
    run.secret("app-db", &[("uri", "postgres://app:other@db.test:5432/app")]).await;
    for name in ["demo-api", "demo-worker"] {
        run.wait::<Deployment>(name, |deployment| annotation(deployment) != before).await;
    }
    let events = run.api::<Event>().list(&Default::default()).await.expect("it answers").items;
    let notes: Vec<String> = events
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("RestartingPods"))
        .filter_map(|event| event.note)
        .collect();
    assert_eq!(notes.len(), 2, "one for each component: {notes:?}");
    assert!(notes.iter().any(|note| note.contains("demo-api are replaced, because spec.database")), "{notes:?}");
}

#[tokio::test]
async fn no_secret_appears_in_status_events_or_children() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.condition("RedisReachable", "False", "NoAnswer").await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let mut everything =
        vec![serde_json::to_string(&run.wait::<operator::crd::SignupPipeline>("demo", |_| true).await)];
    everything.push(serde_json::to_string(&run.api::<Event>().list(&Default::default()).await.expect("it answers")));
    everything
        .push(serde_json::to_string(&run.api::<Deployment>().list(&Default::default()).await.expect("it answers")));
    everything
        .push(serde_json::to_string(&run.api::<ConfigMap>().list(&Default::default()).await.expect("it answers")));
    assert!(everything.into_iter().all(|text| !text.expect("JSON").contains("canary")));
}

#[tokio::test]
async fn a_wrong_password_of_redis_is_told_as_such() {
    let uri = tokio::task::spawn_blocking(|| servers::redis().fresh_database()).await.expect("Redis starts");
    let (_, place) = uri.rsplit_once('@').expect("our servers have passwords");
    let mut run = Run::new().await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.secret("app-redis", &[("uri", &format!("redis://default:canary@{place}"))]).await;
    run.pipeline(MINIMAL).await;
    run.start();
    let condition = run.condition("RedisReachable", "False", "CredentialsRefused").await;
    assert!(
        condition.message.contains("Secret app-redis") && !condition.message.contains("canary"),
        "{}",
        condition.message
    );
    run.secret("app-redis", &[("uri", &uri)]).await;
    run.condition("RedisReachable", "True", "Answers").await;
}

#[tokio::test]
async fn two_pipelines_in_one_redis_database_are_told() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    run.condition("Reconciling", "True", "RollingOut").await;
    run.pipeline_named("second", MINIMAL).await;
    let degraded = run.condition("Degraded", "True", "RedisShared").await;
    assert!(degraded.message.contains(&format!("pipeline {}/second", run.namespace)), "{}", degraded.message);
}
