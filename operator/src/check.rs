//! `operator check`: what is wrong with a cluster, a pipeline or a file, and what to do about each finding.
//!
//! Takes: flags, and the cluster that the environment names. Gives: a [`Report`] of one line per thing checked. Changes
//! nothing, and shows no value of a Secret. Does not: open a connection to PostgreSQL, Redis or a mail server; the
//! operator and the pods do, and their conditions are read.
//!
//! # Layout
//!
//! - [`mod@line`]: a finding and how it is printed
//! - `cluster`, `seen`: reads the cluster, the only I/O (with [`run`], which puts snapshots together)
//! - `offers`, `definition`, `process`, `rights`: judge the cluster (pure)
//! - `pipeline`, with `conditions`, `secrets`, `exposure`, `pods`: judge a pipeline (pure)
//! - `file`: judges a file (pure)
//! - [`error`]: why a check could not be made

mod cluster;
mod conditions;
mod definition;
pub mod error;
mod exposure;
mod file;
pub mod line;
mod offers;
mod pipeline;
mod pods;
mod process;
mod rights;
mod secrets;
mod seen;
mod snapshot;

use crate::crd::SignupPipeline;
use error::CheckError;
use jiff::Timestamp;
use kube::{Client, Config, ResourceExt};
use line::{Line, Report};
use seen::Seen;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// The operators, as far as the caller may see them.
type Operators = Seen<Vec<process::Running>>;

/// An API server that is slower does not work.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Flags of `operator check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The pipeline to look at. Absent, and without --namespace: the cluster itself.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Namespace of the pipeline; without NAME, all its pipelines. Absent: the kubeconfig's.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Look at the cluster and at every pipeline in it.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Look at a file with a SignupPipeline (and perhaps its Secrets) instead, without a cluster.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["name", "namespace", "all_namespaces"])]
    pub file: Option<PathBuf>,
    /// Where the operator is, for callers that may not list Deployments of all namespaces.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", default_value = "signup-system")]
    pub operator_namespace: String,
    /// Text for people, or JSON for programs.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

const EXAMPLES: &str = "\
Exit code: 0 nothing is an error, 1 something is, 2 nobody could look.

Examples:
  operator check                         the cluster: version, definition, operator, its rights
  operator check -n shop demo            pipeline demo of namespace shop
  operator check --all-namespaces        the cluster and all pipelines
  operator check -f pipeline.yaml        a file, without a cluster
  kubectl -n signup-system exec deploy/signup-operator -- /operator check -A
                                         the same with the operator's own eyes, and nothing to install";

/// How the report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A line per finding, its fix below.
    Text,
    /// One JSON object.
    Json,
}

/// Reads and judges.
///
/// # Errors
///
/// [`CheckError`] when the cluster could not be read.
pub async fn run(options: &Options) -> Result<Report, CheckError> {
    if let Some(path) = &options.file {
        let text = std::fs::read_to_string(path).map_err(|source| CheckError::Read { path: path.clone(), source })?;
        return Ok(file::judge(&text));
    }
    let client = client().await?;
    let mut report = Report::default();
    let version = cluster::version(&client).await?;
    let operators = cluster::operators(&client, &options.operator_namespace).await?;
    if options.name.is_none() && options.namespace.is_none() {
        report.findings.push(offers::version(&version));
        check_cluster(&client, options, &operators, &mut report).await?;
    }
    if options.all_namespaces {
        check_pipelines(&client, None, None, &operators, &mut report).await?;
    } else if options.name.is_some() || options.namespace.is_some() {
        let namespace = options.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        check_pipelines(&client, Some(&namespace), options.name.as_deref(), &operators, &mut report).await?;
    }
    Ok(report)
}

/// Reads, judges and prints; the exit code says how it is.
pub async fn main(options: &Options) -> ExitCode {
    let printed = match run(options).await {
        Ok(report) => match options.output {
            Output::Text => Ok((report.to_text(), report.exit_code())),
            Output::Json => report.to_json().map(|text| (text, report.exit_code())).map_err(CheckError::from),
        },
        Err(error) => Err(error),
    };
    match printed {
        Ok((text, code)) => {
            print!("{text}");
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("cannot look: {}\n  Fix: {}.", ::pipeline::chain(&error), error.fix());
            ExitCode::from(2)
        }
    }
}

async fn client() -> Result<Client, CheckError> {
    let mut config = Config::infer().await.map_err(|error| CheckError::Cluster(Box::new(error)))?;
    (config.connect_timeout, config.read_timeout) = (Some(ANSWER_TIMEOUT), Some(ANSWER_TIMEOUT));
    Client::try_from(config).map_err(|error| CheckError::Cluster(Box::new(error)))
}

async fn check_cluster(
    client: &Client,
    options: &Options,
    operators: &Operators,
    report: &mut Report,
) -> Result<(), CheckError> {
    report.findings.push(match cluster::definition(client).await? {
        Seen::Forbidden => definition::judge_served(&cluster::missing_fields(client).await?),
        Seen::There(found) => definition::judge(Some(&found)),
        Seen::Absent => definition::judge(None),
    });
    match operators {
        Seen::There(operators) if operators.is_empty() => report.findings.push(process::none()),
        Seen::There(operators) => {
            for running in operators {
                report.findings.extend(process::judge(running, Timestamp::now()));
                let denied = cluster::denied(client, &running.operator).await?;
                report.findings.extend(rights::judge(&running.operator, denied.as_deref()));
            }
        }
        Seen::Absent | Seen::Forbidden => report.findings.push(process::hidden(&options.operator_namespace)),
    }
    for ((_, _, kind, needed_by), is_there) in offers::OPTIONAL.into_iter().zip(cluster::kinds(client).await) {
        report.findings.push(offers::kind(kind, needed_by, is_there));
    }
    report.findings.push(offers::classes(&cluster::classes(client).await?));
    Ok(())
}

async fn check_pipelines(
    client: &Client,
    namespace: Option<&str>,
    name: Option<&str>,
    operators: &Operators,
    report: &mut Report,
) -> Result<(), CheckError> {
    let (found, others) = match cluster::pipelines(client, namespace).await? {
        Seen::There(found) => found,
        Seen::Absent => {
            report.findings.push(definition::judge(None));
            return Ok(());
        }
        Seen::Forbidden => return Err(CheckError::Forbidden),
    };
    let is_wanted = |found: &str| name.is_none_or(|name| found == name);
    let wanted = |pipeline: &&SignupPipeline| is_wanted(&pipeline.name_any());
    let others: Vec<Line> = others.into_iter().filter(|(name, _)| is_wanted(name)).map(|(_, line)| line).collect();
    if !found.iter().any(|pipeline| wanted(&pipeline)) {
        report.findings.extend(if others.is_empty() { vec![pipeline::none(namespace, name, &found)] } else { others });
        return Ok(());
    }
    report.findings.extend(others);
    let classes = cluster::classes(client).await?;
    let shares = snapshot::Shares::look(client, &found).await?;
    for pipeline in found.iter().filter(wanted) {
        let snapshot = snapshot::snapshot(client, pipeline, &classes, &shares).await?;
        let (namespace, now) = (pipeline.namespace().unwrap_or_default(), Timestamp::now());
        let mut lines = process::serving(operators, &namespace, now);
        lines.extend(pipeline::judge(&snapshot, now));
        report.add_about(&format!("{namespace}/{}", pipeline.name_any()), lines);
    }
    Ok(())
}
