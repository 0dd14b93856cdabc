//! A [`Document`] that follows its file.
//!
//! Takes: the path of `pipeline.yaml`. Gives: the version in force, a signal at each change, and the reason when a
//! newer file was refused. Does not: restart anything; a broken edit never replaces a working document.
//!
//! The files are polled, because a ConfigMap or Secret volume changes by swapping a symbolic link, on file systems
//! where change notification is not dependable. Secret files are part of the fingerprint, so a rotated Secret is a
//! change too.

use crate::{
    document::{Document, InvalidDocument},
    identity::Identity,
};
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// How often the files are read: well below the 5 s within which an edit must reach every process.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// One version of the document.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The document in force.
    pub document: Arc<Document>,
    /// [`hash`](crate::hash()) of the file's bytes.
    pub hash: String,
    /// Why a newer file was refused; `None` when the newest is in force.
    pub refused: Option<String>,
    fingerprint: [u8; 32],
}

/// The document could not be loaded at start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("failed to read the configuration file {}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is read and wrong.
    #[error("the configuration file {} is invalid", path.display())]
    Invalid {
        /// The path given.
        path: PathBuf,
        /// Field, value and fix.
        source: InvalidDocument,
    },
}

/// The document in force; clones see the same one.
#[derive(Debug, Clone)]
pub struct Live {
    loaded: watch::Receiver<Loaded>,
    path: Arc<Path>,
}

impl Live {
    /// Loads the file once and keeps following it until the last clone is dropped. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when the first load fails; later failures keep the old version and are logged.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let (sender, receiver) = watch::channel(load(path)?);
        tokio::spawn(follow(path.to_owned(), sender));
        Ok(Self { loaded: receiver, path: path.into() })
    }

    /// The version in force now.
    pub fn now(&self) -> Loaded {
        self.loaded.borrow().clone()
    }

    /// The document in force now.
    pub fn document(&self) -> Arc<Document> {
        Arc::clone(&self.loaded.borrow().document)
    }

    /// Which pipeline this process is of, as the file beside the document says now.
    pub fn identity(&self) -> Identity {
        Identity::beside(&self.path)
    }

    /// Waits for the next change (of the document or of a secret file it names) and returns it; `None` never to come.
    ///
    /// # Cancel safety
    ///
    /// A change that arrives while nobody waits is returned by the next call.
    pub async fn changed(&mut self) -> Option<Loaded> {
        self.loaded.changed().await.ok()?;
        Some(self.loaded.borrow_and_update().clone())
    }
}

fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let document = Document::parse(&text).map_err(|source| LoadError::Invalid { path: path.to_owned(), source })?;
    let hash = crate::hash([text.as_bytes()]);
    let fingerprint = fingerprint(&text, &document);
    Ok(Loaded { document: Arc::new(document), hash, refused: None, fingerprint })
}

/// Covers the file's text and the content of every secret, key and template file the document names.
fn fingerprint(text: &str, document: &Document) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(text);
    let files = [Some(&document.database.uri_file), Some(&document.redis.uri_file), document.database.ca_file.as_ref()];
    let more = [document.redis.ca_file.as_ref(), document.mail.smtp.ca_file.as_ref()];
    for file in files.into_iter().chain(more).flatten() {
        hasher.update(std::fs::read(file).unwrap_or_default());
    }
    let folders = [document.mail.smtp.auth_dir.as_ref(), document.mail.templates_dir.as_ref()];
    for folder in folders.into_iter().chain([Some(&document.verification.keys_dir)]).flatten() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries.iter().filter(|entry| entry.is_file()) {
            hasher.update(entry.as_os_str().as_encoded_bytes());
            hasher.update(std::fs::read(entry).unwrap_or_default());
        }
    }
    let lists = [document.signup.email_domains.deny_list_dir.as_deref()];
    for stamp in lists.into_iter().flatten().flat_map(stamps) {
        hasher.update(stamp);
    }
    hasher.finalize().into()
}

/// What changes with each file of a folder of lists, which may be too long to be read four times a second.
fn stamps(folder: &Path) -> Vec<String> {
    let stamp = |entry: std::fs::DirEntry| {
        let metadata = std::fs::metadata(entry.path()).ok().filter(std::fs::Metadata::is_file)?;
        Some(format!("{:?} {} {:?}\n", entry.path(), metadata.len(), metadata.modified().ok()))
    };
    let mut stamps: Vec<String> = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(stamp).collect();
    stamps.sort();
    stamps
}

async fn follow(path: PathBuf, sender: watch::Sender<Loaded>) {
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = sender.closed() => return,
        }
        match load(&path) {
            Ok(loaded) => {
                let hash = loaded.hash.clone();
                if sender.send_if_modified(|current| replace(current, loaded)) {
                    tracing::info!(config.hash = hash, "configuration applied");
                }
            }
            Err(error) => refuse(&sender, &error),
        }
    }
}

fn replace(current: &mut Loaded, loaded: Loaded) -> bool {
    let changed = current.fingerprint != loaded.fingerprint;
    if changed || current.refused.is_some() {
        *current = loaded;
    }
    changed
}

fn refuse(sender: &watch::Sender<Loaded>, error: &LoadError) {
    let reason = crate::chain(error);
    sender.send_if_modified(|current| {
        if current.refused.as_deref() != Some(&reason) {
            tracing::error!(reason, "configuration refused, the previous one stays in force");
            current.refused = Some(reason);
        }
        false
    });
}
