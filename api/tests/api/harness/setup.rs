//! What a test program is started with.
//!
//! Takes: changes. Gives: the files and flags of one program. Does not: start it.

use pipeline::Document;
use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

/// Configuration, database and flags of one program; change the fields before it starts.
pub(crate) struct Setup {
    /// The document; `folder()`-relative paths are filled in when it is written.
    pub(crate) document: Document,
    /// URI of the PostgreSQL database.
    pub(crate) database: String,
    /// URI of the Redis database.
    pub(crate) redis: String,
    /// Where the program listens; clients on loopback are not limited.
    pub(crate) host: IpAddr,
    /// Further flags.
    pub(crate) arguments: Vec<String>,
    /// The program and arguments that become the program, where it needs a place of its own.
    pub(crate) through: Vec<String>,
    /// Variables.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Setup {
    /// A fresh database and Redis index on the servers of this test process, mails due after ten seconds.
    pub(crate) fn new() -> Self {
        Self::on(servers::postgres().create_database().expect("a database"))
    }

    /// The same on a given database.
    pub(crate) fn on(database: String) -> Self {
        let document = usual();
        let redis = servers::redis().fresh_database();
        Self {
            document,
            database,
            redis,
            host: Ipv4Addr::LOCALHOST.into(),
            arguments: Vec::new(),
            through: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// With a change of the document.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Document)) -> Self {
        change(&mut self.document);
        self
    }

    /// With further flags.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Writes the files into `folder` and returns the flags that name them.
    pub(crate) fn write(&self, folder: &Path) -> Vec<String> {
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
        write("database-uri", &self.database);
        write("redis-uri", &self.redis);
        std::fs::create_dir_all(folder.join("keys")).expect("a folder");
        write("keys/current", "first key of the tests, more than 32 bytes long\n");
        let path = folder.join("pipeline.yaml");
        self.write_document(&path);
        let mut flags = vec!["--config".to_owned(), path.to_string_lossy().into_owned()];
        for interface in ["--http", "--grpc", "--admin"] {
            flags.extend([interface.to_owned(), format!("{}:0", self.host)]);
        }
        flags.extend(self.arguments.iter().cloned());
        flags
    }

    /// Writes the document with the paths of its folder, in one step, as a ConfigMap volume does.
    pub(super) fn write_document(&self, path: &Path) {
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let mut document = self.document.clone();
        document.database.uri_file = folder.join("database-uri");
        document.redis.uri_file = folder.join("redis-uri");
        document.verification.keys_dir = folder.join("keys");
        let next = folder.join("pipeline.yaml.next");
        std::fs::write(&next, document.to_yaml().expect("YAML")).expect("a file");
        std::fs::rename(next, path).expect("a file");
    }
}

/// The sample, for few connections, with addresses of this machine.
fn usual() -> Document {
    let mut document = Document::sample();
    document.pipeline = "tests/api".into();
    document.database.max_connections_per_pod = 4;
    document.mail.from = "no-reply@pipeline.test".into();
    document.mail.smtp.host = "127.0.0.1".into();
    document.verification.public_url = "http://127.0.0.1:8080".into();
    document
}
