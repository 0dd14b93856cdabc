//! Whom we trust when the mail server shows its certificate.
//!
//! Takes: the server's name and, when set, the PEM file of a private CA. Gives: what a handshake needs. A private CA
//! replaces those that are trusted elsewhere ([`lifecycle::authorities`]). Does not: offer a way to skip verification.
//!
//! The file is read at each new connection, so a rotated CA needs no restart.

use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// TLS cannot be set up on our side.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("failed to read the CA file {}; check mail.smtp.caSecretRef", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the CA file {} holds no usable PEM certificate; check mail.smtp.caSecretRef", path.display())]
    Certificate { path: PathBuf },
    #[error("mail.smtp.host is no name a certificate can be checked against")]
    ServerName(#[source] InvalidDnsNameError),
}

/// What a handshake needs.
pub(super) fn client(host: &str, ca_file: Option<&Path>) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let roots = match ca_file {
        None => lifecycle::authorities::trusted(),
        Some(path) => {
            let mut private = RootCertStore::empty();
            let _ = private.add_parsable_certificates(authorities(path)?);
            private
        }
    };
    let name = ServerName::try_from(host.to_owned()).map_err(TlsError::ServerName)?;
    Ok((Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()), name))
}

/// Why this server will never do with these settings, and what to change; `None`: the handshake failed for another
/// reason.
pub(super) fn distrust(error: &io::Error) -> Option<String> {
    let reason = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let fix = match reason {
        rustls::Error::InvalidCertificate(error) => fix_of(error),
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server must speak TLS 1.2 or newer"
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => "the server must offer a cipher of today",
        _ => return None,
    };
    Some(format!("{reason}; {fix}"))
}

fn fix_of(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => "name its certificate authority in mail.smtp.caSecretRef",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "set mail.smtp.host to a name of the certificate"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "renew the server's certificate",
        _ => "give the server a certificate that mail.smtp.caSecretRef or a public authority vouches for",
    }
}

/// The certificates of a CA file: one at least, and each can vouch for a server.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let unusable = || TlsError::Certificate { path: path.to_owned() };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| unusable())?;
    let (usable, unknown) = RootCertStore::empty().add_parsable_certificates(certificates.iter().cloned());
    if usable == 0 || unknown > 0 { Err(unusable()) } else { Ok(certificates) }
}
