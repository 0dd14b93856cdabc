//! The files that the processes of a local run read.
//!
//! Takes: a document's parts. Gives: `pipeline.yaml` and secret files (mode 0600) in a folder of mode 0700 that goes
//! with us, however we end. Each file is replaced by renaming, so that a reader sees the old or the new one. Does not:
//! decide what is in them.

use super::{
    LocalError,
    plan::{MailServer, Plan, StandIn},
    stores::Stores,
};
use crate::{
    build::document::{MountedPaths, document},
    controller::scale::known_as,
    crd::SignupPipeline,
    manifest::objects::Content,
};
use pipeline::{Identity, document::LogFormat, hash, identity, store_secret};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The folder, and the key made for this run.
#[derive(Debug)]
pub(super) struct Files {
    // A process that is never started: its guard removes the folder.
    folder: servers::Process,
    own_key: Content,
}

impl Files {
    pub(super) fn new() -> Result<Self, LocalError> {
        let folder = servers::Process::new("signup-local", Signal::TERM)
            .map_err(|source| LocalError::Server { name: "the folder of this run".into(), source })?;
        Ok(Self { folder, own_key: new_key()? })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.folder().join("pipeline.yaml")
    }

    /// Writes everything; what did not change is not touched. Gives the hash by which processes name the configuration.
    pub(super) fn write(
        &self,
        pipeline: &SignupPipeline,
        plan: &Plan,
        stores: &Stores,
        stand_in: Option<&StandIn>,
    ) -> Result<String, LocalError> {
        let paths = self.write_secrets(plan, stores)?;
        let ((name, namespace), spec) = (title(pipeline), plan.applied_to(&pipeline.spec, stand_in));
        let mut document = document(name, namespace, &spec, &paths);
        // We read the children's logs.
        document.observability.log_format = LogFormat::Json;
        let text = document.to_yaml()?;
        pipeline::Document::parse(&text)?;
        self.file(identity::FILE, identity().to_yaml().as_bytes())?;
        replace(self.folder.folder(), &self.config(), text.as_bytes()).map_err(write_failed)?;
        Ok(Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    fn write_secrets(&self, plan: &Plan, stores: &Stores) -> Result<MountedPaths, LocalError> {
        let Plan { database, migrations, redis, mail, keys, templates, denied_domains, webhooks } = plan;
        let database_files = database.files(stores.postgres_uri().map(str::to_owned));
        let (auth, smtp_ca) = match mail {
            MailServer::Inbox => (None, None),
            MailServer::Given { auth, ca } => (auth.as_ref(), ca.as_deref()),
        };
        for (name, secret) in webhooks {
            self.folder(&format!("webhooks/{name}"), secret)?;
        }
        Ok(MountedPaths {
            database_uri: self.folder("database", &database_files)?.join(store_secret::URI),
            database_ca: self.optional_file("database-ca.crt", database.authority())?,
            migrations_uri: migrations
                .as_ref()
                .map(|files| Ok::<_, LocalError>(self.folder("migrations", files)?.join(store_secret::URI)))
                .transpose()?,
            redis_uri: self.folder("redis", &redis.files(stores.redis_uri()))?.join(store_secret::URI),
            redis_ca: self.optional_file("redis-ca.crt", redis.authority())?,
            smtp_auth: auth.map(|auth| self.folder("smtp", auth)).transpose()?,
            smtp_ca: self.optional_file("smtp-ca.crt", smtp_ca)?,
            templates: templates.as_ref().map(|templates| self.folder("templates", templates)).transpose()?,
            denied_domains: denied_domains.as_ref().map(|lists| self.folder("denied-domains", lists)).transpose()?,
            webhooks: self.folder.folder().join("webhooks"),
            keys: self.folder("keys", keys.as_ref().unwrap_or(&self.own_key))?,
        })
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf, LocalError> {
        let path = self.folder.folder().join(name);
        replace(self.folder.folder(), &path, content).map_err(write_failed)?;
        Ok(path)
    }

    fn optional_file(&self, name: &str, content: Option<&[u8]>) -> Result<Option<PathBuf>, LocalError> {
        content.map(|content| self.file(name, content)).transpose()
    }

    fn folder(&self, name: &str, content: &Content) -> Result<PathBuf, LocalError> {
        let folder = self.folder.folder().join(name);
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;
            let wanted: BTreeSet<&str> = content.keys().into_iter().collect();
            for (key, value) in content.iter() {
                replace(self.folder.folder(), &folder.join(key), value)?;
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if !wanted.contains(entry.file_name().to_string_lossy().as_ref()) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        write().map_err(write_failed)?;
        Ok(folder)
    }
}

fn write_failed(source: io::Error) -> LocalError {
    LocalError::Io { action: "write the files of the processes", source }
}

/// Writes through a file beside the folders, so that no process that lists a folder sees half a file.
fn replace(run: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let part = run.join(".part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    fs::rename(&part, path)
}

/// By what a run of the pipeline is known to those that share a store with it.
pub(super) fn run_known_as(pipeline: &SignupPipeline) -> String {
    let (name, namespace) = title(pipeline);
    known_as(&format!("{namespace}/{name}"), identity().namespace_uid.as_deref())
}

/// Name and namespace.
fn title(pipeline: &SignupPipeline) -> (&str, &str) {
    let metadata = &pipeline.metadata;
    (metadata.name.as_deref().unwrap_or_default(), metadata.namespace.as_deref().unwrap_or("default"))
}

/// A run on this machine is another pipeline than one of its name in a cluster, and the same as the run before it:
/// machine-id(5) stays as it is.
fn identity() -> Identity {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let namespace_uid = format!("local-{}", hash([b"operator local".as_slice(), machine.trim().as_bytes()]));
    Identity { namespace_uid: Some(namespace_uid), created_at: None }
}

/// 256 random bits, as text.
fn new_key() -> Result<Content, LocalError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| LocalError::Io { action: "get random bytes", source: io::Error::other(error) })?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([("current", text)].into_iter().collect())
}
