//! A simulated kubelet for the worker pods of one namespace.
//!
//! Takes: the pods that ReplicaSets make, and where the queue of each side is. Gives: after a chosen delay a ready pod
//! and a process that takes its tasks, which ends with the pod: SIGTERM, and 30 s later SIGKILL. One that ends by
//! itself is reported as a killed container and started again. Does not: pull images, run containers, or place pods:
//! all are on one node that does not exist.

use crate::{load::Side, record::Record};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};
use std::{collections::HashMap, pin::pin, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::watch,
    task::JoinHandle,
};

/// Between SIGTERM and SIGKILL, shorter than what the pods ask for.
const GRACE: Duration = Duration::from_secs(30);

/// Tasks that a worker runs at once.
pub(crate) const CONCURRENCY: usize = 10;

/// What pods of all sides share.
struct Node {
    client: Client,
    namespace: String,
    sides: HashMap<String, Side>,
    delay: Duration,
    record: Arc<Record>,
    /// Whether the end of a container is reported.
    reports: bool,
}

/// Serves the pods until it is aborted; processes end with this one. Without `reports` the node falls silent when a
/// container ends.
pub(crate) fn start(
    client: Client,
    namespace: &str,
    sides: &[Side],
    delay: Duration,
    record: Arc<Record>,
    reports: bool,
) -> JoinHandle<()> {
    let sides = sides.iter().map(|side| (side.name.clone(), side.clone())).collect();
    let node = Arc::new(Node { client, namespace: namespace.to_owned(), sides, delay, record, reports });
    tokio::spawn(serve(node))
}

async fn serve(node: Arc<Node>) {
    let api: Api<Pod> = Api::namespaced(node.client.clone(), &node.namespace);
    let config = watcher::Config::default().labels("app.kubernetes.io/component=worker");
    let mut events = pin!(watcher(api, config));
    // A pod of which nothing is heard any more has ended.
    let mut stops: HashMap<String, watch::Sender<bool>> = HashMap::new();
    loop {
        let Ok(event) = events.try_next().await else { continue };
        match event {
            Some(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                let uid = pod.uid().unwrap_or_default();
                let stop = stops.entry(uid).or_insert_with(|| begin(&node, &pod));
                stop.send_replace(pod.metadata.deletion_timestamp.is_some());
            }
            Some(watcher::Event::Delete(pod)) => drop(stops.remove(&pod.uid().unwrap_or_default())),
            Some(_) => {}
            None => return,
        }
    }
}

fn begin(node: &Arc<Node>, pod: &Pod) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    let side = pod.labels().get("app.kubernetes.io/instance").and_then(|side| node.sides.get(side));
    if let Some(side) = side {
        tokio::spawn(live(Arc::clone(node), side.clone(), pod.name_any(), stopped));
    }
    stop
}

/// The life of a pod.
async fn live(node: Arc<Node>, side: Side, name: String, mut stop: watch::Receiver<bool>) {
    node.record.pod(&side.name, 1);
    node.bind(&name).await;
    let is_started = tokio::select! {
        () = tokio::time::sleep(node.delay) => true,
        () = stopped(&mut stop) => false,
    };
    if is_started && let Err(error) = node.work(&side, &name, &mut stop).await {
        eprintln!("pod {name}: {error}");
    }
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    // It may be gone.
    let _ = node.pods().delete(&name, &now).await;
    node.record.pod(&side.name, -1);
}

impl Node {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A ReplicaSet removes pods without a node first.
    async fn bind(&self, name: &str) {
        let target = json!({"apiVersion": "v1", "kind": "Node", "name": "simulated"});
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target});
        let pods = self.pods();
        // A pod that is gone needs no node.
        let _ = pods.create_subresource::<Value, Value>("binding", name, &Default::default(), &binding).await;
    }

    /// Runs processes of a pod, one after the other, until it has to end.
    async fn work(&self, side: &Side, name: &str, stop: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut ended = None;
        for restarts in 0.. {
            self.report(name, status(restarts, &running(), ended.as_ref())).await?;
            if self.run(side, name, stop).await? {
                break;
            }
            self.record.killed(&side.name);
            if !self.reports {
                stopped(stop).await;
                break;
            }
            let end = terminated(name, restarts);
            self.report(name, status(restarts, &end, None)).await?;
            ended = Some(end);
        }
        Ok(())
    }

    async fn report(&self, name: &str, status: Value) -> anyhow::Result<()> {
        self.pods().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Runs one of them; false: it ended by itself.
    async fn run(&self, side: &Side, name: &str, stop: &mut watch::Receiver<bool>) -> anyhow::Result<bool> {
        let mut child = process(side, name)?;
        let Some(output) = child.stdout.take() else { return Ok(true) };
        let mut lines = BufReader::new(output).lines();
        let mut running = 0;
        let is_stopped = tokio::select! {
            () = self.listen(side, &mut lines, &mut running) => false,
            () = stopped(stop) => true,
        };
        if is_stopped {
            terminate(&child);
            // What ends by itself in time needs no SIGKILL.
            let _ = tokio::time::timeout(GRACE, self.listen(side, &mut lines, &mut running)).await;
        }
        child.kill().await?;
        self.record.cut(&side.name, running);
        Ok(is_stopped)
    }

    /// Until the process ends; counts the tasks that run.
    async fn listen(&self, side: &Side, lines: &mut Lines<BufReader<ChildStdout>>, running: &mut i32) {
        while let Ok(Some(line)) = lines.next_line().await {
            *running += self.record.line(&side.name, &line);
        }
    }
}

/// Until the pod has to end, or is gone (an error).
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await.map(drop);
}

fn process(side: &Side, name: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", &CONCURRENCY.to_string()]).env("REDIS_URI", &side.uri).env("HOSTNAME", name);
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
}

fn terminate(child: &Child) {
    let id = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    if let Some(id) = id {
        // One that has just ended is as good as signalled.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
}

/// States of a container, as kubelet writes them.
fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

fn terminated(name: &str, restarts: u32) -> Value {
    let (id, at) = (format!("simulated://{name}-{restarts}"), jiff::Timestamp::now().to_string());
    json!({"terminated": {"containerID": id, "exitCode": 137, "reason": "OOMKilled", "finishedAt": at}})
}

/// The status of a pod, whose admin port refuses connections.
fn status(restarts: u32, state: &Value, last_state: Option<&Value>) -> Value {
    let runs = state.get("running").is_some();
    let ready = if runs { "True" } else { "False" };
    let since = "2026-01-01T00:00:00Z";
    let condition = |(kind, status)| json!({"type": kind, "status": status, "lastTransitionTime": since});
    let before = last_state.cloned().unwrap_or_else(|| json!({}));
    let conditions: [(&str, &str); 5] = [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", "True"),
    ];
    json!({"status": {
        "phase": "Running", "podIP": "127.0.99.99", "podIPs": [{"ip": "127.0.99.99"}],
        "conditions": conditions.map(condition), "containerStatuses": [{
            "name": "worker", "ready": runs, "started": runs, "restartCount": restarts,
            "image": "localhost/signup:0.1.0", "imageID": "", "state": state, "lastState": before,
        }],
    }})
}
