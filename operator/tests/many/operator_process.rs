//! The operator as it is shipped: its program, built for release, in a process of its own.
//!
//! Takes: an API server's address and a user's token; OPERATOR_PROGRAM, when it is another program. Gives: the running
//! process, its metrics and its memory. Does not: share anything with the test's own process, so that what is measured
//! is the operator's.

use rustix::process::Signal;
use servers::Process;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const KIB_OF_A_MIB: f64 = 1024.0;

/// A running operator; dropped, it is killed.
pub(crate) struct OperatorProcess(Process);

impl OperatorProcess {
    /// Builds the program when it is not current, and starts it for all namespaces of the API server at `address`.
    /// `access`: how it finds out about Secrets.
    pub(crate) fn start(address: &str, token: &str, access: &str) -> Self {
        let mut process = Process::new("signup-operator", Signal::KILL).expect("a folder");
        let kubeconfig = process.folder().join("kubeconfig");
        fs::write(&kubeconfig, config(address, token)).expect("the folder is ours");
        let mut command = Command::new(given_program().unwrap_or_else(release_build));
        command.args(["run", "--admin=127.0.0.1:0", "--lease-namespace=default", "--image=signup:test"]);
        process
            .spawn({
                command.env("KUBECONFIG", &kubeconfig).env("SECRETS_ACCESS", access);
                command
            })
            .expect("it starts");
        Self(process)
    }

    /// Resident memory in MiB (VmRSS of proc(5)).
    pub(crate) fn resident_mib(&self) -> f64 {
        self.figure_mib("VmRSS:")
    }

    /// The most that it ever was (VmHWM) may be `max` where it is the program as it is shipped.
    pub(crate) fn judge_memory(&self, max: f64) {
        let most = self.figure_mib("VmHWM:");
        println!("at most {most:.1} MiB");
        assert!(most <= max || given_program().is_some(), "{most:.1} MiB");
    }

    /// The text of /metrics.
    pub(crate) async fn metrics(&self) -> String {
        let log = self.log();
        let address = log.lines().find_map(|line| line.split_once("\"admin\":\"")?.1.split('"').next());
        let url = format!("http://{}/metrics", address.expect("it says where it listens"));
        let answer = reqwest::get(url).await.expect("it answers");
        answer.text().await.expect("it is text")
    }

    /// Reconciles so far.
    pub(crate) async fn reconciles(&self) -> usize {
        let metrics = self.metrics().await;
        let count = metrics.lines().find_map(|line| line.strip_prefix("signup_operator_reconciles_total "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn figure_mib(&self, name: &str) -> f64 {
        let pid = self.0.pid().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("proc(5) names it");
        let kib: f64 = line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number");
        kib / KIB_OF_A_MIB
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.0.folder().join("log")).unwrap_or_default()
    }
}

/// The server made its certificate itself a moment ago, on this machine.
fn config(address: &str, token: &str) -> String {
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
    });
    config.to_string()
}

fn given_program() -> Option<PathBuf> {
    std::env::var_os("OPERATOR_PROGRAM").map(PathBuf::from)
}

fn release_build() -> PathBuf {
    let debug = Path::new(env!("CARGO_BIN_EXE_operator"));
    let mut build = Command::new(env!("CARGO"));
    servers::nested_cargo(&mut build).args(["build", "--quiet", "--release", "-p", "operator", "--bin", "operator"]);
    assert!(build.status().expect("cargo runs").success(), "the operator does not build");
    let target = debug.parent().and_then(Path::parent).expect("target/PROFILE/operator");
    target.join("release/operator")
}
