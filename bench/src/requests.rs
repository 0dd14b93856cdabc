//! HTTP/1.1 requests over one connection that stays open, written by hand: the load generator shares the processors
//! with what it measures, so it has to cost next to nothing.
//!
//! Takes: a path and a JSON body. Gives: status and body. Does not: chunked bodies, redirects, TLS.

use anyhow::{Context, ensure};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One open connection.
#[derive(Debug)]
pub(crate) struct Requests {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Requests {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("failed to connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(1024) })
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await
    }

    pub(crate) async fn post_json(&mut self, path: &str, body: &str) -> anyhow::Result<Answer> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}"
        );
        self.send(format!("{head}\r\n\r\n{body}").as_bytes()).await
    }

    async fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            if let Some((answer, end)) = parse(&self.received)? {
                ensure!(end == self.received.len(), "more was answered than asked");
                return Ok(answer);
            }
            let count = self.stream.read_buf(&mut self.received).await?;
            ensure!(count > 0, "the connection ended before the answer did");
        }
    }
}

/// The answer and where it ends; `None` when more bytes are needed.
fn parse(received: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(head_end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&received[..head_end]).context("the answer's head is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).context("no status")?;
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok());
    // 204 has no body and need not say so (RFC 9110, section 15.3.5).
    let length: usize = length.or((status == 204).then_some(0)).context("no content-length")?;
    let (start, end) = (head_end + 4, head_end + 4 + length);
    let Some(body) = received.get(start..end) else { return Ok(None) };
    Ok(Some((Answer { status, body: body.to_vec() }, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\nok";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]).expect("a valid beginning"), None, "{end}");
        }
        let answer = Answer { status: 200, body: b"ok".to_vec() };
        assert_eq!(parse(whole).expect("valid"), Some((answer, whole.len())));
    }

    #[test]
    fn an_answer_without_content_needs_no_length() {
        let answer = b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n";
        assert_eq!(parse(answer).expect("valid"), Some((Answer { status: 204, body: vec![] }, answer.len())));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"nonsense\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
