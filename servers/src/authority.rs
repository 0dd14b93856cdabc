//! Certificates for servers on this machine.
//!
//! Takes: the program `openssl`. Gives: a certificate authority and a server certificate for 127.0.0.1 and localhost,
//! valid for two days, as PEM files in a temporary folder that goes with the value. Does not: make anybody trust it.

use crate::process::{ServerError, run};
use std::{path::PathBuf, process::Command};

/// Two certificates, because a client refuses an authority's own as a server's.
const SCRIPT: &str = r#"set -e
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
key ca.key && key server.key
openssl req -x509 -new -key ca.key -days 2 -subj '/CN=test authority' -addext keyUsage=critical,keyCertSign -out ca.crt
openssl req -new -key server.key -subj /CN=localhost -out server.csr
printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n' >server.cnf
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.cnf -out server.crt"#;

/// A certificate authority with one server certificate.
#[derive(Debug)]
pub struct Authority(tempfile::TempDir);

impl Authority {
    /// Makes keys and certificates; blocks for a moment.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what openssl said, or [`ServerError::Io`].
    pub fn make() -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new().prefix("authority-").tempdir();
        let folder = folder.map_err(|source| ServerError::Io { action: "make a temporary folder", source })?;
        run("openssl", Command::new("/bin/sh").args(["-c", SCRIPT]).current_dir(folder.path()))?;
        Ok(Self(folder))
    }

    /// PEM file of the authority, for clients.
    pub fn ca(&self) -> PathBuf {
        self.0.path().join("ca.crt")
    }

    /// PEM file of the server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("server.crt")
    }

    /// PEM file of the server's key, readable by its owner only.
    pub fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }
}
