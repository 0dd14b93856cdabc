//! The PEM files of a connection over TLS.
//!
//! Takes and gives: their content. Does not: read files, or show a key: `Debug` says only what is given.

use redis::{ClientTlsConfig, TlsCertificates};
use std::fmt;

/// Whom to trust, and who we are, over `rediss://`. Without TLS the client's certificate is not used.
#[derive(Clone, Copy, Default)]
pub struct Certificates<'a> {
    /// The authority that signed the server's certificate, in the place of the public ones.
    pub authority: Option<&'a [u8]>,
    /// The client's certificate and its key, for a server that asks for one.
    pub client: Option<(&'a [u8], &'a [u8])>,
}

impl Certificates<'_> {
    /// As the driver takes them.
    pub(crate) fn for_driver(self) -> TlsCertificates {
        let client = |(certificate, key): (&[u8], &[u8])| ClientTlsConfig {
            client_cert: certificate.to_vec(),
            client_key: key.to_vec(),
        };
        TlsCertificates { client_tls: self.client.map(client), root_cert: self.authority.map(<[u8]>::to_vec) }
    }
}

impl fmt::Debug for Certificates<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authority, client) = (self.authority.is_some(), self.client.is_some());
        formatter.debug_struct("Certificates").field("authority", &authority).field("client", &client).finish()
    }
}
