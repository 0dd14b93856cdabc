//! Limits: of the hashing pool, of time, of connections, of one client; and a stop that always ends.

use crate::harness::{PATIENCE, Setup, TestApi, client::read_to_end};
use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

#[tokio::test]
async fn when_the_hashing_pool_is_full_the_rest_is_told_to_come_back() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-waiting-per-core", "0"])).await;
    let names: Vec<String> = (0..60).map(|number| format!("user_{number}")).collect();
    let answers = futures::future::join_all(names.iter().map(|name| api.signup(name))).await;
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(stored + refused.len(), 60, "{answers:?}");
    assert!(stored > 0 && !refused.is_empty(), "{stored} stored");
    for answer in refused {
        assert_eq!(answer.error(), (503, 14, "too many signups at once, try again".into()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(api.stored(), (stored, stored));
}

#[tokio::test]
async fn a_header_that_does_not_end_and_a_connection_that_says_nothing_are_closed() {
    let api = TestApi::spawn().await;
    let mut half = api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let mut mute = api.raw(b"").await;
    let mut grpc_half = tokio::net::TcpStream::connect(api.grpc).await.expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut grpc_half, b"PRI * HTTP/2.0\r\n").await.expect("sent");
    let all = async { tokio::join!(read_to_end(&mut half), read_to_end(&mut mute), read_to_end(&mut grpc_half)) };
    tokio::time::timeout(PATIENCE, all).await.expect("all three are closed");
}

#[tokio::test]
async fn a_body_that_trickles_in_is_given_up() {
    let api = TestApi::spawn().await;
    let mut slow =
        api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"username\":").await;
    let answer = tokio::time::timeout(PATIENCE, read_to_end(&mut slow)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("did not arrive in time"), "{answer}");
}

#[tokio::test]
async fn a_header_beyond_16_kib_is_refused() {
    let api = TestApi::spawn().await;
    let header = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(20 * 1024));
    let mut stream = api.raw(header.as_bytes()).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(api.signup("alice").await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-connections", "2"])).await;
    let first = api.raw(b"GET /").await;
    let _second = api.raw(b"GET /").await;
    let mut third = api.raw(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let early = tokio::time::timeout(Duration::from_millis(500), read_to_end(&mut third)).await;
    assert!(early.is_err(), "answered beside two others: {early:?}");
    drop(first);
    let answer = tokio::time::timeout(PATIENCE, read_to_end(&mut third)).await.expect("a place is free");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn half_sent_requests_do_not_hold_up_the_stop() {
    let api = TestApi::spawn().await;
    let _header = api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\n").await;
    let _body = api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").await;
    let _grpc = tokio::net::TcpStream::connect(api.grpc).await.expect("a connection");
    api.terminate();
    api.until("stopped", async || !api.is_running()).await;
}

#[tokio::test]
async fn a_signup_under_way_at_the_stop_is_answered() {
    let api = TestApi::spawn().await;
    let lock = api.lock_users().await;
    let stop = async {
        api.until_a_signup_waits().await;
        api.terminate();
        api.until("stopping", async || !api.lines("graceful shutdown HTTP gateway server").is_empty()).await;
        lock.release();
    };
    let (answer, ()) = tokio::join!(api.signup("alice"), stop);
    assert_eq!(answer.status, 200, "{answer:?}");
    api.until("stopped", async || !api.is_running()).await;
    assert_eq!(api.stored(), (1, 1));
}

/// The address by which this machine would reach others; nothing is sent.
fn own_address() -> IpAddr {
    let route = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").and(socket.local_addr()));
    route.expect("this test needs a network interface besides loopback, whose clients are not limited").ip()
}

#[tokio::test]
async fn one_address_gets_its_signups_per_minute_and_loopback_any_number() {
    let limited = |document: &mut pipeline::Document| document.signup.per_minute_per_ip = 3;
    let mut setup = Setup::new().with(limited);
    setup.host = own_address();
    let api = TestApi::spawn_with(setup).await;
    for name in ["alice", "bobby", "alice"] {
        let invalid = api.post("{}").await;
        assert_eq!(invalid.status, 400, "refused fields do not count");
        assert!(api.signup(name).await.status != 429);
    }
    let answer = api.signup("carol").await;
    assert_eq!(answer.error(), (429, 8, "too many signups from your address, try again later".into()));
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");

    let local = TestApi::spawn_with(Setup::new().with(limited)).await;
    for name in ["alice", "bobby", "carol", "david", "erika"] {
        assert_eq!(local.signup(name).await.status, 200);
    }
}

#[tokio::test]
async fn behind_a_proxy_each_client_it_names_has_a_limit_of_its_own() {
    let setup = Setup::new().with(|document| {
        document.signup.per_minute_per_ip = 1;
        document.signup.behind_proxy = true;
    });
    let api = TestApi::spawn_with(setup).await;
    for (name, forwarded, status) in [
        ("alice", "192.0.2.1", 200),
        ("bobby", "192.0.2.2", 200),
        ("carol", "192.0.2.1", 429),
        ("david", "192.0.2.9, 192.0.2.2", 429),
    ] {
        assert_eq!(api.signup_through(forwarded, name).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_was_told_to_come_back_has_its_signup_still() {
    let setup = Setup::new().arguments(&["--max-waiting-per-core", "0"]).with(|document| {
        document.signup.per_minute_per_ip = 1;
        document.signup.behind_proxy = true;
    });
    let api = TestApi::spawn_with(setup).await;
    let clients: Vec<_> = (0..60).map(|number| (format!("192.0.2.{number}"), format!("user_{number}"))).collect();
    let signups = clients.iter().map(|(address, name)| api.signup_through(address, name));
    let answers = futures::future::join_all(signups).await;
    let busy = answers.iter().zip(&clients).find(|(answer, _)| answer.status == 503);
    let (_, (address, name)) = busy.expect("they are more than are hashed at once");
    assert_eq!(api.signup_through(address, name).await.status, 200);
}

#[tokio::test]
async fn the_memory_of_the_hashing_pool_is_given_back_at_rest() {
    let api = TestApi::spawn().await;
    let idle = api.resident_kib();
    let names: Vec<String> = (0..20).map(|number| format!("user_{number}")).collect();
    futures::future::join_all(names.iter().map(|name| api.signup(name))).await;
    let block = 19 * 1024;
    assert!(api.resident_kib() > idle + block, "{idle} KiB: the hashes used memory");
    api.until("given back", async || api.resident_kib() < idle + block).await;
}
