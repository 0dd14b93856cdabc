//! Tools that wait for a pipeline, and tools that compare it with what is in Git: their own code judges what the
//! operator and the API server write.

use super::{
    api_server::{client, until},
    operator_run::{FakePod, MINIMAL, Run},
};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::{Map, Value, json};
use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The program of tests/gitops, built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gitops");
        let candidates = [PathBuf::from("go"), root().join("target/tools/go/bin/go")];
        let new_enough = |go: &&PathBuf| {
            let version = Command::new(go).args(["env", "GOVERSION"]).output();
            version.is_ok_and(|version| version.stdout.starts_with(b"go1.") && version.stdout >= b"go1.26".to_vec())
        };
        let go = candidates.iter().find(new_enough).expect("no Go of 1.26 or newer. Fix: run `make setup`");
        let mut build = Command::new(go);
        // The API server beside it needs the other core.
        build.args(["build", "-p", "1", "-o"]).arg(&program).arg(".").current_dir(root().join("tests/gitops"));
        let built = build.output().expect("go runs");
        assert!(built.status.success(), "go build failed: {}", String::from_utf8_lossy(&built.stderr));
        program
    })
}

/// The block of docs/gitops.md that begins with `first`, without its fences.
fn block(first: &str) -> String {
    let page = fs::read_to_string(root().join("docs/gitops.md")).expect("the page is there");
    let (_, rest) = page.split_once(first).unwrap_or_else(|| panic!("{first} in docs/gitops.md"));
    format!("{first}{}", rest.split("```").next().expect("the block ends"))
}

/// What the tools say of each object: kstatus, Flux with the expressions of the page, Argo CD with the chart's Lua.
fn judge(objects: &[Value]) -> Vec<[String; 3]> {
    let page: Value = serde_yaml::from_str(&block("healthCheckExprs:")).expect("the block is YAML");
    let folder = tempfile::tempdir().expect("a folder");
    let expressions = folder.path().join("flux.json");
    fs::write(&expressions, page["healthCheckExprs"][0].to_string()).expect("the folder is ours");
    let script = root().join("charts/signup-operator/files/argocd-health.lua");
    let words = |line: Value| {
        [&line["kstatus"], &line["flux"], &line["argo"]["status"]].map(|word| word.as_str().expect("text").to_owned())
    };
    tell(["judge".as_ref(), script.as_os_str(), expressions.as_os_str()], objects).into_iter().map(words).collect()
}

/// What the program says of each object.
pub(crate) fn tell(arguments: [&OsStr; 3], objects: &[Value]) -> Vec<Value> {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut telling = command.spawn().expect("it was built");
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    telling.stdin.take().expect("it is piped").write_all(lines.as_bytes()).expect("it reads");
    let done = telling.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).expect("UTF-8");
    let told: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), objects.len());
    told
}

/// State, and what kstatus, Flux and Argo CD have to make of it.
pub(crate) const STATES: [(&str, [&str; 3]); 14] = [
    ("not seen by any operator", ["InProgress", "InProgress", "Progressing"]),
    ("being made", ["InProgress", "InProgress", "Progressing"]),
    ("ready", ["Current", "Current", "Healthy"]),
    ("an edit that the operator has not seen", ["InProgress", "InProgress", "Progressing"]),
    ("new image on its way", ["InProgress", "InProgress", "Progressing"]),
    ("image that is not there", ["InProgress", "InProgress", "Progressing"]),
    ("image that is not there, deadline passed", ["Failed", "Failed", "Degraded"]),
    ("waiting for a Secret", ["InProgress", "InProgress", "Progressing"]),
    ("waiting for a Secret, deadline passed", ["Failed", "Failed", "Degraded"]),
    ("refused, so that only an edit helps", ["Failed", "Failed", "Degraded"]),
    ("paused", ["Current", "Current", "Suspended"]),
    ("paused with an edit that waits", ["Failed", "Failed", "Suspended"]),
    ("carried out, and the mail server is down", ["InProgress", "InProgress", "Degraded"]),
    ("being deleted", ["Terminating", "InProgress", "Progressing"]),
];

/// An object in each of the states, as the operator's own code wrote their status.
pub(crate) fn states() -> Vec<Value> {
    let text = fs::read_to_string(root().join("operator/tests/golden/statuses.json")).expect("it is kept");
    let states: Map<String, Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(states.len(), STATES.len());
    STATES.iter().map(|(name, _)| states[*name].clone()).collect()
}

#[test]
fn each_tool_concludes_of_each_state_what_the_page_says() {
    let objects = states();
    for ((name, expected), judged) in STATES.iter().zip(judge(&objects)) {
        assert_eq!(judged, *expected, "{name}");
    }
}

async fn judged(run: &Run) -> [String; 3] {
    let object = run.api::<SignupPipeline>().get("demo").await.expect("it is there");
    let object = serde_json::to_value(object).expect("JSON");
    tokio::task::spawn_blocking(move || judge(&[object]).remove(0)).await.expect("it judges")
}

#[tokio::test]
async fn a_pipeline_is_done_for_the_tools_when_its_newest_edit_is_and_not_before() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    let fresh = run.api::<SignupPipeline>().get("demo").await.expect("it is there").status.expect("a default");
    assert_eq!(fresh.observed_generation, Some(-1));
    assert_eq!(judged(&run).await[0], "InProgress", "no operator runs");
    run.start();
    run.condition("Reconciling", "True", "RollingOut").await;
    assert_eq!(judged(&run).await[0], "InProgress");
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.pod(name, &FakePod::new().await).await;
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    assert_eq!(judged(&run).await, ["Current", "Current", "Healthy"]);
    run.edit(json!({"image": "signup:absent", "progressDeadline": "10s"})).await;
    // Whatever the operator has done by now.
    assert_eq!(judged(&run).await[0], "InProgress");
    run.condition("Ready", "Unknown", "RollingOut").await;
    let stalled = run.condition("Stalled", "True", "ProgressDeadlineExceeded").await;
    assert!(stalled.message.contains("edit 2 is not carried out after 10s (spec.progressDeadline)"), "{stalled:?}");
    assert_eq!(judged(&run).await, ["Failed", "Failed", "Degraded"]);
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    assert_eq!(judged(&run).await, ["Current", "Current", "Healthy"]);
}

/// Paths at which `live` is not as `applied` says. Fields that others added to an object count as none, as they do for
/// a three-way difference; what is in a list counts as a whole.
fn differences(path: &str, applied: &Value, live: &Value) -> Vec<String> {
    match (applied, live) {
        (Value::Object(applied), Value::Object(live)) => {
            let missing = Value::Null;
            let fields = applied.iter().map(|(name, value)| (name, value, live.get(name).unwrap_or(&missing)));
            fields.flat_map(|(name, value, live)| differences(&format!("{path}.{name}"), value, live)).collect()
        }
        _ if applied == live => Vec::new(),
        _ => vec![format!("{path}: {applied} is {live}")],
    }
}

pub(crate) fn samples() -> Vec<(String, Value)> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(root().join("samples")).expect("they are there") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        for document in text.split("\n---\n") {
            let document: Value = serde_yaml::from_str(document).expect("YAML");
            if document["kind"] == "SignupPipeline" {
                samples.push((path.file_name().expect("a name").to_string_lossy().into_owned(), document));
            }
        }
    }
    samples
}

#[tokio::test]
async fn every_sample_is_read_back_as_it_was_applied_also_while_an_operator_works() {
    let samples = samples();
    assert!(samples.len() > 1, "{samples:?}");
    let written = json!({"queues": [{"name": "critical", "priority": 3}], "task": {"delay": "90s", "deadline": "1h0m"},
        "worker": {"resources": {"limits": {"memory": "0.5Gi", "cpu": "1500m"}}}});
    let mut spelled: Value = serde_yaml::from_str(MINIMAL).expect("YAML");
    let spec = spelled["spec"].as_object_mut().expect("an object");
    spec.extend(written.as_object().expect("an object").clone());
    for (name, sample) in samples.into_iter().chain([("written in other ways".to_owned(), spelled)]) {
        let mut run = Run::new().await;
        run.start();
        let mut applied = sample;
        applied["metadata"]["name"] = json!("demo");
        applied["metadata"]["namespace"] = json!(run.namespace);
        let pipelines: Api<DynamicObject> = Api::namespaced_with(
            client().await,
            &run.namespace,
            &kube::core::ApiResource::erase::<SignupPipeline>(&()),
        );
        let params = PatchParams::apply("gitops").force();
        pipelines.patch("demo", &params, &Patch::Apply(&applied)).await.expect("the sample is valid");
        let looked = |object: &DynamicObject| object.data["status"]["observedGeneration"] == 1;
        let live =
            until("an operator has looked at it", async || pipelines.get("demo").await.ok().filter(looked)).await;
        let value = serde_json::to_value(&live).expect("JSON");
        assert_eq!(differences("", &applied, &value), Vec::<String>::new(), "{name}: a three-way difference");
        let again = pipelines.patch("demo", &params.clone().dry_run(), &Patch::Apply(&applied)).await;
        let again = again.expect("it is still valid");
        assert_eq!(again.data["spec"], live.data["spec"], "{name}: a server-side difference");
        let owners = live
            .metadata
            .managed_fields
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some()));
        let owners: Vec<_> = owners.filter_map(|entry| entry.manager).collect();
        assert_eq!(owners, ["gitops"], "{name}: who writes fields of spec");
    }
}
