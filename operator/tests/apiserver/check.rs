//! `operator check` finds each of several faults at once, with its fix, and shows no secret.

use super::{
    api_server::{client_of, config, start},
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Namespace, Pod, Service},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client, Config, CustomResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use operator::crd::SignupPipeline;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// What a check printed.
struct Checked {
    code: Option<i32>,
    report: Value,
    everything: String,
}

impl Checked {
    /// The only finding about a subject.
    fn about(&self, subject: &str) -> (&str, &str, &str) {
        let findings = self.report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found = findings.iter().filter(|finding| finding["subject"] == subject);
        let (Some(first), None) = (found.next(), found.next()) else {
            panic!("not exactly one finding about {subject}: {}", self.everything);
        };
        let text = |field: &str| first[field].as_str().unwrap_or_default();
        (text("level"), text("message"), text("fix"))
    }

    fn assert(&self, level: &str, subject: &str, message: &str, fix: &str) {
        let found = self.about(subject);
        assert!(found.0 == level && found.1.contains(message) && found.2.contains(fix), "{subject}: {found:?}");
    }
}

/// Runs the program as people do, as the user of `config`.
async fn check(config: &Config, user: Option<&str>, arguments: &[&str]) -> Checked {
    let folder = tempfile::tempdir().expect("a folder");
    let token = config.auth_info.token.as_ref().expect("the tests have one").expose_secret().to_owned();
    let mut account = json!({"token": token});
    if let Some(user) = user {
        account["as"] = user.into();
    }
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{
            "name": "a", "cluster": {"server": config.cluster_url.to_string(), "insecure-skip-tls-verify": true},
        }],
        "users": [{"name": "a", "user": account}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).expect("the folder is ours");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["check", "--output", "json"]).args(arguments).env("KUBECONFIG", &path);
    let done = command.output().await.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let everything = text(&done.stdout) + &text(&done.stderr);
    Checked { code: done.status.code(), report: serde_json::from_slice(&done.stdout).unwrap_or_default(), everything }
}

async fn create<K>(api: Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let object = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("it is new");
}

#[tokio::test]
async fn several_faults_of_what_a_pipeline_names_are_each_told_with_their_fix() {
    let mut run = Run::new().await;
    run.secret("app-db", &[("dsn", "canary"), ("host", "canary")]).await;
    // An index that no other test uses.
    run.secret("app-redis", &[("uri", "redis://:canary@127.0.0.1:1/77")]).await;
    run.secret("short", &[("current", "canary")]).await;
    let faults = "verification: {publicURL: https://app.example.com, keySecretRef: {name: short}}\n  \
                  expose: {host: app.example.com, ingress: {className: nowhere, tlsSecretName: no-such-certificate}}";
    let text = MINIMAL.replace("  verification: {publicURL: https://app.example.com}", &format!("  {faults}"));
    run.pipeline(&text).await;
    run.pipeline_named("second", MINIMAL).await;
    run.start();
    run.condition("Reconciling", "True", "SecretKeyMissing").await;
    // What the status says is not told a second time.
    run.condition("ScalingActive", "False", "RedisShared").await;
    let checked = check(&config().await, None, &["-n", &run.namespace, "demo"]).await;
    let about = |thing: &str| format!("{}/demo {thing}", run.namespace);
    checked.assert(
        "error",
        &about("conditions Ready, Reconciling, Degraded"),
        "SecretKeyMissing: Secret app-db, named by spec.database.secretRef, has no value under the key uri (it has \
            dsn, host)",
        "add the key, or name the right one in spec.database.secretRef.key",
    );
    checked.assert("error", &about("Secret short"), "has 6 bytes, and 32 are needed", "openssl rand -hex 32");
    checked.assert(
        "error",
        &about("Secret no-such-certificate"),
        "does not exist",
        "create it with the keys tls.crt, tls.key",
    );
    checked.assert(
        "error",
        &about("ingress class"),
        "IngressClass nowhere does not exist",
        "spec.expose.ingress.className",
    );
    checked.assert(
        "error",
        &about("condition ScalingActive"),
        &format!("{}/second uses the same Redis", run.namespace),
        "own database index",
    );
    checked.assert("error", &about("children"), "Deployment demo-api", "remove what the other lines name");
    assert_eq!(checked.code, Some(1));
    assert!(!checked.everything.contains("canary"), "{}", checked.everything);
}

#[tokio::test]
async fn what_happens_while_no_operator_looks_is_told() {
    let mut run = Run::with_pipeline(MINIMAL).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
    let pod = run.pod("demo-worker", &FakePod::new().await).await;
    run.kill().await;
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}});
    let container =
        json!({"name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 9, "state": waiting});
    let status = Patch::Merge(json!({"status": {"containerStatuses": [container]}}));
    run.api::<Pod>().patch_status(&pod, &PatchParams::default(), &status).await.expect("a status");
    run.api::<Service>().delete("demo-api", &DeleteParams::default()).await.expect("it was there");
    run.edit(json!({"task": {"delay": "7s"}})).await;
    let checked = check(&config().await, None, &["-n", &run.namespace, "demo"]).await;
    let about = |thing: &str| format!("{}/demo {thing}", run.namespace);
    checked.assert("error", &about("status"), "the operator does not look at this pipeline", "operator check");
    checked.assert("error", &about("children"), "missing: Service demo-api", "the operator makes them");
    let crash = "container worker of pod demo-worker";
    checked.assert("error", &about(&format!("Pod {pod}")), crash, "--previous");
    checked.assert(
        "error",
        &about("conditions Ready, Reconciling, Degraded, RedisReachable, ScalingActive"),
        "NoAnswer",
        "Secret app-redis",
    );
    checked.assert("ok", &about("Secret app-db"), "has uri", "");
    assert_eq!(checked.code, Some(1));
    assert!(!checked.everything.contains("canary"), "{}", checked.everything);
}

#[tokio::test]
async fn a_name_that_is_nobodys_is_told_with_those_that_are() {
    let run = Run::with_pipeline(MINIMAL).await;
    let checked = check(&config().await, None, &["-n", &run.namespace, "dmeo"]).await;
    checked.assert("error", &format!("{}/dmeo", run.namespace), "has demo", "name another");
    assert_eq!(checked.code, Some(1));
}

#[tokio::test]
async fn who_may_not_read_pipelines_cannot_look() {
    let run = Run::with_pipeline(MINIMAL).await;
    let checked = check(&config().await, Some("somebody"), &["-n", &run.namespace, "demo"]).await;
    assert_eq!((checked.code, &checked.report), (Some(2), &Value::Null));
    assert!(checked.everything.contains("the API server forbids it") && checked.everything.contains("Fix:"));
}

#[tokio::test]
async fn who_may_read_pipelines_alone_is_told_what_stays_unknown() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "readers"});
    let rules = json!([{"apiGroups": ["signup.dev"], "resources": ["signuppipelines"], "verbs": ["get", "list"]}]);
    create(run.api::<k8s_openapi::api::rbac::v1::Role>(), json!({"metadata": {"name": "readers"}, "rules": rules}))
        .await;
    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]);
    let binding = json!({"metadata": {"name": "readers"}, "roleRef": role, "subjects": subjects});
    create(run.api::<k8s_openapi::api::rbac::v1::RoleBinding>(), binding).await;
    let checked = check(&config().await, Some("reader"), &["-n", &run.namespace, "demo"]).await;
    let about = |thing: &str| format!("{}/demo {thing}", run.namespace);
    checked.assert("warning", &about("Secret app-db"), "you may not read it", "an account that may get secrets");
    checked.assert("warning", &about("pods"), "you may not list them", "list pods");
    checked.assert("warning", &about("Deployment demo-api"), "you may not read it", "get deployments");
}

/// An operator's Deployment as the chart makes it, without a pod.
async fn deploy_an_operator(client: &Client) {
    create(Api::<Namespace>::all(client.clone()), json!({"metadata": {"name": "signup-system"}})).await;
    let labels = json!({"app.kubernetes.io/name": "signup-operator"});
    let container = json!({"name": "operator", "image": "i", "args": ["run", "--lease-name=signup-operator"]});
    let spec = json!({"serviceAccountName": "signup-operator", "containers": [container]});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let deployment = json!({"metadata": {"name": "signup-operator", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template}});
    create(Api::<Deployment>::namespaced(client.clone(), "signup-system"), deployment).await;
    let lease = json!({"metadata": {"name": "signup-operator"},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}});
    create(Api::<Lease>::namespaced(client.clone(), "signup-system"), lease).await;
}

#[tokio::test]
async fn a_cluster_with_an_older_definition_and_an_operator_that_cannot_work_is_told_of_each() {
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let mut older = serde_json::to_value(SignupPipeline::crd()).expect("JSON");
    let spec = older.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/task/properties");
    spec.and_then(Value::as_object_mut).expect("fields").remove("timeout").expect("it was there");
    // Rules and defaults that name it go too.
    older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
        json!([]);
    older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["task"]["default"] =
        json!({});
    let client = client_of(server.config(), serde_json::from_value(older).expect("a definition")).await;

    let checked = check(&server.config(), None, &[]).await;
    checked.assert("error", "definition", "lacks spec.task.timeout", "helm upgrade");
    checked.assert("error", "operator", "no Deployment", "helm install");
    checked.assert("ok", "kind HTTPRoute", "not there; spec.expose.gateway cannot be used", "");
    checked.assert("ok", "ingress classes", "none", "");
    assert_eq!(checked.code, Some(1));

    deploy_an_operator(&client).await;
    let checked = check(&server.config(), None, &["--all-namespaces"]).await;
    let name = "signup-system/signup-operator";
    checked.assert("error", &format!("operator {name}"), "0 of 1 pods are ready", "kubectl -n signup-system");
    checked.assert("error", &format!("lease {name}"), "gone renewed it last", "logs deployment/signup-operator");
    let denied = "it may not get, list, watch signuppipelines.signup.dev in every namespace";
    assert!(checked.everything.contains(denied), "{}", checked.everything);
    checked.assert("ok", "pipelines", "the cluster has none", "");

    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let subjects = json!([{"kind": "ServiceAccount", "name": "signup-operator", "namespace": "signup-system"}]);
    let binding = json!({"metadata": {"name": "all"}, "roleRef": role, "subjects": subjects});
    create(Api::<ClusterRoleBinding>::all(client.clone()), binding).await;
    let account = Some("system:serviceaccount:signup-system:signup-operator");
    for user in [None, account] {
        let checked = check(&server.config(), user, &[]).await;
        checked.assert("ok", &format!("rights of {name}"), "that it needs", "");
    }
}
