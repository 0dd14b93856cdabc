//! Why `operator local` did not start.
//!
//! Takes and gives: [`LocalError`]. Does not: cover what happens later; that is reported on the screen and repaired.

use crate::manifest::problem::Problems;
use std::path::PathBuf;

/// Why `operator local` did not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file or the folder of Secrets cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is wrong; every mistake is listed.
    #[error("{} is not a valid SignupPipeline:\n{problems}", path.display())]
    Invalid {
        /// The path given.
        path: PathBuf,
        /// Fields, values and fixes.
        problems: Problems,
    },
    /// A Secret or ConfigMap is given without a key that is needed.
    #[error("{kind} {name} has no key `{key}`, which {field} names; add it (keys there: {})", keys.join(", "))]
    KeyMissing {
        /// Secret or ConfigMap.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key that is missing.
        key: String,
        /// The field that names it.
        field: &'static str,
        /// The keys that exist.
        keys: Vec<String>,
    },
    /// An object is named that nothing can stand in for.
    #[error("{kind} {name}, which {field} names, is not given; put it into the file or remove the field")]
    ObjectMissing {
        /// Secret or ConfigMap.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The field that names it.
        field: &'static str,
    },
    /// Addresses that others listen on.
    #[error("{}", .0.join("\n"))]
    AddressTaken(Vec<String>),
    /// A program is not there.
    #[error("there is no program {}; build it (`cargo build`) or name its folder by --bin-dir", path.display())]
    ProgramMissing {
        /// Where it was searched.
        path: PathBuf,
    },
    /// PostgreSQL, Redis or another process could not be started.
    #[error("failed to start {name}")]
    Server {
        /// What.
        name: String,
        /// The reason.
        source: servers::ServerError,
    },
    /// A process ended before it was ready.
    #[error("{name} ended before it was ready ({status}); the last it said:\n{tail}")]
    Ended {
        /// Which.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its log.
        tail: String,
    },
    /// The operating system refused.
    #[error("failed to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The configuration document cannot be written.
    #[error("failed to write pipeline.yaml")]
    Document(#[from] pipeline::document::InvalidDocument),
    /// Redis' URI cannot be used.
    #[error("failed to use the URI of Redis")]
    Queue(#[from] queue::Error),
}
