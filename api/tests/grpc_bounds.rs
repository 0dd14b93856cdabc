//! Limits of the gRPC interface: how many calls at once.

use crate::harness::{PATIENCE, Setup, TestApi};
use std::time::Duration;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

async fn connection(api: &TestApi) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", api.grpc)).expect("an address");
    HealthClient::new(endpoint.connect().await.expect("a connection"))
}

/// A call that lasts until it is dropped.
async fn watch(client: &mut HealthClient<Channel>) -> Streaming<HealthCheckResponse> {
    client.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_cap_wait_for_one_to_end_whatever_connection_they_come_on() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-connections", "2"])).await;
    let (mut first, mut second) = (connection(&api).await, connection(&api).await);
    let lasting = (watch(&mut first).await, watch(&mut first).await);
    let mut check = Box::pin(second.check(HealthCheckRequest::default()));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut check).await;
    assert!(early.is_err(), "answered beside two others: {early:?}");
    drop(lasting.0);
    let answer = tokio::time::timeout(PATIENCE, check).await.expect("a place is free");
    assert!(answer.is_ok(), "{answer:?}");
}
