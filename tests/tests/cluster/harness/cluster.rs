//! The running cluster, and whose turn it is.
//!
//! Takes: `target/cluster` (or the folder that CLUSTER_DIR names). Gives: a client with every right, the programs
//! beside it, and a turn: tests that keep to their namespaces go together, tests that disturb everybody go alone. Does
//! not: start anything.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the operator runs.
pub(crate) const OPERATOR_NAMESPACE: &str = "signup-system";
/// Name of the operator's Deployment.
pub(crate) const OPERATOR: &str = "signup-operator";

/// How a test goes along with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It keeps to its own namespace.
    Shared,
    /// It stops or replaces what all use (the operator, the API server): no other test runs meanwhile, of any process.
    Alone,
}

/// The cluster, for as long as the test's turn lasts.
pub(crate) struct Cluster {
    /// With every right.
    pub(crate) client: Client,
    /// Holds the turn: a lock of the whole machine, given back when the file is closed.
    _turn: File,
}

impl Cluster {
    /// Waits for the turn and connects.
    ///
    /// # Panics
    ///
    /// When no cluster runs.
    pub(crate) async fn take(turn: Turn) -> Self {
        // Fails only when a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = state().join("kubeconfig");
        assert!(
            kubeconfig.is_file(),
            "no cluster runs: {} is missing; start it with `make cluster`",
            kubeconfig.display()
        );
        let held = tokio::task::spawn_blocking(move || hold(turn)).await.expect("it does not panic");
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("up.sh writes a valid kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("its context is complete")).expect("a client");
        if let Err(error) = client.apiserver_version().await {
            panic!("the cluster does not answer ({error}); start it again with `make cluster`");
        }
        Self { client, _turn: held }
    }

    /// The image that the operator runs; all programs are in it.
    ///
    /// # Panics
    ///
    /// When no operator is deployed.
    pub(crate) async fn image(&self) -> String {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let operator = deployments.get(OPERATOR).await.expect("an operator; deploy it with tests/cluster/deploy.sh");
        let pod = operator.spec.and_then(|spec| spec.template.spec);
        pod.and_then(|pod| pod.containers.into_iter().next()?.image).expect("a container with an image")
    }

    /// The same image under another tag, which pods take for another image.
    ///
    /// # Panics
    ///
    /// When containerd refuses.
    pub(crate) async fn image_again(&self, tag: &str) -> String {
        let image = self.image().await;
        let (name, _) = image.rsplit_once(':').expect("an image with a tag");
        let again = format!("{name}:{tag}");
        let mut containerd = Command::new("ctr");
        containerd.args(["--address", "/run/signup-cluster/containerd.sock", "--namespace", "k8s.io"]);
        let output = containerd.args(["images", "tag", "--force", &image, &again]).output().expect("ctr runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        again
    }
}

/// Waits until no other process or test holds the lock in a way that excludes `turn`.
fn hold(turn: Turn) -> File {
    let lock = File::create(folder().join("test-turn")).expect("the cluster's folder can be written");
    match turn {
        Turn::Shared => lock.lock_shared(),
        Turn::Alone => lock.lock(),
    }
    .expect("the lock of the cluster's tests");
    lock
}

fn folder() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster");
    std::env::var_os("CLUSTER_DIR").map_or(usual, PathBuf::from)
}

/// Folder of what the running cluster writes.
pub(crate) fn state() -> PathBuf {
    folder().join("state")
}

/// `kubectl` with the cluster's kubeconfig.
pub(crate) fn kubectl() -> Command {
    let programs = std::env::var_os("CLUSTER_PROGRAMS").map_or_else(folder, PathBuf::from);
    let mut command = Command::new(programs.join("bin/kubectl"));
    command.arg("--kubeconfig").arg(state().join("kubeconfig"));
    command
}
