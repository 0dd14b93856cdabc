//! `operator plan`: the arithmetic of the number of workers, live or for a recorded series.
//!
//! Takes: the name of a pipeline, or a file with one; perhaps a series. Gives: what was read, each term, each limit and
//! the sentence, by the code that `operator run` decides with. Changes nothing. Does not: know what the running
//! operator has learnt: it watches the queues for some seconds of its own first.
//!
//! # Layout
//!
//! - `live`: reads the cluster and Redis; `print`: the terms as text

mod live;
mod print;

use crate::{
    crd::SignupPipelineSpec,
    manifest,
    scaling::trace::{self, TraceError},
};
use std::path::PathBuf;

/// Flags of `operator plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The pipeline.
    #[arg(value_name = "NAME", required_unless_present_any = ["file", "trace"])]
    pub name: Option<String>,
    /// Its namespace. Absent: the kubeconfig's.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Decide this series instead of what is in Redis now.
    #[arg(short, long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Take the resource from this file instead of the cluster; only with --trace.
    #[arg(short, long, value_name = "FILE", requires = "trace", conflicts_with = "name")]
    pub file: Option<PathBuf>,
    /// How long the queues are watched, in seconds, a snapshot each; 1 to 3600.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Write the snapshots to this file, as a series for --trace.
    #[arg(short, long, value_name = "FILE", conflicts_with = "trace")]
    pub record: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  operator plan -n shop demo                       what the queues ask for now, and what limits it
  operator plan -n shop demo -s 600 -r load.tsv    the same after ten minutes, and the series in a file
  operator plan -n shop demo --trace load.tsv      what would have been decided for that series
  operator plan -f pipeline.yaml --trace load.tsv  the same with a file's settings, without a cluster

A series has a line per queue and time: seconds, queue, pending, active, due soon, processed, failed, age of the oldest
pending task in seconds, separated by tabs. Without NAME and --file, --trace takes the defaults of the resource.";

/// A pipeline without settings of its own, for series.
const DEFAULTS: &str = "\
apiVersion: signup.dev/v1alpha1
kind: SignupPipeline
metadata: {name: defaults}
spec:
  database: {secretRef: {name: none}}
  redis: {secretRef: {name: none}}
  mail: {from: no-reply@example.com, smtp: {host: smtp.example.com}}
  verification: {publicURL: https://example.com}
";

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no cluster.
    #[error("failed to find a cluster; set KUBECONFIG, or run it in a pod with a service account")]
    Cluster(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server did not give it.
    #[error("failed to read {what}; use an account that may get it")]
    Read {
        /// What was asked for.
        what: String,
        /// What the client says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Redis cannot be asked from here.
    #[error("failed to ask Redis: {0}")]
    Redis(String),
    /// A file cannot be read or written.
    #[error("failed to {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The path given.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is no valid pipeline.
    #[error("{0}")]
    Invalid(manifest::problem::Problems),
    /// The series cannot be read.
    #[error("failed to read the series")]
    Trace(#[from] TraceError),
}

/// Reads, decides and gives the text.
///
/// # Errors
///
/// [`PlanError`].
pub async fn run(options: &Options) -> Result<String, PlanError> {
    let Some(path) = &options.trace else { return live::run(options).await };
    let series = read(path)?;
    let spec = match (&options.name, &options.file) {
        (Some(name), _) => live::Cluster::connect(options).await?.pipeline(name).await?.spec,
        (None, Some(file)) => parse(&read(file)?)?,
        (None, None) => parse(DEFAULTS)?,
    };
    Ok(trace::replay(&series, &spec)?.to_text())
}

fn read(path: &PathBuf) -> Result<String, PlanError> {
    let failed = |source| PlanError::File { action: "read", path: path.clone(), source };
    std::fs::read_to_string(path).map_err(failed)
}

fn parse(text: &str) -> Result<SignupPipelineSpec, PlanError> {
    manifest::parse(text).map(|manifest| manifest.pipeline.spec).map_err(PlanError::Invalid)
}
