//! Secret values in files.
//!
//! Takes: a path. Gives: its content without the trailing newline that editors add; a certificate as it is.
//! Does not: print the content, ever; errors name the path and the operating system's reason only.

use crate::{
    document::{Database, Redis},
    postgres_uri::PostgresUri,
    store_secret::{self, StoreSecretError},
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
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
    /// What is in a file with a URI, or in a folder of parts, cannot be used.
    #[error("{} does not say where the server is", path.display())]
    Unusable {
        /// The file or the folder.
        path: PathBuf,
        /// What is wrong, and the fix.
        source: StoreSecretError,
    },
    /// The file is there and holds nothing.
    #[error("the secret file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// What a process needs to open Redis.
#[derive(Debug)]
pub struct RedisAccess {
    /// Connection URI.
    pub uri: SecretString,
    /// PEM of the authority that signed the server's certificate.
    pub authority: Option<Vec<u8>>,
    /// PEM of the client's certificate and of its key.
    client: Option<(Vec<u8>, SecretSlice<u8>)>,
}

impl RedisAccess {
    /// The client's certificate and its key, as PEM.
    pub fn client(&self) -> Option<(&[u8], &[u8])> {
        self.client.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.expose_secret()))
    }
}

impl Redis {
    /// Reads the connection URI, or the parts beside it that it is put together from, and the PEM files.
    ///
    /// # Errors
    ///
    /// [`SecretError`], naming the file.
    pub fn read(&self) -> Result<RedisAccess, SecretError> {
        let folder = Folder::of(&self.uri_file)?;
        let uri = store_secret::redis(|file| folder.text(file), self.ca_file.is_some());
        let uri = uri.map_err(|source| folder.unusable(source))?;
        let own = folder.has_no_uri.then(|| folder.path(store_secret::AUTHORITY)).filter(|path| path.is_file());
        let authority = self.ca_file.clone().or(own).map(certificate).transpose()?;
        let [certificate_file, key] = store_secret::CERTIFICATE.map(|file| folder.path(file));
        let client = if certificate_file.is_file() && key.is_file() {
            Some((certificate(certificate_file)?, certificate(key)?.into()))
        } else {
            None
        };
        Ok(RedisAccess { uri, authority, client })
    }
}

impl Database {
    /// Reads where PostgreSQL is: the connection URI, or the parts beside it, and which PEM files go with it.
    ///
    /// # Errors
    ///
    /// [`SecretError`], naming the file.
    pub fn read(&self) -> Result<PostgresUri, SecretError> {
        let folder = Folder::of(&self.uri_file)?;
        let uri = store_secret::postgres(&folder.path, |file| folder.text(file));
        let uri = uri.map_err(|source| folder.unusable(source))?;
        Ok(match &self.ca_file {
            Some(ca_file) => uri.with_authority(ca_file),
            None => uri,
        })
    }
}

fn certificate(path: PathBuf) -> Result<Vec<u8>, SecretError> {
    std::fs::read(&path).map_err(|source| SecretError::Certificate { path, source })
}

/// The folder of a file that holds a URI: a mounted Secret. Without that file the others are the parts of one.
struct Folder {
    path: PathBuf,
    uri_file: PathBuf,
    uri: Option<String>,
    has_no_uri: bool,
}

impl Folder {
    /// Without the file with the URI a part has to be there.
    fn of(uri_file: &Path) -> Result<Self, SecretError> {
        let path = uri_file.parent().unwrap_or(Path::new("")).to_owned();
        let uri = match read(uri_file) {
            Ok(uri) => Some(uri.expose_secret().to_owned()),
            Err(SecretError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && path.join("host").is_file() =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path, uri_file: uri_file.to_owned(), has_no_uri: uri.is_none(), uri })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    fn text(&self, file: &str) -> Option<String> {
        if file == store_secret::URI {
            return self.uri.clone();
        }
        read(&self.path(file)).ok().map(|text| text.expose_secret().to_owned())
    }

    fn unusable(&self, source: StoreSecretError) -> SecretError {
        let path = if self.has_no_uri { self.path.clone() } else { self.uri_file.clone() };
        SecretError::Unusable { path, source }
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
