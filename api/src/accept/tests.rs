//! The age of a connection, seen frame by frame (RFC 9113): no client library shows when it is asked to leave.

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
async fn serving(max_age: Duration, answer: Arc<Notify>) -> (TcpStream, Shutdown) {
    let routes = Router::new().route("/", get(async move || answer.notified().await));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = Shutdown::default();
    let idle_timeout = Arc::new(|| PATIENCE);
    let interface = Interface { protocol: Protocol::Http2, max_connections: 10, max_age, idle_timeout };
    tokio::spawn(serve(listener, interface, routes, shutdown.clone()));
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(REQUEST).await.expect("sent");
    (client, shutdown)
}

#[tokio::test]
async fn an_old_connection_is_asked_to_leave_and_its_call_is_answered() {
    let answer = Arc::new(Notify::new());
    let (mut client, _shutdown) = serving(Duration::from_millis(500), Arc::clone(&answer)).await;
    frame(&mut client, GOAWAY).await;
    answer.notify_one();
    let (stream, fields) = frame(&mut client, HEADERS).await;
    assert_eq!((stream, fields[0]), (1, 0x88), "status 200");
}

#[tokio::test]
async fn a_young_connection_is_asked_to_leave_at_the_stop_only() {
    let answer = Arc::new(Notify::new());
    let (mut client, shutdown) = serving(MAX_AGE, Arc::clone(&answer)).await;
    frame(&mut client, SETTINGS).await;
    shutdown.begin();
    frame(&mut client, GOAWAY).await;
    answer.notify_one();
    assert_eq!(frame(&mut client, HEADERS).await.0, 1);
}
