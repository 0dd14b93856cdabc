//! Limits of the gRPC interface: how many calls at once.

use crate::harness::{PATIENCE, Setup, TestApi};
use std::time::Duration;
use tokio::task::JoinHandle;
use tonic::{
    Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_prost::ProstCodec;

async fn connection(api: &TestApi) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", api.grpc)).expect("an address");
    endpoint.connect().await.expect("a connection")
}

/// A call of `CreateUser` with this message (an empty one, which is refused), which for `None` never comes.
async fn call(channel: Channel, message: Option<HealthCheckRequest>) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("the connection is there");
    let path = PathAndQuery::from_static("/pb.SimpleBank/CreateUser");
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let done = match message {
        Some(message) => client.unary(Request::new(message), path, codec).await,
        None => client.client_streaming(Request::new(tokio_stream::pending()), path, codec).await,
    };
    done.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_cap_wait_for_one_to_end_and_health_does_not() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-connections", "2"])).await;
    let (first, second) = (connection(&api).await, connection(&api).await);
    let mut lasting: Vec<JoinHandle<_>> = (0..2).map(|_| tokio::spawn(call(first.clone(), None))).collect();
    let answer = || call(second.clone(), Some(HealthCheckRequest::default()));
    let waits = async || tokio::time::timeout(Duration::from_millis(500), answer()).await.is_err();
    api.until("both places are taken", waits).await;

    let mut health = HealthClient::new(second.clone());
    let health = health.check(HealthCheckRequest::default());
    assert!(tokio::time::timeout(PATIENCE, health).await.expect("it does not wait").is_ok());

    lasting.remove(0).abort();
    let refused = tokio::time::timeout(PATIENCE, answer()).await.expect("a place is free").expect_err("it is empty");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}
