//! Whom we trust when the mail server shows its certificate.
//!
//! Takes: the server's name and, when set, the PEM file of a private CA. Gives: what lettre needs for STARTTLS and what
//! tokio-rustls needs for implicit TLS. A private CA replaces the public ones. Does not: offer a way to skip verification.
//!
//! The file is read at each new connection, so a rotated CA needs no restart.

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject};
use std::{
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
    #[error("failed to build the TLS settings")]
    Settings(#[source] lettre::transport::smtp::Error),
}

/// For STARTTLS.
pub(super) fn starttls(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, TlsError> {
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match ca_file {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        Some(path) => {
            let builder = builder.certificate_store(CertificateStore::None);
            let pem = read(path)?;
            let certificate =
                Certificate::from_pem(&pem).map_err(|_| TlsError::Certificate { path: path.to_owned() })?;
            builder.add_root_certificate(certificate)
        }
    };
    builder.build().map_err(TlsError::Settings)
}

/// For implicit TLS.
pub(super) fn implicit(
    host: &str,
    ca_file: Option<&Path>,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let pem = read(path)?;
            let unusable = || TlsError::Certificate { path: path.to_owned() };
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
            }
            if roots.is_empty() {
                return Err(unusable());
            }
        }
    }
    let name = ServerName::try_from(host.to_owned()).map_err(TlsError::ServerName)?;
    Ok((Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()), name))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
