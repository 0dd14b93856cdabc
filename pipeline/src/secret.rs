//! Secret values in files.
//!
//! Takes: a path. Gives: its content without the trailing newline that editors add; a certificate as it is.
//! Does not: print the content, ever; errors name the path and the operating system's reason only.

use crate::document::Redis;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// A secret file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing, unreadable or not UTF-8.
    #[error("failed to read the secret file {}", path.display())]
    Read {
        /// Where the secret was expected.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A certificate is missing or unreadable.
    #[error("failed to read the certificate {}", path.display())]
    Certificate {
        /// Where it was expected.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is there and holds nothing.
    #[error("the secret file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Redis {
    /// Reads the connection URI and the PEM file of the CA.
    ///
    /// # Errors
    ///
    /// [`SecretError`], naming the file.
    pub fn read(&self) -> Result<(SecretString, Option<Vec<u8>>), SecretError> {
        let certificate = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| SecretError::Certificate { path: path.clone(), source })
        };
        Ok((read(&self.uri_file)?, self.ca_file.as_ref().map(certificate).transpose()?))
    }
}

/// Reads a secret file, trailing line breaks removed.
///
/// # Errors
///
/// [`SecretError::Read`] when it cannot be read, [`SecretError::Empty`] when nothing is in it.
pub fn read(path: &Path) -> Result<SecretString, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|source| SecretError::Read { path: path.to_owned(), source })?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() { Err(SecretError::Empty { path: path.to_owned() }) } else { Ok(value.into()) }
}
