//! Why a check cannot be made.
//!
//! Takes: the cause. Gives: the error with what to do. Does not: stand for anything that was found.

use std::path::PathBuf;

/// Nothing can be said, because the cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no cluster.
    #[error("failed to find a cluster")]
    Cluster(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server did not answer as it should.
    #[error("failed to {what}")]
    Look {
        /// What was tried.
        what: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// The caller may not read pipelines.
    #[error("failed to read pipelines: the API server forbids it")]
    Forbidden,
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The report has no JSON form.
    #[error("failed to print the report")]
    Print(#[from] serde_json::Error),
}

impl CheckError {
    /// What to do, without full stop.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "set KUBECONFIG, or run it in a pod with a service account",
            Self::Look { .. } => "see that `kubectl get --raw /version` answers with the same KUBECONFIG",
            Self::Forbidden => {
                "use an account that may get and list signuppipelines.signup.dev, or name a namespace with -n"
            }
            Self::Read { .. } => "name a file with a SignupPipeline",
            Self::Print(_) => "use --output text",
        }
    }
}
