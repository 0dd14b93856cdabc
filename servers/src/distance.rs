//! A server that is far away: a proxy in this process that keeps every byte for half a round trip.
//!
//! Takes: the server's port and the time there and back. Gives: a port of 127.0.0.1. Does not: delay the handshake of
//! TCP (a greeting comes half a round trip after it), lose or reorder anything, or narrow the line.

use crate::process::ServerError;
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};

/// Read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on their way in one direction; far more than a dialogue of question and answer has.
const CHUNKS: usize = 256;

/// A running proxy; dropped, it takes no more connections.
#[derive(Debug)]
pub struct Distance {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Distance {
    /// Before the server at `server` of 127.0.0.1. Needs a Tokio runtime, whose threads must not be blocked.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when there is no port.
    pub async fn to(server: u16, round_trip: Duration) -> Result<Self, ServerError> {
        let io = |source| ServerError::Io { action: "find a free port", source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io)?;
        let port = listener.local_addr().map_err(io)?.port();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server, round_trip / 2));
            }
        });
        Ok(Self { port, accepting })
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, server: u16, delay: Duration) {
    // A server that takes no connection looks to the client like one that hangs up.
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    for stream in [&client, &server] {
        // Without it small chunks would be kept longer than said; a socket that refuses is dead anyway.
        let _ = stream.set_nodelay(true);
    }
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::join!(carry(client_reads, server_writes, delay), carry(server_reads, client_writes, delay));
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (departures, mut arrivals) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    let departing = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let length = from.read_buf(&mut chunk).await.unwrap_or(0);
            // The end takes as long as everything else.
            if departures.send((Instant::now() + delay, chunk)).await.is_err() || length == 0 {
                return;
            }
        }
    };
    let arriving = async move {
        while let Some((at, chunk)) = arrivals.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // The other side may have hung up already.
        let _ = to.shutdown().await;
    };
    tokio::join!(departing, arriving);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_takes_a_round_trip_and_bytes_arrive_as_they_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut question = [0; 5];
            stream.read_exact(&mut question).await.expect("five bytes");
            stream.write_all(&question).await.expect("an answer");
        });
        let round_trip = Duration::from_millis(40);
        let far = Distance::to(server, round_trip).await.expect("a proxy");
        let mut client = TcpStream::connect(("127.0.0.1", far.port)).await.expect("a connection");
        let start = Instant::now();
        client.write_all(b"hello").await.expect("written");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("an answer and the end");
        assert_eq!(answer, b"hello");
        assert!(start.elapsed() >= round_trip, "{:?}", start.elapsed());
    }
}
