//! What kubectl shows of a new user's mistakes, and what Helm says and ends with, stands in docs/deploying.md word for
//! word.
//!
//! Takes: the page, and the kubectl and helm that tests/cluster builds. Gives: tests that fail when they differ. Names
//! of pods and namespaces, ages and the deadline are the page's. Does not: run pods; what kubelet and an api would say
//! is told here.

use super::{
    api_server::{LIMIT, config, program},
    operator_run::{FakePod, MINIMAL, Run},
};
use futures::StreamExt as _;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use operator::{build, crd::SignupPipeline};
use regex::Regex;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    pin::pin,
    process::{Command, Output},
};

/// Namespace and pod of the page.
const SHOP: &str = "shop";
const POD: &str = "signup-api-6d5f7c9b8-x2x4q";

/// Runs a program with no configuration of whoever runs this, and nothing that it remembers of another server.
async fn output(mut command: Command) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    command.env("KUBECONFIG", "/dev/null").env("HOME", home.path());
    let answer = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    answer.expect("it runs")
}

async fn kubectl(run: &Run, words: &[&str]) -> String {
    let (server, mut command) = (config().await.cluster_url.to_string(), Command::new(program("kubectl")));
    command.args(["--server", &server, "--token", super::api_server::TOKEN, "--insecure-skip-tls-verify=true"]);
    command.args(["--namespace", &run.namespace]).args(words);
    let answer = output(command).await;
    assert!(answer.status.success(), "{}", text(answer.stderr));
    text(answer.stdout)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// `helm upgrade` of a release of the pipelines' chart.
async fn helm_upgrade(run: &Run, release: &str, words: &[&str]) -> Output {
    let (server, mut command) = (config().await.cluster_url.to_string(), Command::new(program("helm")));
    command.args(["--kube-apiserver", &server, "--kube-token", super::api_server::TOKEN]);
    command.args(["--kube-insecure-skip-tls-verify", "--namespace", &run.namespace, "upgrade", release]);
    command.arg(root().join("charts/signup-pipeline")).args(words);
    output(command).await
}

/// Installs the minimal pipeline with more of its spec, without waiting.
async fn install(run: &Run, release: &str, more: &Value) {
    let minimal: Value = serde_yaml::from_str(MINIMAL).expect("YAML");
    let (spec, more) = (minimal["spec"].to_string(), more.to_string());
    let answer = helm_upgrade(run, release, &["--install", "--set-json", &spec, "--set-json", &more]).await;
    assert!(answer.status.success(), "{}", text(answer.stderr));
}

/// Waits with Helm until it ends, and asserts that the page has what it says and ends with: of a success the first
/// line, for notes follow, and of a failure the error, which a line of Helm's log repeats.
async fn page_has_what_helm_says(run: &Run, pod: &str, release: &str, words: &[&str]) {
    let answer = helm_upgrade(run, release, &[&["--reuse-values", "--wait"], words].concat()).await;
    let (code, [notes, errors]) = (answer.status.code(), [answer.stdout, answer.stderr].map(text));
    let is_log = |line: &&str| line.starts_with("level=WARN ");
    let said = if code == Some(0) {
        notes.lines().take(1).collect::<Vec<_>>().join("\n")
    } else {
        errors.lines().filter(|line| !is_log(line)).collect::<Vec<_>>().join("\n")
    };
    let said = said.replace(&run.namespace, SHOP).replace(pod, POD).replace("longer than 10s", "longer than 10m");
    let block = format!("```\n{said}\nexit code {}\n```\n", code.expect("no signal"));
    assert!(page().contains(&block), "not in docs/deploying.md:\n{block}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/deploying.md")).expect("it is there")
}

/// What `kubectl describe` shows of a condition, without times and generations.
fn condition(described: &str, kind: &str) -> String {
    let all = described.split("    Last Transition Time:").skip(1);
    let is_part = |line: &&str| ["Message:", "Reason:", "Status:"].iter().any(|key| line.trim_start().starts_with(key));
    let part = |condition: &str| {
        let lines: Vec<&str> = condition.lines().filter(|line| line.starts_with("    ")).collect();
        let type_ = lines.iter().find(|line| line.trim_start().starts_with("Type:"))?;
        let is_it = type_.split_whitespace().last() == Some(kind);
        is_it.then(|| lines.iter().copied().filter(is_part).chain([*type_]).collect::<Vec<_>>().join("\n"))
    };
    all.filter_map(part).next().unwrap_or_default()
}

/// Waits until kubectl shows of the pipelines, if the page has them, and of conditions of one what the page has.
async fn page_shows(run: &Run, pod: &str, name: &str, kinds: &[&str], has_rows: bool) {
    let page = page();
    let age = Regex::new(r"(?m)(\d+m)?\d+s$").expect("a pattern");
    let ours = |text: &str| age.replace_all(&text.replace(&run.namespace, SHOP).replace(pod, POD), "1m").into_owned();
    servers::until("kubectl shows what the page has", LIMIT, async || {
        let mut blocks = Vec::new();
        if has_rows {
            blocks.push(ours(&kubectl(run, &["get", "signuppipelines"]).await));
        }
        let described = ours(&kubectl(run, &["describe", "signuppipeline", name]).await);
        blocks.extend(kinds.iter().map(|kind| condition(&described, kind)));
        let is_there = blocks.iter().all(|block| !block.is_empty() && page.contains(block.trim_end()));
        if is_there { Ok(()) } else { Err(blocks.join("\n")) }
    })
    .await;
}

/// A pod that answers, as a Deployment's controller would make it; gives its name.
async fn pod(run: &Run, pipeline: &str, component: &str, fake: &FakePod) -> String {
    let found = run.wait::<SignupPipeline>(pipeline, |_| true).await;
    fake.runs(&build::configuration(&found).expect("it is valid").1);
    run.pod(&format!("{pipeline}-{component}"), fake).await
}

/// The Deployment controller's part, after each write of the operator; does not end.
async fn complete_deployments(run: &Run) {
    let mut changes = pin!(watcher(run.api::<Deployment>(), watcher::Config::default()).applied_objects());
    while let Some(deployment) = changes.next().await {
        let deployment = deployment.expect("the watch goes on");
        let seen = deployment.status.as_ref().and_then(|status| status.observed_generation);
        if seen != deployment.metadata.generation {
            let pods = deployment.spec.as_ref().and_then(|spec| spec.replicas).expect("it has a default");
            run.deployment_is_complete(&deployment.name_any(), pods).await;
        }
    }
}

/// Its pods are there and ready.
async fn started(run: &Run, name: &str) {
    for (component, pods) in [("api", 2), ("worker", 1)] {
        pod(run, name, component, &FakePod::new().await).await;
        run.deployment_is_complete(&format!("{name}-{component}"), pods).await;
    }
}

/// Its pods are there, and say that they cannot do their job for want of this.
async fn started_in_vain(run: &Run, name: &str, missing: &str) {
    for component in ["api", "worker"] {
        let fake = FakePod::new().await;
        fake.is_not_ready(missing);
        pod(run, name, component, &fake).await;
    }
}

async fn run() -> Run {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.start();
    run
}

#[tokio::test]
async fn two_manifests_copied_from_each_other() {
    let run = run().await;
    run.pipeline_named("signup", MINIMAL).await;
    started(&run, "signup").await;
    install(&run, "copy", &json!({})).await;
    started_in_vain(&run, "copy", &format!("the database belongs to pipeline {}/signup", run.namespace)).await;
    page_shows(&run, POD, "copy", &["Degraded"], false).await;
    page_shows(&run, POD, "signup", &["Degraded"], false).await;
    // Longer than the deadline, as the page says.
    let words = ["--set", "progressDeadline=10s", "--timeout", "2m"];
    page_has_what_helm_says(&run, POD, "copy", &words).await;
}

#[tokio::test]
async fn an_image_misspelled() {
    let run = run().await;
    let image = "registry.example.com/team/singup:0.1.0";
    install(&run, "signup", &json!({"image": image})).await;
    let name = pod(&run, "signup", "api", &FakePod::new().await).await;
    let waiting = json!({"reason": "ImagePullBackOff", "message": format!("Back-off pulling image \"{image}\": \
        ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to \
        resolve reference \"{image}\": {image}: not found")});
    let container = json!({"name": "api", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": waiting}});
    let status = Patch::Merge(json!({"status": {"phase": "Pending", "containerStatuses": [container]}}));
    run.api::<Pod>().patch_status(&name, &PatchParams::default(), &status).await.expect("it is there");
    page_shows(&run, &name, "signup", &["Ready", "Reconciling"], true).await;
    // Shorter than the deadline, and longer than Helm needs to see the status.
    page_has_what_helm_says(&run, &name, "signup", &["--timeout", "15s"]).await;
}

#[tokio::test]
async fn an_autoscaler_attached() {
    let run = run().await;
    install(&run, "signup", &json!({})).await;
    started(&run, "signup").await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "signup-api"});
    let autoscaler = json!({"metadata": {"name": "signup-api-cpu"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 8}});
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(autoscaler).expect("an autoscaler");
    run.api().create(&PostParams::default(), &autoscaler).await.expect("it is new");
    let shown = async {
        page_shows(&run, POD, "signup", &["Degraded"], true).await;
        page_has_what_helm_says(&run, POD, "signup", &["--timeout", "2m"]).await;
    };
    tokio::select! {
        () = shown => {}
        () = complete_deployments(&run) => panic!("the watch has ended"),
    }
}
