//! Connections that wait for their next request: how long they are kept, and which goes first.

use crate::harness::{PATIENCE, Setup, TestApi, client::read_to_end};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const REQUEST: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends a request on a connection that stays, and gives the answer's head.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST).await.expect("sent");
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert!(stream.read_buf(&mut read).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).expect("text")
}

#[tokio::test]
async fn a_connection_may_idle_for_longer_than_a_header_may_take() {
    let api = TestApi::spawn().await;
    let mut stream = api.raw(b"").await;
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 404 "));
    // The limit of a header is 15 s, and counts from its first byte.
    let early = tokio::time::timeout(Duration::from_secs(16), stream.read_u8()).await;
    assert!(early.is_err(), "closed: {early:?}");
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 404 "));
    stream.write_all(b"\r\nGET /nowhere HTTP/1.1\r\n").await.expect("sent");
    let start = Instant::now();
    let ended = tokio::time::timeout(PATIENCE, read_to_end(&mut stream)).await.expect("a header that does not end");
    assert!(ended.is_empty() && start.elapsed() > Duration::from_secs(14), "{ended} after {:?}", start.elapsed());
}

#[tokio::test]
async fn an_idle_connection_ends_after_the_time_that_an_edit_says() {
    let mut api = TestApi::spawn().await;
    api.edit(|document| document.api.http.idle_timeout = Duration::from_secs(1)).await;
    let mut stream = api.raw(b"").await;
    for _ in 0..3 {
        assert!(!ask(&mut stream).await.contains("close"));
    }
    let start = Instant::now();
    let ended = tokio::time::timeout(PATIENCE, read_to_end(&mut stream)).await.expect("it ends");
    assert!(ended.is_empty() && start.elapsed() > Duration::from_millis(900), "{ended} after {:?}", start.elapsed());
    let metrics = api.admin("/metrics").await.text;
    assert!(metrics.contains(r#"signup_connections_ended_total{reason="idle"} 1"#), "{metrics}");
}

#[tokio::test]
async fn when_places_run_short_the_longest_idle_connection_goes_first() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-connections", "3"])).await;
    let mut amid_a_request = api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await;
    let (mut longest, mut shorter) = (api.raw(b"").await, api.raw(b"").await);
    ask(&mut longest).await;
    ask(&mut shorter).await;
    let mut new = api.raw(b"").await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 404 "));
    let ended = tokio::time::timeout(PATIENCE, read_to_end(&mut longest)).await.expect("the longest idle one ends");
    assert!(ended.is_empty(), "{ended}");
    assert!(ask(&mut shorter).await.starts_with("HTTP/1.1 404 "));
    amid_a_request.write_all(b"{\"a\": 12}").await.expect("sent");
    assert!(answer(&mut amid_a_request).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let api = TestApi::spawn().await;
    let mut stream = api.raw(b"").await;
    let requests = REQUEST.repeat(100);
    let fill = async { while stream.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(PATIENCE * 2, fill).await.expect("the connection ends, though its client reads nothing");
    assert_eq!(api.signup("alice").await.status, 200);
}

#[tokio::test]
async fn from_the_stop_on_an_answer_is_the_last_of_its_connection() {
    let api = TestApi::spawn().await;
    let (mut kept, mut idle) = (api.raw(b"").await, api.raw(b"").await);
    for stream in [&mut kept, &mut idle] {
        assert!(!ask(stream).await.contains("connection: close"));
    }
    api.terminate();
    api.until("stopping", async || !api.lines("graceful shutdown HTTP gateway server").is_empty()).await;
    let last = ask(&mut kept).await;
    assert!(last.starts_with("HTTP/1.1 404 ") && last.contains("connection: close"), "{last}");
    for stream in [&mut kept, &mut idle] {
        let ended = tokio::time::timeout(PATIENCE, read_to_end(stream)).await.expect("it ends");
        assert!(ended.is_empty(), "{ended}");
    }
    api.until("stopped", async || !api.is_running()).await;
}
