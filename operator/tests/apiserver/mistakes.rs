//! What kubectl shows of a new user's mistakes stands in docs/deploying.md word for word.
//!
//! Takes: the page, and the kubectl that tests/cluster builds. Gives: tests that fail when the two differ. Names of
//! pods and namespaces, and ages, are the page's. Does not: run pods; what kubelet and an api would say is told here.

use super::{
    api_server::{LIMIT, config, program},
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::api::{Patch, PatchParams, PostParams};
use operator::{build, crd::SignupPipeline};
use regex::Regex;
use serde_json::json;
use std::{path::Path, process::Command};

/// Namespace and pod of the page.
const SHOP: &str = "shop";
const POD: &str = "signup-api-6d5f7c9b8-x2x4q";

async fn kubectl(run: &Run, words: &[&str]) -> String {
    let (server, mut command) = (config().await.cluster_url.to_string(), Command::new(program("kubectl")));
    command.args(["--server", &server, "--token", super::api_server::TOKEN, "--insecure-skip-tls-verify=true"]);
    command.args(["--namespace", &run.namespace]).args(words);
    // No configuration of whoever runs this.
    command.env("KUBECONFIG", "/dev/null");
    let answer = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    let answer = answer.expect("kubectl runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).expect("text")
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
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploying.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    let age = Regex::new(r"(?m)(\d+m)?\d+s$").expect("a pattern");
    let ours = |text: &str| age.replace_all(&text.replace(&run.namespace, SHOP).replace(pod, POD), "1m").into_owned();
    servers::until("kubectl shows what the page has", LIMIT, async || {
        let mut blocks = Vec::new();
        if has_rows && pod == POD {
            // Their controller's part, after each write of the operator.
            run.deployment_is_complete("signup-api", 2).await;
            run.deployment_is_complete("signup-worker", 1).await;
        }
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

/// A pipeline of that name whose pods are there.
async fn started(run: &Run, name: &str, text: &str) -> FakePod {
    run.pipeline_named(name, text).await;
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    pod(run, name, "api", &api).await;
    pod(run, name, "worker", &worker).await;
    run.deployment_is_complete(&format!("{name}-api"), 2).await;
    run.deployment_is_complete(&format!("{name}-worker"), 1).await;
    api
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
    started(&run, "signup", MINIMAL).await;
    let copy = started(&run, "copy", MINIMAL).await;
    copy.is_not_ready(&format!("the database belongs to pipeline {}/signup", run.namespace));
    run.deployment_is_complete("copy-api", 2).await;
    page_shows(&run, POD, "copy", &["Degraded"], false).await;
    page_shows(&run, POD, "signup", &["Degraded"], false).await;
}

#[tokio::test]
async fn an_image_misspelled() {
    let run = run().await;
    let image = "registry.example.com/team/singup:0.1.0";
    run.pipeline_named("signup", &MINIMAL.replace("spec:\n", &format!("spec:\n  image: {image}\n"))).await;
    let name = pod(&run, "signup", "api", &FakePod::new().await).await;
    let waiting = json!({"reason": "ImagePullBackOff", "message": format!("Back-off pulling image \"{image}\": \
        ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to \
        resolve reference \"{image}\": {image}: not found")});
    let container = json!({"name": "api", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": waiting}});
    let status = Patch::Merge(json!({"status": {"phase": "Pending", "containerStatuses": [container]}}));
    run.api::<Pod>().patch_status(&name, &PatchParams::default(), &status).await.expect("it is there");
    page_shows(&run, &name, "signup", &["Ready", "Reconciling"], true).await;
}

#[tokio::test]
async fn an_autoscaler_attached() {
    let run = run().await;
    started(&run, "signup", MINIMAL).await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "signup-api"});
    let autoscaler = json!({"metadata": {"name": "signup-api-cpu"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 8}});
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(autoscaler).expect("an autoscaler");
    run.api().create(&PostParams::default(), &autoscaler).await.expect("it is new");
    page_shows(&run, POD, "signup", &["Degraded"], true).await;
}
