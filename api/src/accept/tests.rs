//! The age of a connection, seen as bytes and frames (RFC 9113): no client library shows when it is asked to leave.

use super::*;
use axum::routing::get;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

/// A preface, empty SETTINGS, and `GET /` on stream 1 in the static table of RFC 7541.
const REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x84\x86";

/// Types of frames.
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Long for a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads frames up to one of this kind and gives its stream and payload.
async fn frame(stream: &mut TcpStream, kind: u8) -> (u8, Vec<u8>) {
    let frames = async {
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).await.expect("a frame");
            let mut payload = vec![0; usize::from(header[1]) << 8 | usize::from(header[2])];
            stream.read_exact(&mut payload).await.expect("its payload");
            if header[3] == kind {
                return (header[8], payload);
            }
        }
    };
    tokio::time::timeout(PATIENCE, frames).await.expect("in time")
}

/// Serves an answer that waits for `answer`, on connections that are asked to leave when they are of `max_age`.
async fn serving(protocol: Protocol, max_age: Duration, answer: Arc<Notify>) -> (TcpStream, Shutdown) {
    let routes = Router::new().route("/", get(async move || answer.notified().await));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = Shutdown::default();
    let idle_timeout = Arc::new(|| PATIENCE);
    let interface = Interface { protocol, max_connections: 10, max_age, idle_timeout, crowded: Arc::default() };
    tokio::spawn(serve(listener, interface, routes, shutdown.clone()));
    (TcpStream::connect(address).await.expect("a connection"), shutdown)
}

/// The same with HTTP/2, and a request sent.
async fn asking(max_age: Duration, answer: Arc<Notify>) -> (TcpStream, Shutdown) {
    let (mut client, shutdown) = serving(Protocol::Http2, max_age, answer).await;
    client.write_all(REQUEST).await.expect("sent");
    (client, shutdown)
}

#[tokio::test]
async fn the_answer_of_an_old_connection_is_its_last_and_no_other_is() {
    for (max_age, is_last) in [(Duration::ZERO, true), (MAX_AGE, false)] {
        let answer = Arc::new(Notify::new());
        answer.notify_one();
        let (mut client, _shutdown) = serving(Protocol::Http1, max_age, answer).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(PATIENCE, client.read_u8()).await.expect("in time").expect("an answer"));
        }
        let head = String::from_utf8(head).expect("text");
        assert_eq!(head.contains("connection: close"), is_last, "{head}");
        let more = tokio::time::timeout(Duration::from_millis(200), client.read_u8()).await;
        assert_eq!(more.is_ok_and(|read| read.is_err()), is_last, "the connection ends with it");
    }
}

#[test]
fn ages_lie_between_nine_and_eleven_tenths() {
    let ages: std::collections::BTreeSet<_> = (0..1000).map(|_| jittered(MAX_AGE)).collect();
    assert!(ages.len() > 900, "{} differ", ages.len());
    let (least, most) = (ages.first().expect("ages"), ages.last().expect("ages"));
    assert!(*least >= MAX_AGE.mul_f64(0.9) && *least < MAX_AGE.mul_f64(0.92), "{least:?}");
    assert!(*most <= MAX_AGE.mul_f64(1.1) && *most > MAX_AGE.mul_f64(1.08), "{most:?}");
}

#[tokio::test]
async fn an_old_connection_is_asked_to_leave_and_its_call_is_answered() {
    let answer = Arc::new(Notify::new());
    let (mut client, _shutdown) = asking(Duration::from_millis(500), Arc::clone(&answer)).await;
    frame(&mut client, GOAWAY).await;
    answer.notify_one();
    let (stream, fields) = frame(&mut client, HEADERS).await;
    assert_eq!((stream, fields[0]), (1, 0x88), "status 200");
}

#[tokio::test]
async fn a_young_connection_is_asked_to_leave_at_the_stop_only() {
    let answer = Arc::new(Notify::new());
    let (mut client, shutdown) = asking(MAX_AGE, Arc::clone(&answer)).await;
    frame(&mut client, SETTINGS).await;
    shutdown.begin();
    frame(&mut client, GOAWAY).await;
    answer.notify_one();
    assert_eq!(frame(&mut client, HEADERS).await.0, 1);
}
