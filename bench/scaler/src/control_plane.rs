//! etcd, kube-apiserver and kube-controller-manager, on free ports, in temporary folders that go with the value.
//!
//! Takes: the programs that tests/cluster/build.sh makes. Gives: an API server with an aggregator, users by token, and
//! an audit log; controllers of Deployments, ReplicaSets and HorizontalPodAutoscalers. Does not: schedule, run nodes,
//! or collect what is left of deleted objects.

use crate::audit::Audit;
use anyhow::{Context, ensure};
use kube::{Client, Config};
use rustix::process::Signal;
use serde_json::json;
use servers::{Authority, Process, free_port};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Of the user who may do everything, and of those who run here.
pub(crate) const ADMIN: &str = "admin-token";
pub(crate) const OPERATOR: &str = "operator-token";
pub(crate) const KEDA: &str = "keda-token";
pub(crate) const ADAPTER: &str = "adapter-token";
const MANAGER: &str = "manager-token";

const USERS: &str = "admin-token,admin,1,system:masters
manager-token,system:kube-controller-manager,2,system:masters
operator-token,system:serviceaccount:signup-system:signup-operator,3,\"system:serviceaccounts,scalers\"
keda-token,system:serviceaccount:keda:keda-operator,4,\"system:serviceaccounts,scalers\"
adapter-token,system:serviceaccount:keda:keda-metrics-server,5,\"system:serviceaccounts,scalers\"
";

/// Numbers of replicas are in the bodies of requests.
const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, verbs: [watch]}
  - {level: Request, verbs: [patch, update], resources: [{group: apps, resources: [deployments/scale]}]}
  - {level: Metadata}
";

/// A loaded machine may take its time.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running control plane.
pub(crate) struct ControlPlane {
    port: u16,
    pub(crate) audit: Audit,
    pub(crate) authority: Authority,
    // In the order in which they end.
    _manager: Process,
    _server: Process,
    _etcd: Process,
}

impl ControlPlane {
    /// Starts all three and waits until the API server answers.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let authority = Authority::make()?;
        let (etcd, etcd_uri) = start_etcd()?;
        let mut server = Process::new("bench-apiserver", Signal::KILL)?;
        let port = free_port()?;
        write_settings(server.folder())?;
        server.spawn(api_server(server.folder(), &etcd_uri, port, &authority)?)?;
        wait_until_ready(port, &server).await?;
        let mut manager = Process::new("bench-controllers", Signal::KILL)?;
        let kubeconfig = manager.folder().join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_of(port, MANAGER))?;
        manager.spawn(controllers(&kubeconfig, manager.folder())?)?;
        let audit = Audit(server.folder().join("audit.log"));
        Ok(Self { port, audit, authority, _manager: manager, _server: server, _etcd: etcd })
    }

    /// A client with every right.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        client(self.port)
    }

    /// For the user of a token.
    pub(crate) fn kubeconfig(&self, token: &str) -> String {
        kubeconfig_of(self.port, token)
    }
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("CLUSTER_PROGRAMS").map_or("target/cluster".into(), PathBuf::from);
    let path = folder.join("bin").join(name);
    ensure!(path.is_file(), "{} is missing. Fix: tests/cluster/build.sh {name}", path.display());
    Ok(path)
}

fn start_etcd() -> anyhow::Result<(Process, String)> {
    let [client, peer] = [free_port()?, free_port()?].map(|port| format!("http://127.0.0.1:{port}"));
    let mut etcd = Process::new("bench-etcd", Signal::KILL)?;
    let mut command = Command::new(program("etcd")?);
    command.arg("--data-dir").arg(etcd.folder().join("data")).args(["--unsafe-no-fsync", "--name", "bench"]);
    command.args(["--quota-backend-bytes=8589934592", "--log-level=warn"]);
    command.arg(format!("--listen-client-urls={client}")).arg(format!("--advertise-client-urls={client}"));
    command.arg(format!("--listen-peer-urls={peer}")).arg(format!("--initial-advertise-peer-urls={peer}"));
    command.arg(format!("--initial-cluster=bench={peer}"));
    etcd.spawn(command)?;
    Ok((etcd, client))
}

fn write_settings(folder: &Path) -> anyhow::Result<()> {
    let key = folder.join("service-accounts.key");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output()?;
    ensure!(made.status.success(), "openssl makes no key: {}", String::from_utf8_lossy(&made.stderr));
    fs::write(folder.join("tokens.csv"), USERS)?;
    fs::write(folder.join("audit-policy.yaml"), POLICY)?;
    Ok(())
}

fn api_server(folder: &Path, etcd: &str, port: u16, authority: &Authority) -> anyhow::Result<Command> {
    let mut command = Command::new(program("kube-apiserver")?);
    command.arg(format!("--etcd-servers={etcd}")).arg(format!("--secure-port={port}"));
    command.args(["--bind-address=127.0.0.1", "--advertise-address=10.0.0.1", "--endpoint-reconciler-type=none"]);
    command.args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--profiling=false"]);
    // Without its controller no namespace gets its default ServiceAccount.
    command.args(["--disable-admission-plugins=ServiceAccount", "--audit-log-maxsize=100000"]);
    command.arg("--service-account-issuer=https://kubernetes.default.svc");
    // The aggregator, by which KEDA's figures reach the HorizontalPodAutoscaler.
    command.args(["--requestheader-allowed-names=localhost", "--requestheader-group-headers=X-Remote-Group"]);
    command.args([
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]);
    for (flag, file) in [
        ("cert-dir", folder.join("certificates")),
        ("service-account-key-file", folder.join("service-accounts.key")),
        ("service-account-signing-key-file", folder.join("service-accounts.key")),
        ("token-auth-file", folder.join("tokens.csv")),
        ("audit-policy-file", folder.join("audit-policy.yaml")),
        ("audit-log-path", folder.join("audit.log")),
        ("requestheader-client-ca-file", authority.ca()),
        ("proxy-client-cert-file", authority.certificate()),
        ("proxy-client-key-file", authority.key()),
    ] {
        command.arg(format!("--{flag}={}", file.display()));
    }
    Ok(command)
}

fn controllers(kubeconfig: &Path, folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program("kube-controller-manager")?);
    command.arg(format!("--kubeconfig={}", kubeconfig.display())).arg(format!("--secure-port={}", free_port()?));
    command.arg(format!("--cert-dir={}", folder.join("certificates").display()));
    command.args(["--bind-address=127.0.0.1", "--leader-elect=false", "--kube-api-qps=100", "--kube-api-burst=200"]);
    let names = ["deployment", "replicaset", "horizontal-pod-autoscaler", "garbage-collector"];
    command.arg(format!("--controllers={}", names.map(|name| format!("{name}-controller")).join(",")));
    Ok(command)
}

/// The server made its certificate itself a moment ago, on this machine.
fn kubeconfig_of(port: u16, token: &str) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench",
            "cluster": {"server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "user"}}],
    });
    config.to_string()
}

fn client(port: u16) -> anyhow::Result<Client> {
    let mut config = Config::new(format!("https://127.0.0.1:{port}").parse().context("not a URI")?);
    config.accept_invalid_certs = true;
    config.auth_info.token = Some(secrecy::SecretString::from(ADMIN));
    Ok(Client::try_from(config)?)
}

async fn wait_until_ready(port: u16, server: &Process) -> anyhow::Result<()> {
    let client = client(port)?;
    let began = std::time::Instant::now();
    while client.apiserver_version().await.is_err() {
        ensure!(began.elapsed() < START_LIMIT, "the API server does not answer: {}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
