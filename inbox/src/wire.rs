//! The byte stream of one session.
//!
//! Takes: a TCP connection. Gives: command lines, mails up to the final dot, and buffered replies that go out together
//! (RFC 2920, PIPELINING). Does not: know what the commands mean.

use bytes::BytesMut;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Longest command line, its end included: RFC 5321 section 4.5.3.1.4 wants 512, AUTH (RFC 4954) up to 12288.
const MAX_LINE: usize = 12_288;
/// Most bytes of a mail; announced as SIZE (RFC 1870).
pub(crate) const MAX_MAIL_BYTES: usize = 10 << 20;
/// How long a client may say nothing: RFC 5321 section 4.5.3.2.7.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
/// Most bytes read ahead while a session is held.
const READ_AHEAD: usize = 64 << 10;

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A session's connection with its buffers.
pub(crate) struct Wire {
    stream: Stream,
    input: BytesMut,
    output: Vec<u8>,
}

/// The mail after DATA.
pub(crate) enum Content {
    /// Dots unstuffed (RFC 5321 section 4.5.2), final dot removed.
    Mail(Vec<u8>),
    /// Longer than [`MAX_MAIL_BYTES`]; it was read to its end and dropped.
    TooLarge,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), input: BytesMut::with_capacity(4096), output: Vec::new() }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Goes on over TLS. What the client sent in clear before is dropped: RFC 3207 section 4.2 (and CVE-2011-0411).
    pub(crate) async fn encrypt(self, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let Stream::Plain(stream) = self.stream else { return Err(io::ErrorKind::InvalidInput.into()) };
        let handshake = tokio::time::timeout(IDLE_LIMIT, TlsAcceptor::from(config).accept(stream));
        let stream = Stream::Tls(Box::new(handshake.await??));
        Ok(Self { stream, input: BytesMut::with_capacity(4096), output: self.output })
    }

    /// Adds a reply to what goes out next.
    pub(crate) fn reply(&mut self, code: u16, text: &str) {
        self.output.extend_from_slice(format!("{code} {text}\r\n").as_bytes());
    }

    /// Adds a reply of several lines.
    pub(crate) fn reply_lines(&mut self, code: u16, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            let separator = if index + 1 == lines.len() { ' ' } else { '-' };
            self.output.extend_from_slice(format!("{code}{separator}{line}\r\n").as_bytes());
        }
    }

    /// Sends the replies added so far.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&self.output).await?,
            Stream::Tls(stream) => {
                stream.write_all(&self.output).await?;
                stream.flush().await?;
            }
        }
        self.output.clear();
        Ok(())
    }

    /// The next command line without its end; replies go out before we wait. `None`: the client went, or the line is
    /// too long.
    pub(crate) async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.input.len() > MAX_LINE || self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The mail up to the final dot. `None`: the client went before it.
    pub(crate) async fn content(&mut self) -> io::Result<Option<Content>> {
        let mut mail = Vec::new();
        let (mut fits, mut after_crlf) = (true, true);
        loop {
            while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(end + 1);
                if after_crlf && &line[..] == b".\r\n" {
                    return Ok(Some(if fits { Content::Mail(mail) } else { Content::TooLarge }));
                }
                let stuffed = after_crlf && line.first() == Some(&b'.');
                after_crlf = line.ends_with(b"\r\n");
                fits = fits && mail.len() + line.len() <= MAX_MAIL_BYTES;
                if fits {
                    mail.extend_from_slice(&line[usize::from(stuffed)..]);
                }
            }
            // A line without an end is not kept waiting for ever in memory.
            if self.input.len() > MAX_MAIL_BYTES || self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Returns when the client has closed the connection. What it says meanwhile is kept for later.
    pub(crate) async fn closed(&mut self) {
        while self.input.len() < READ_AHEAD {
            if !matches!(self.read().await, Ok(1..)) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Ends the connection in order.
    pub(crate) async fn close(mut self) {
        let _ = self.flush().await;
        // The client may have gone first.
        let _ = match &mut self.stream {
            Stream::Plain(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
        };
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.flush().await?;
        tokio::time::timeout(IDLE_LIMIT, self.read()).await?
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(4096);
        match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.input).await,
            Stream::Tls(stream) => stream.read_buf(&mut self.input).await,
        }
    }
}
