//! The operator under test, in a process of its own, and the pipelines that it scales.
//!
//! Takes: the program `operator`. Gives: its memory and processor time, and pipelines without pods of api. Does not:
//! share anything with the bench's own process.

use crate::{
    control_plane::{ControlPlane, OPERATOR},
    load::Side,
    objects::apply,
};
use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};
use rustix::process::Signal;
use serde_json::{Value, json};
use servers::Process;
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Of processor time in /proc, on every Linux that Rust runs on.
const TICKS_OF_A_SECOND: f64 = 100.0;
const KIB_OF_A_MIB: f64 = 1024.0;

/// A running operator.
pub(crate) struct Operator(Process);

impl Operator {
    /// Installs the resource and starts the operator for all namespaces.
    pub(crate) async fn start(plane: &ControlPlane, programs: &Path, secrets_access: &str) -> anyhow::Result<Self> {
        let program = programs.join("operator");
        ensure!(program.is_file(), "{} is missing. Fix: cargo build --release -p operator", program.display());
        let definition = Command::new(&program).arg("crd").output()?.stdout;
        let definition: Value = serde_yaml::from_str(std::str::from_utf8(&definition)?)?;
        apply(&plane.client()?, "bench", definition).await?;
        let mut process = Process::new("bench-operator", Signal::KILL)?;
        let kubeconfig = process.folder().join("kubeconfig");
        fs::write(&kubeconfig, plane.kubeconfig(OPERATOR))?;
        let mut command = Command::new(program);
        command.args(["run", "--admin=127.0.0.1:0", "--lease-namespace=default", "--image=signup:bench"]);
        command.env("KUBECONFIG", &kubeconfig).env("SECRETS_ACCESS", secrets_access);
        process.spawn(command)?;
        let operator = Self(process);
        operator.leads().await?;
        Ok(operator)
    }

    async fn leads(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.0.log().contains("leading") {
            ensure!(began.elapsed() < Duration::from_secs(60), "the operator does not lead: {}", self.0.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Resident memory in MiB (VmRSS of proc(5)).
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kib / KIB_OF_A_MIB)
    }

    /// Seconds of processor time so far (utime and stime of proc(5)).
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().context("no fields")?.split(' ').collect();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).context("no ticks");
        Ok((ticks(11)? + ticks(12)?) / TICKS_OF_A_SECOND)
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.0.pid().context("the operator does not run")
    }

    /// How long edits waited for their turn: turns that waited at most a second, and all.
    pub(crate) async fn turns_of_edits(&self) -> anyhow::Result<(u64, u64)> {
        let log = self.0.log();
        let address = log.lines().find_map(|line| line.split_once("\"admin\":\"")?.1.split('"').next());
        let url = format!("http://{}/metrics", address.context("the operator does not say where it listens")?);
        let metrics = reqwest::get(url).await?.text().await?;
        let bucket = |bound: &str| {
            let name = format!("signup_operator_reconcile_queue_seconds_bucket{{cause=\"edit\",le=\"{bound}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
        };
        Ok((bucket("1"), bucket("+Inf")))
    }
}

/// A pipeline as people write it, with its Secret of Redis; the databases of all share a Secret.
pub(crate) async fn pipeline(
    client: &Client,
    namespace: &str,
    side: &Side,
    autoscaling: &Value,
) -> anyhow::Result<Value> {
    secret(client, namespace, &side.name, &side.uri).await?;
    let pipeline = json!({
        "apiVersion": "signup.dev/v1alpha1", "kind": "SignupPipeline",
        "metadata": {"name": side.name, "namespace": namespace},
        "spec": {
            "database": {"secretRef": {"name": "app-db"}}, "redis": {"secretRef": {"name": side.name}},
            "mail": {"from": "no-reply@example.com", "smtp": {"host": "smtp.example.com"}},
            "verification": {"publicURL": "https://app.example.com"},
            "api": {"replicas": 0}, "worker": {"concurrency": crate::kubelet::CONCURRENCY, "autoscaling": autoscaling},
        },
    });
    apply(client, "bench", pipeline.clone()).await?;
    Ok(pipeline)
}

/// A namespace with the Secret of the database.
pub(crate) async fn namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    apply(client, "bench", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
    secret(client, name, "app-db", "postgres://app:unused@db.test:5432/app").await
}

async fn secret(client: &Client, namespace: &str, name: &str, uri: &str) -> anyhow::Result<()> {
    let metadata = json!({"name": name, "namespace": namespace});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"uri": uri}});
    apply(client, "bench", secret).await?;
    Ok(())
}

/// Wanted and ready pods of a side; `None` before there is a Deployment.
pub(crate) async fn pods(client: &Client, namespace: &str, side: &Side) -> Option<(i32, i32)> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let deployment = api.get(&side.deployment()).await.ok()?;
    let ready = deployment.status.and_then(|status| status.ready_replicas).unwrap_or(0);
    Some((deployment.spec?.replicas.unwrap_or(1), ready))
}
