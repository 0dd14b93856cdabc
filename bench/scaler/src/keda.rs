//! KEDA itself: its operator and its metrics adapter, in processes of their own, behind the API server's aggregator.
//!
//! Takes: the programs and definitions that `keda.sh` makes. Gives: a Deployment and a ScaledObject per side, with
//! KEDA's defaults, or tuned as a skilled user would. Does not: model anything.
//!
//! `listLength` is 100 on both: ten slots a pod x 10 s of target / 1 s a task. KEDA's own default, 5, would ask for
//! twenty times the pods.

use crate::{
    control_plane::{ADAPTER, ControlPlane, KEDA},
    load::{QUEUE, Side},
    objects::{api, apply},
};
use anyhow::{Context, ensure};
use kube::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use servers::{Process, free_port};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Both processes; dropped, they end.
pub(crate) struct Keda {
    _adapter: Process,
    _operator: Process,
}

/// How a side is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// What is not named is as KEDA has it.
    Default,
    /// Polls every second, sees what runs, grows in one step.
    Tuned,
}

/// What a load asks of a ScaledObject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) flavour: Flavour,
    pub(crate) min: u32,
    /// Tasks that are not due count like those that are: without it KEDA sees no delayed task while there is no worker.
    pub(crate) counts_scheduled: bool,
    /// Seconds from the last task to no pod; KEDA's default is 300.
    pub(crate) cooldown: Option<u32>,
}

impl Keda {
    pub(crate) async fn start(plane: &ControlPlane, made: &Path) -> anyhow::Result<Self> {
        let client = plane.client()?;
        install(&client, made).await?;
        let [metrics, health, grpc, port, adapter_metrics] = {
            let mut ports = [0; 5];
            for port in &mut ports {
                *port = free_port()?;
            }
            ports
        };
        let mut operator = prepare(plane, "bench-keda", KEDA)?;
        let mut command = command(&operator, &made.join("keda-operator"))?;
        command.arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"));
        command.arg(format!("--health-probe-bind-address=127.0.0.1:{health}"));
        command.arg(format!("--metrics-service-bind-address=127.0.0.1:{grpc}"));
        operator.spawn(command)?;
        let mut adapter = prepare(plane, "bench-adapter", ADAPTER)?;
        adapter.spawn(adapter_command(&adapter, made, (grpc, port, adapter_metrics))?)?;
        register(&client, port).await?;
        wait_until_available(&client, [&operator, &adapter]).await?;
        Ok(Self { _adapter: adapter, _operator: operator })
    }
}

async fn install(client: &Client, made: &Path) -> anyhow::Result<()> {
    let folder = made.join("keda-crds");
    let files =
        fs::read_dir(&folder).with_context(|| format!("{} is missing. Fix: bench/scaler/keda.sh", folder.display()))?;
    for file in files {
        let text = fs::read_to_string(file?.path())?;
        apply(client, "bench", serde_yaml::from_str(&text)?).await?;
    }
    apply(client, "bench", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}})).await?;
    Ok(())
}

/// A folder with a kubeconfig and certificates by the names that KEDA looks for.
fn prepare(plane: &ControlPlane, name: &str, token: &str) -> anyhow::Result<Process> {
    let process = Process::new(name, Signal::KILL)?;
    fs::write(process.folder().join("kubeconfig"), plane.kubeconfig(token))?;
    let authority = &plane.authority;
    for (file, from) in [("ca.crt", authority.ca()), ("tls.crt", authority.certificate()), ("tls.key", authority.key())]
    {
        fs::copy(from, process.folder().join(file))?;
    }
    Ok(process)
}

fn command(process: &Process, program: &Path) -> anyhow::Result<Command> {
    ensure!(program.is_file(), "{} is missing. Fix: bench/scaler/keda.sh", program.display());
    let mut command = Command::new(program);
    command.arg(format!("--cert-dir={}", process.folder().display()));
    command.env("KUBECONFIG", process.folder().join("kubeconfig")).env("WATCH_NAMESPACE", "");
    command.env("POD_NAMESPACE", "keda").env("POD_NAME", "keda").env("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda");
    Ok(command)
}

fn adapter_command(process: &Process, made: &Path, (grpc, port, metrics): (u16, u16, u16)) -> anyhow::Result<Command> {
    let mut command = command(process, &made.join("keda-adapter"))?;
    let file = |name: &str| process.folder().join(name).display().to_string();
    for flag in ["lister-kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
        command.arg(format!("--{flag}={}", file("kubeconfig")));
    }
    command.arg(format!("--tls-cert-file={}", file("tls.crt")));
    command.arg(format!("--tls-private-key-file={}", file("tls.key")));
    command.arg(format!("--client-ca-file={}", file("ca.crt")));
    command.arg(format!("--secure-port={port}")).arg(format!("--port={metrics}"));
    command.arg(format!("--metrics-service-address=localhost:{grpc}"));
    Ok(command)
}

/// By a name of the machine, for the cluster has no Service network.
async fn register(client: &Client, port: u16) -> anyhow::Result<()> {
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "keda-metrics-apiserver", "namespace": "keda"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}});
    apply(client, "bench", service).await?;
    let registration = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {"group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": "keda-metrics-apiserver", "namespace": "keda", "port": port}}});
    apply(client, "bench", registration).await?;
    Ok(())
}

async fn wait_until_available(client: &Client, processes: [&Process; 2]) -> anyhow::Result<()> {
    let services = api(client, ("apiregistration.k8s.io/v1", "APIService"), None);
    let began = Instant::now();
    loop {
        let found = services.get("v1beta1.external.metrics.k8s.io").await?;
        let conditions =
            found.data.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        if conditions.iter().any(|condition| condition["type"] == "Available" && condition["status"] == "True") {
            return Ok(());
        }
        let logs = processes.map(|process| process.log().lines().rev().take(8).collect::<Vec<_>>().join("\n"));
        ensure!(began.elapsed() < Duration::from_secs(120), "KEDA's metrics are not served: {conditions:?} {logs:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A Deployment without pods, and its ScaledObject.
pub(crate) async fn scale(client: &Client, namespace: &str, side: &Side, wish: Wish) -> anyhow::Result<()> {
    let (head, path) = side.uri.rsplit_once('@').context("a URI with a password")?;
    let password = head.rsplit_once(':').context("a URI with a password")?.1;
    let labels = json!({"app.kubernetes.io/instance": side.name, "app.kubernetes.io/component": "worker"});
    let container =
        json!({"name": "worker", "image": "signup:bench", "env": [{"name": "REDIS_PASSWORD", "value": password}]});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": side.deployment(), "namespace": namespace},
        "spec": {"replicas": wish.min, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}});
    apply(client, "bench", deployment).await?;
    apply(client, "bench", scaled_object(namespace, side, path, wish)).await?;
    Ok(())
}

fn scaled_object(namespace: &str, side: &Side, address: &str, wish: Wish) -> Value {
    let (address, database) = address.split_once('/').unwrap_or((address, "0"));
    let trigger = |list: &str, length: &str| {
        json!({"type": "redis", "metadata": {"address": address, "passwordFromEnv": "REDIS_PASSWORD",
            "databaseIndex": database, "listName": format!("asynq:{{{QUEUE}}}:{list}"), "listLength": length}})
    };
    let mut triggers = vec![trigger("pending", "100")];
    let mut spec =
        json!({"scaleTargetRef": {"name": side.deployment()}, "minReplicaCount": wish.min, "maxReplicaCount": 50});
    if wish.flavour == Flavour::Tuned {
        triggers.push(trigger("active", "10"));
        let policy = json!({"type": "Pods", "value": 1000, "periodSeconds": 15});
        let at_once = json!({"stabilizationWindowSeconds": 0, "policies": [policy]});
        spec["pollingInterval"] = json!(1);
        spec["advanced"] = json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": at_once}}});
    }
    if wish.counts_scheduled {
        triggers.push(trigger("scheduled", "100"));
    }
    if let Some(cooldown) = wish.cooldown {
        spec["cooldownPeriod"] = json!(cooldown);
    }
    spec["triggers"] = json!(triggers);
    json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": side.name, "namespace": namespace}, "spec": spec})
}
