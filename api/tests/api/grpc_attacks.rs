//! What clients of HTTP/2 can hold: streams whose answers or messages never move, streams that are taken back, frames
//! that ask for nothing. The memory of the process stays bounded and others are served meanwhile.
//!
//! The attackers speak through `h2`'s client, and where no client can misbehave so, in bytes.

use crate::harness::{PATIENCE, TestApi};
use axum::http::Request;
use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{ResponseFuture, SendRequest},
};
use std::time::Duration;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Connections of an attack, and streams on each: as many as a connection may have.
const CONNECTIONS: usize = 100;
const STREAMS: usize = 128;

/// What the process may take more than when it was idle: optimised it takes 12 MiB then, which makes 52 MiB.
const MORE_KIB: u64 = 40 * 1024;

/// Calls of somebody else during an attack.
const CALLS: usize = 100;

type Held = (ResponseFuture, h2::SendStream<Bytes>);

/// A connection whose answers' bodies cannot be sent: its windows are closed. And its pings.
async fn closed(api: &TestApi) -> Option<(SendRequest<Bytes>, PingPong)> {
    let stream = TcpStream::connect(api.grpc).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (requests, mut connection) = h2::client::Builder::new().initial_window_size(0).handshake(stream).await.ok()?;
    let pings = connection.ping_pong()?;
    tokio::spawn(connection);
    Some((requests.ready().await.ok()?, pings))
}

/// A call of this method with an empty message, or with one that never ends.
async fn call(requests: &mut SendRequest<Bytes>, method: &str, ends: bool) -> Option<Held> {
    let mut ready = requests.clone().ready().await.ok()?;
    let request = Request::post(format!("http://api{method}")).header("content-type", "application/grpc");
    let (answer, mut message) = ready.send_request(request.header("te", "trailers").body(()).ok()?, false).ok()?;
    message.send_data(Bytes::from_static(&[0; 5]).slice(..if ends { 5 } else { 3 }), ends).ok()?;
    Some((answer, message))
}

/// Holds 128 streams of this method on each of 100 connections, for as long as the server lets it.
async fn hold(api: &TestApi, method: &'static str, ends: bool) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let Some((mut requests, _)) = closed(api).await else { continue };
        attackers.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..STREAMS {
                held.extend(call(&mut requests, method, ends).await);
            }
            std::future::pending::<()>().await;
        });
    }
    attackers
}

async fn somebody_else(api: &TestApi) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", api.grpc)).expect("an address");
    HealthClient::new(endpoint.connect().await.expect("a connection"))
}

async fn is_bounded_and_others_are_served(method: &'static str, ends: bool) {
    let api = TestApi::spawn().await;
    let mut other = somebody_else(&api).await;
    other.check(HealthCheckRequest::default()).await.expect("an answer before");
    let idle = api.resident_kib();
    let attackers = hold(&api, method, ends).await;
    let mut most = idle;
    for _ in 0..CALLS {
        other.check(HealthCheckRequest::default()).await.expect("an answer amid the attack");
        most = most.max(api.resident_kib());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{method}: {idle} KiB, at most {most} KiB");
    assert!(most < idle + MORE_KIB, "{idle} KiB became {most} KiB");
    drop(attackers);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_are_bounded_for_the_whole_process() {
    is_bounded_and_others_are_served("/grpc.health.v1.Health/Check", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_are_bounded_for_the_whole_process() {
    is_bounded_and_others_are_served("/grpc.health.v1.Health/Watch", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_do_not_end_are_bounded_for_the_whole_process() {
    is_bounded_and_others_are_served("/pb.SimpleBank/CreateUser", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_takes_its_calls_back_is_ended() {
    let api = TestApi::spawn().await;
    let (mut requests, mut pings) = closed(&api).await.expect("a connection");
    let attack = async {
        let mut calls = 0;
        while let Some((_answer, mut message)) = call(&mut requests, "/pb.SimpleBank/CreateUser", false).await {
            // Once this is answered the call has begun: `h2` itself counts only those that are taken back before.
            let answered = tokio::time::timeout(Duration::from_secs(5), pings.ping(Ping::opaque())).await;
            if !answered.is_ok_and(|pong| pong.is_ok()) {
                break;
            }
            message.send_reset(h2::Reason::CANCEL);
            calls += 1;
        }
        calls
    };
    let calls = tokio::time::timeout(PATIENCE, attack).await.expect("it is told to go");
    assert!((200..1000).contains(&calls), "{calls} calls");
    let metrics = api.admin("/metrics").await.text;
    assert!(metrics.contains(r#"signup_connections_ended_total{reason="flood"} 1"#), "{metrics}");

    let (mut requests, _) = closed(&api).await.expect("a connection");
    let at_once = async {
        while let Some((_, mut message)) = call(&mut requests, "/pb.SimpleBank/CreateUser", false).await {
            message.send_reset(h2::Reason::CANCEL);
        }
    };
    tokio::time::timeout(PATIENCE, at_once).await.expect("it is told to go");
    somebody_else(&api).await.check(HealthCheckRequest::default()).await.expect("an answer");
}

/// Sends these frames again and again after the preface, until the server hangs up.
async fn flood(api: &TestApi, first: &[u8], frames: &[u8]) {
    let mut stream = TcpStream::connect(api.grpc).await.expect("a connection");
    let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", first].concat();
    stream.write_all(&start).await.expect("sent");
    let frames = frames.repeat(100);
    let (mut reads, mut writes) = stream.into_split();
    let attack = async { while writes.write_all(&frames).await.is_ok() {} };
    let mut nowhere = tokio::io::sink();
    let taken = tokio::io::copy(&mut reads, &mut nowhere);
    let ended = async {
        tokio::select! { () = attack => {}, _ = taken => {} }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the connection ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_that_ask_for_nothing_end_their_connection() {
    let api = TestApi::spawn().await;
    let idle = api.resident_kib();
    let ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong";
    let settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\xff\xff";
    let empty_data_of_nobody = b"\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    for frames in [&ping[..], settings, empty_data_of_nobody] {
        flood(&api, b"", frames).await;
    }
    // A header of stream 1 without END_HEADERS, and CONTINUATIONs of one literal field without an end.
    let headers = b"\x00\x00\x03\x01\x00\x00\x00\x00\x01\x82\x84\x86";
    let continuation = b"\x00\x00\x0f\x09\x00\x00\x00\x00\x01\x00\x06header\x06value1";
    flood(&api, headers, continuation).await;
    let metrics = api.admin("/metrics").await.text;
    assert!(metrics.contains(r#"signup_connections_ended_total{reason="flood"}"#), "{metrics}");
    somebody_else(&api).await.check(HealthCheckRequest::default()).await.expect("an answer");
    assert!(api.resident_kib() < idle + MORE_KIB, "{idle} KiB became {} KiB", api.resident_kib());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_list_beyond_16_kib_is_refused_and_its_connection_lives_on() {
    let api = TestApi::spawn().await;
    let (mut requests, _) = closed(&api).await.expect("a connection");
    let huge = (0..40).fold(Request::post("http://api/pb.SimpleBank/CreateUser"), |request, number| {
        request.header(format!("x-{number}"), "a".repeat(1000))
    });
    let (answer, _message) = requests.send_request(huge.body(()).expect("a request"), true).expect("sent");
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
    assert_eq!(answer.status(), 431);
    let (answer, _message) = call(&mut requests, "/grpc.health.v1.Health/Check", true).await.expect("it lives");
    assert_eq!(answer.await.expect("an answer").status(), 200);
}
