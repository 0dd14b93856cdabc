//! The bytes of a connection, in clear or encrypted.
//!
//! Takes: an open TCP connection. Gives: reads and writes, and the same connection under TLS. Does not: know SMTP, or
//! limit the time of anything.

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A connection's byte stream.
pub(super) enum Stream {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The same connection under TLS. One that is encrypted already cannot be encrypted again.
    pub(super) async fn encrypt(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let Self::Clear(tcp) = self else { return Err(io::ErrorKind::InvalidInput.into()) };
        Ok(Self::Encrypted(Box::new(TlsConnector::from(config).connect(name, tcp).await?)))
    }

    /// Reads what is there, or waits for something; 0: the server has closed its side.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has read nothing.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(tcp) => tcp.read(buffer).await,
            Self::Encrypted(tls) => tls.read(buffer).await,
        }
    }

    /// Writes everything, and leaves nothing in a buffer of ours.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(tcp) => tcp.write_all(bytes).await,
            Self::Encrypted(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
        }
    }
}
