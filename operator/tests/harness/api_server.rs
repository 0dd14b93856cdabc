//! A real etcd and kube-apiserver for one test process, on free ports, in temporary folders that go with it.
//!
//! Takes: the programs that tests/cluster builds (in `target/cluster`, or the folder that CLUSTER_PROGRAMS names), and
//! the name of the API server's where it is another version's (KUBE_APISERVER).
//! Gives: a client configuration with every right, and the audit log of all requests. Does not: run controllers or
//! nodes: Deployments get no pods, and owner references collect no garbage.

mod audit;

pub(crate) use self::audit::{audit, entries};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, CustomResourceExt,
    api::{Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use rustix::process::Signal;
use servers::Process;
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// Far above what anything here needs, so that a loaded machine does not fail.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "test-token";

/// A user as a service account of the chart is one, so that the API server shares its time out as in a cluster.
pub(crate) const OPERATOR_TOKEN: &str = "operator-token";
const OPERATOR: &str = ",system:serviceaccount:signup-system:signup-operator,2,\"system:serviceaccounts,operators\"\n";

/// One server, with the etcd it keeps everything in.
pub(crate) struct ApiServer {
    _etcd: Process,
    server: Process,
    port: u16,
}

/// The one server of this process.
static SERVER: OnceLock<ApiServer> = OnceLock::new();

pub(crate) fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster");
    let path = std::env::var_os("CLUSTER_PROGRAMS").map_or(built, PathBuf::from).join("bin").join(name);
    assert!(path.is_file(), "{} is missing. Fix: tests/cluster/build.sh {name}", path.display());
    path
}

/// Starts a server, which ends with the value.
pub(crate) fn start() -> ApiServer {
    let [client, peer, port] = [(); 3].map(|()| servers::free_port().expect("a free port"));
    let mut etcd = Process::new("signup-etcd", Signal::KILL).expect("a folder");
    let urls = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = Command::new(program("etcd"));
    command.arg("--data-dir").arg(etcd.folder().join("data")).args(["--unsafe-no-fsync", "--name", "test"]);
    command.arg(format!("--listen-client-urls={}", urls[0])).arg(format!("--advertise-client-urls={}", urls[0]));
    command.arg(format!("--listen-peer-urls={}", urls[1])).arg(format!("--initial-advertise-peer-urls={}", urls[1]));
    command.arg(format!("--initial-cluster=test={}", urls[1]));
    etcd.spawn(command).expect("etcd starts");
    let mut server = Process::new("signup-apiserver", Signal::KILL).expect("a folder");
    server.spawn(api_server(server.folder(), &urls[0], port)).expect("the API server starts");
    let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    server.until("kube-apiserver", answers).expect("the API server listens");
    ApiServer { _etcd: etcd, server, port }
}

/// Service account keys are demanded, though nothing uses them here.
fn api_server(folder: &Path, etcd: &str, port: u16) -> Command {
    let key = folder.join("service-accounts.key");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output().expect("openssl runs");
    assert!(made.status.success(), "openssl makes no key");
    fs::write(folder.join("tokens.csv"), format!("{TOKEN},admin,1,system:masters\n{OPERATOR_TOKEN}{OPERATOR}"))
        .expect("the folder is ours");
    let policy =
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";
    fs::write(folder.join("audit-policy.yaml"), policy).expect("the folder is ours");
    let name = std::env::var("KUBE_APISERVER").unwrap_or_else(|_| "kube-apiserver".to_owned());
    let mut command = Command::new(program(&name));
    command.arg(format!("--etcd-servers={etcd}")).arg(format!("--secure-port={port}"));
    command.args(["--bind-address=127.0.0.1", "--advertise-address=10.0.0.1", "--endpoint-reconciler-type=none"]);
    command.args([
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        "--authorization-mode=RBAC",
        "--profiling=false",
    ]);
    // Without a controller manager no namespace gets its default ServiceAccount.
    command.arg("--disable-admission-plugins=ServiceAccount");
    // In megabytes: a log that is begun anew would lack what was counted before.
    command.arg("--audit-log-maxsize=100000");
    command.arg("--service-account-issuer=https://kubernetes.default.svc");
    for (flag, file) in [
        ("cert-dir", "certificates"),
        ("service-account-key-file", "service-accounts.key"),
        ("service-account-signing-key-file", "service-accounts.key"),
        ("token-auth-file", "tokens.csv"),
        ("audit-policy-file", "audit-policy.yaml"),
        ("audit-log-path", "audit.log"),
    ] {
        command.arg(format!("--{flag}={}", folder.join(file).display()));
    }
    command
}

impl ApiServer {
    /// Every right; `accept_invalid_certs`, because the server made its certificate itself a moment ago, on this
    /// machine.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(format!("https://127.0.0.1:{}", self.port).parse().expect("a URI"));
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(secrecy::SecretString::from(TOKEN));
        config
    }
}

/// The configuration of clients of the one server.
pub(crate) async fn config() -> Config {
    tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.expect("it does not panic").config()
}

/// A client of the one server, with the CRD in place.
pub(crate) async fn client() -> Client {
    client_of(config().await, SignupPipeline::crd()).await
}

/// A client of a server, with that CRD in place.
pub(crate) async fn client_of(config: Config, crd: CustomResourceDefinition) -> Client {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(config).expect("a client");
    until("the API server is ready", async || client.apiserver_version().await.ok()).await;
    let (crds, name): (Api<CustomResourceDefinition>, _) = (Api::all(client.clone()), SignupPipeline::crd_name());
    let (params, patch) = (PatchParams::apply("test").force(), Patch::Apply(crd));
    until("the CRD is accepted", async || crds.patch(name, &params, &patch).await.ok()).await;
    let pipelines: Api<SignupPipeline> = Api::all(client.clone());
    until("pipelines are served", async || pipelines.list(&Default::default()).await.ok()).await;
    client
}

/// Asks until `ready` gives something.
pub(crate) async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    servers::until(what, LIMIT, async || ready().await.ok_or_else(String::new)).await
}
