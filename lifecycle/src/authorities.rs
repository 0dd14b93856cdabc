//! Whom processes trust in TLS where no field names an authority: the public ones, and those of a company.
//!
//! Takes: the PEM file that the variable SSL_CERT_FILE names, as OpenSSL does; it is read once. Gives: the certificates
//! that may vouch for a server. Does not: leave the public ones out, or keep a process from its work when the file
//! cannot be used; a warning says so.

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{path::Path, sync::LazyLock};

const VARIABLE: &str = "SSL_CERT_FILE";

static TRUSTED: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let file = std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
    if let Some(file) = file
        && let Err(problem) = add(&mut roots, Path::new(&file))
    {
        tracing::warn!(
            file = %file.display(),
            "{VARIABLE} names a file that {problem}; only public authorities are trusted. Fix: mount PEM certificates \
                there"
        );
    }
    roots
});

/// The certificates that may vouch for a server.
pub fn trusted() -> RootCertStore {
    TRUSTED.clone()
}

/// Adds the certificates of a PEM file that can vouch for a server.
fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), &'static str> {
    let text = std::fs::read(file).map_err(|_| "cannot be read")?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match roots.add_parsable_certificates(certificates.map_err(|_| "is not PEM")?) {
        (0, _) => Err("holds no certificate of an authority"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_told_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut roots = RootCertStore::empty();
        for (path, expected) in [
            (folder.path().join("none"), "cannot be read"),
            (file("text", "no certificate"), "holds no certificate of an authority"),
            (file("broken", "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"), "is not PEM"),
        ] {
            assert_eq!(add(&mut roots, &path), Err(expected));
        }
        assert!(roots.is_empty());
    }
}
