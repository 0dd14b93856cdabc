//! What is measured, and for how long.
//!
//! Takes: the command line. Gives: rows, numbers and lengths. Does not: change what a row means: a short run has fewer
//! samples and shorter loads, and says so in the table.

use std::{path::PathBuf, time::Duration};

/// Measures how the operator scales workers, beside KEDA.
#[derive(Debug, clap::Parser)]
#[command(name = "bench-scaler")]
pub(crate) struct Arguments {
    /// What this process is, when it is not the bench.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Only these parts: created, bursts, rest, batch, steady, mixed, drain, killed, rotated, away, writers.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// A tenth of the time, a fifth of the pipelines and samples: to see that it works, not for figures.
    #[arg(long)]
    pub(crate) short: bool,
    /// Ours alone.
    #[arg(long)]
    pub(crate) without_keda: bool,
    /// Where the program `operator` is.
    #[arg(long, default_value = "target/release")]
    pub(crate) programs: PathBuf,
    /// Where KEDA's programs and resource definitions are, as keda.sh makes them.
    #[arg(long, default_value = "target/scaler")]
    pub(crate) keda: PathBuf,
    /// Where the pictures go. Absent: none are drawn.
    #[arg(long)]
    pub(crate) pictures: Option<PathBuf>,
    /// Pipelines that are there besides those under load. Absent: 1000, short 200.
    #[arg(long)]
    pub(crate) residents: Option<usize>,
}

/// What else this program is.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// The process of a simulated pod: takes tasks from REDIS_URI until its standard input ends or SIGTERM comes.
    Worker {
        /// Tasks at once.
        concurrency: usize,
    },
}

impl Arguments {
    /// Whether a part is asked for.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    pub(crate) fn residents(&self) -> usize {
        self.residents.unwrap_or(if self.short { 200 } else { 1000 })
    }

    /// Bursts into ours, and into each of KEDA's, which take minutes.
    pub(crate) fn bursts(&self) -> (usize, usize) {
        if self.short { (20, 1) } else { (100, 5) }
    }

    /// A length, or a tenth of it.
    pub(crate) fn length(&self, full: Duration) -> Duration {
        if self.short { full / 10 } else { full }
    }
}
