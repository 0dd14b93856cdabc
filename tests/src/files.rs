//! The files that the programs read.
//!
//! Takes: a document and the secrets. Gives: a folder as Kubernetes would mount it, changed in one step as there.
//! Does not: start or tell anybody; the programs follow their files.

use anyhow::{Context as _, Result};
use pipeline::Document;
use std::path::PathBuf;
use tempfile::TempDir;

/// User and password for the mail server, and the key of the codes; each carries the mark of [`crate::canary`].
pub(crate) const SMTP_USER: &str = "app";
pub(crate) const SMTP_PASSWORD: &str = "canary-of-the-smtp-password";
pub(crate) const KEY: &str = "canary-of-the-verification-key, more than 32 bytes";
pub(crate) const OTHER_KEY: &str = "canary-of-another-pipelines-key, more than 32 bytes";

/// A folder with `pipeline.yaml` and all it names.
#[derive(Debug)]
pub(crate) struct Files {
    folder: TempDir,
    journal: TempDir,
    document: Document,
}

impl Files {
    /// Writes everything but the document, whose paths are filled in.
    pub(crate) fn new(
        mut document: Document,
        database_uri: &str,
        redis_uri: &str,
        ca_pem: &str,
        key: &str,
        journal: TempDir,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pipeline-").tempdir()?;
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().context("a path with a parent")?)?;
            std::fs::write(&path, text)?;
            Ok(path)
        };
        document.database.uri_file = write("database-uri", database_uri)?;
        document.redis.uri_file = write("redis-uri", redis_uri)?;
        document.mail.smtp.ca_file = Some(write("smtp-ca.pem", ca_pem)?);
        write("smtp/username", SMTP_USER)?;
        write("smtp/password", SMTP_PASSWORD)?;
        document.mail.smtp.auth_dir = Some(folder.path().join("smtp"));
        write("keys/current", key)?;
        document.verification.keys_dir = folder.path().join("keys");
        let files = Self { folder, journal, document };
        files.write_document()?;
        Ok(files)
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// What the mail server writes down.
    pub(crate) fn journal(&self) -> PathBuf {
        self.journal.path().join("journal")
    }

    /// Where the document is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("pipeline.yaml")
    }

    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Document)) -> Result<()> {
        change(&mut self.document);
        self.write_document()
    }

    /// A reader sees the old file or the new one, never half of one.
    fn write_document(&self) -> Result<()> {
        let next = self.folder.path().join("pipeline.yaml.next");
        std::fs::write(&next, self.document.to_yaml()?)?;
        Ok(std::fs::rename(next, self.path())?)
    }
}
