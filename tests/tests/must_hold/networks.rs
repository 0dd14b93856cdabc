//! The thread in networks of either family of addresses, and of both.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};
use servers::Network;
use std::net::TcpStream;

fn the_thread_holds(network: Network, name: &str) {
    network.run(name, || {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(thread(network));
    });
}

/// PostgreSQL, Redis and the mail server are named by their addresses of IPv6 where there are any.
async fn thread(network: Network) {
    let pipeline = Pipeline::start(Options::new().in_network(network)).await;
    let (api, worker) = (&pipeline.apis[0], &pipeline.workers[0]);
    for (program, flag) in [(api, "http"), (api, "grpc"), (api, "admin"), (worker, "admin")] {
        let port = program.address(flag).port();
        for address in network.addresses() {
            TcpStream::connect((address, port)).unwrap_or_else(|error| panic!("{flag} at {address}: {error}"));
        }
    }
    let attempts = pipeline.sign_up(4, 2).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[test]
fn both_families() {
    the_thread_holds(Network::Both, "networks::both_families");
}

#[test]
fn ipv6_alone() {
    the_thread_holds(Network::V6, "networks::ipv6_alone");
}

#[test]
fn ipv4_alone_and_a_kernel_without_ipv6() {
    the_thread_holds(Network::NoFamily, "networks::ipv4_alone_and_a_kernel_without_ipv6");
}
