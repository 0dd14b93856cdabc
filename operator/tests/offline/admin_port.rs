//! The operator's admin port in networks of either family: the kubelet asks it at the pod's address, whichever that is.

use rustix::process::Signal;
use serde_json::Value;
use servers::{Network, Process};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody answers there, and the operator waits for it.
const CLUSTER: &str = "apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: 'https://127.0.0.1:1'}}]
contexts: [{name: none, context: {cluster: none}}]
current-context: none
";

/// The address in the log line `listening`, once there is one.
fn listening(process: &Process) -> Option<SocketAddr> {
    let log = process.log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find(|line| line["message"] == "listening")?["admin"].as_str()?.parse().ok()
}

fn is_alive(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    write!(stream, "GET /livez HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.starts_with("HTTP/1.1 200")
}

fn is_alive_at_every_address(network: Network, name: &str) {
    network.run(name, || {
        let mut process = Process::new("operator", Signal::KILL).expect("a folder");
        let kubeconfig = process.folder().join("kubeconfig");
        fs::write(&kubeconfig, CLUSTER).expect("the folder is ours");
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_operator")));
        command.args(["run", "--admin=0.0.0.0:0", "--log-format=json"]).env("KUBECONFIG", kubeconfig);
        process.spawn(command).expect("it starts");
        let port = servers::until_blocking("it listens", PATIENCE, || listening(&process).ok_or(process.log())).port();
        for address in network.addresses() {
            assert!(is_alive(SocketAddr::new(address, port)), "{address}");
        }
    });
}

#[test]
fn the_operator_is_alive_at_addresses_of_both_families() {
    is_alive_at_every_address(Network::Both, "admin_port::the_operator_is_alive_at_addresses_of_both_families");
}

#[test]
fn the_operator_is_alive_where_there_is_only_ipv6() {
    is_alive_at_every_address(Network::V6, "admin_port::the_operator_is_alive_where_there_is_only_ipv6");
}

#[test]
fn the_operator_is_alive_where_there_is_no_ipv6() {
    is_alive_at_every_address(Network::NoFamily, "admin_port::the_operator_is_alive_where_there_is_no_ipv6");
}
