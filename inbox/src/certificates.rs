//! A certification authority and a server certificate that it signed.
//!
//! Takes: a folder, or nothing. Gives: [`Certificates`] for the listener and the CA as PEM for clients.
//! Does not: use one self-signed certificate for both, because rustls refuses a CA certificate as a server's.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Names the server certificate is good for.
const NAMES: [&str; 4] = ["localhost", "inbox", "127.0.0.1", "::1"];

/// A CA, and a server certificate for `localhost`, `inbox`, 127.0.0.1 and ::1.
#[derive(Debug)]
pub struct Certificates {
    ca_pem: String,
    server_pem: String,
    key_pem: String,
}

/// Certificates that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Key or certificate generation failed.
    #[error("failed to generate the certificates")]
    Generate(#[from] rcgen::Error),
    /// A file cannot be read or written.
    #[error("failed to access the certificate file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file holds no PEM of the kind expected.
    #[error("failed to read the certificates as PEM; delete their folder to have them made again")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// Key and certificate do not fit together.
    #[error("failed to use the certificates for TLS; delete their folder to have them made again")]
    Tls(#[from] rustls::Error),
}

impl Certificates {
    /// Makes a new CA and a server certificate signed by it.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Generate`].
    pub fn generate() -> Result<Self, CertificateError> {
        let mut ca = CertificateParams::new([])?;
        ca.distinguished_name.push(DnType::CommonName, "inbox test authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let mut server = CertificateParams::new(NAMES.map(String::from))?;
        server.distinguished_name.push(DnType::CommonName, "inbox");
        let server_key = KeyPair::generate()?;
        let server_pem = server.signed_by(&server_key, &Issuer::new(ca, ca_key))?.pem();
        Ok(Self { ca_pem, server_pem, key_pem: server_key.serialize_pem() })
    }

    /// Reads `ca.pem`, `server.pem` and `server.key` from `folder`; makes them when the folder holds none, so that
    /// clients which trust the CA keep trusting it over restarts.
    ///
    /// # Errors
    ///
    /// [`CertificateError::File`] when one of the three is unreadable or they cannot be written.
    pub fn load_or_generate(folder: &Path) -> Result<Self, CertificateError> {
        let path = |name: &str| folder.join(name);
        let read = |name| std::fs::read_to_string(path(name)).map_err(file_error(path(name)));
        if path("ca.pem").exists() {
            return Ok(Self { ca_pem: read("ca.pem")?, server_pem: read("server.pem")?, key_pem: read("server.key")? });
        }
        let made = Self::generate()?;
        std::fs::create_dir_all(folder).map_err(file_error(folder.to_owned()))?;
        // The CA is written last: its presence says that the other two are complete.
        for (name, text) in [("server.key", &made.key_pem), ("server.pem", &made.server_pem), ("ca.pem", &made.ca_pem)]
        {
            write_private(&path(name), text).map_err(file_error(path(name)))?;
        }
        Ok(made)
    }

    /// The CA certificate, for clients to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(self.server_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
        Ok(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key)?))
    }
}

fn file_error(path: PathBuf) -> impl FnOnce(std::io::Error) -> CertificateError {
    move |source| CertificateError::File { path, source }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
